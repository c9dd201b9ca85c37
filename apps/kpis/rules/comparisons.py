"""Two versions held against each other: what is better, worse, unclear or too early to tell, and in which words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from apps.kpis.rules.comparing import FEWEST_OF_STRATUM, SURE, Difference, adjusted, has_both, shows
from apps.kpis.rules.definitions import Direction, Kind, Unit, gettext_noop
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.formats import count_text, duration_text, money_text, number_text, percent_text
from apps.kpis.rules.sentences import Sentence
from apps.kpis.rules.statistics import SMALL_N


class Outcome(StrEnum):
    """What a comparison of one figure says."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    TOO_FEW = "too_few"


OUTCOMES: Mapping[Outcome, str] = {
    Outcome.BETTER: gettext_noop("Better"),
    Outcome.WORSE: gettext_noop("Worse"),
    Outcome.UNCLEAR: gettext_noop("No clear change"),
    Outcome.TOO_FEW: gettext_noop("Not enough data"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure of both sides, as they are, and what differs where both are alike in what they ran on.

    ``compared``: how many of the newer and of the older side that is, without the units of one of them alone, and where
    days are held against days without units of few days.
    """

    now: Figure
    was: Figure
    difference: Difference | None
    compared: tuple[int, int]

    @property
    def has_sample(self) -> bool:
        """Whether enough of both are compared."""
        return has_both(*self.compared)

    @property
    def is_by_days(self) -> bool:
        """Whether the difference is one between days: of times and of means, and of no share."""
        return self.now.definition.kind in (Kind.PERCENTILE, Kind.QUOTIENT)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of a pair. ``chance``: the test's value, adjusted for how many figures were asked at once."""

    pair: Pair
    outcome: Outcome
    chance: float | None


def findings_of(pairs: Sequence[Pair]) -> list[Finding]:
    """What may be said of each pair; only figures of which both sides have enough are asked at all."""
    asked = [at for at, pair in enumerate(pairs) if _is_asked(pair)]
    chances = adjusted([one.p for at in asked if (one := pairs[at].difference) is not None])
    by_place = dict(zip(asked, chances, strict=True))
    return [Finding(pair, _outcome(pair, by_place.get(at)), by_place.get(at)) for at, pair in enumerate(pairs)]


def _is_asked(pair: Pair) -> bool:
    return pair.difference is not None and pair.has_sample


def _outcome(pair: Pair, chance: float | None) -> Outcome:
    difference = pair.difference
    if difference is None or chance is None:
        return Outcome.TOO_FEW
    if chance < SURE and difference.is_apart:
        rises = difference.value > 0
        return Outcome.BETTER if rises == (pair.now.definition.direction == Direction.UP) else Outcome.WORSE
    if not shows(*pair.compared, difference.needed):
        return Outcome.TOO_FEW
    return Outcome.UNCLEAR


def effect_sentence(finding: Finding) -> Sentence:
    """What changed by how much, as a reader without statistics takes it; empty where nothing can be said."""
    difference = finding.pair.difference
    if difference is None or finding.chance is None:
        return Sentence("")
    words = _Words(finding.pair.now)
    ends = {"low": words.size(difference.low), "high": words.size(difference.high)}
    if not difference.is_apart:
        return Sentence(words.straddles, ends)
    if difference.value < 0:
        return Sentence(words.less, {"value": words.size(difference.value), "low": ends["high"], "high": ends["low"]})
    return Sentence(words.more, {"value": words.size(difference.value), **ends})


def needed_sentence(finding: Finding) -> Sentence:
    """How much more is needed before something can be said; empty where that is enough."""
    pair = finding.pair
    if finding.outcome != Outcome.TOO_FEW:
        return Sentence("")
    if not pair.has_sample:
        words = BOTH_BY_DAYS if pair.is_by_days else BOTH
        return Sentence(words, {"n": count_text(SMALL_N), "days": count_text(FEWEST_OF_STRATUM)})
    if pair.difference is None:
        return Sentence(gettext_noop("Each version needs seven days on which something ended, where both ran."))
    values = {"n": count_text(_rounded(pair.difference.needed))}
    return Sentence(gettext_noop("About %(n)s of each version are needed to show a change worth knowing."), values)


BOTH = gettext_noop("At least %(n)s of each version are needed, where both ran.")
BOTH_BY_DAYS = gettext_noop("At least %(n)s of each version are needed, where both ran on %(days)s days or more.")


def part_sentence(finding: Finding) -> Sentence:
    """Of how much of both versions the change is; empty where it is of all, and where nothing can be said."""
    pair = finding.pair
    if finding.chance is None or pair.compared == (pair.now.n, pair.was.n):
        return Sentence("")
    names = ("now", "was", "all_now", "all_was", "days")
    told = (*pair.compared, pair.now.n, pair.was.n, FEWEST_OF_STRATUM)
    words = PART_BY_DAYS if pair.is_by_days else PART
    return Sentence(words, {name: count_text(n) for name, n in zip(names, told, strict=True)})


PART = gettext_noop("Of %(was)s of %(all_was)s before and %(now)s of %(all_now)s now: where both ran.")
PART_BY_DAYS = gettext_noop(
    "Of %(was)s of %(all_was)s before and %(now)s of %(all_now)s now: where both ran on %(days)s days or more."
)


def summary_sentence(outcome: Outcome, labels: Iterable[str]) -> Sentence:
    """Which figures came out like this; empty for none. ``labels`` are in the reader's language already."""
    named = "; ".join(labels)
    return Sentence(SUMMARIES[outcome], {"figures": named}) if named else Sentence("")


SUMMARIES: Mapping[Outcome, str] = {
    Outcome.BETTER: gettext_noop("Better: %(figures)s."),
    Outcome.WORSE: gettext_noop("Worse: %(figures)s."),
    Outcome.UNCLEAR: gettext_noop("No clear change: %(figures)s."),
    Outcome.TOO_FEW: gettext_noop("Not enough data: %(figures)s."),
}


@dataclass(frozen=True, slots=True)
class _Words:
    figure: Figure

    def size(self, value: float) -> str:
        match self.figure.definition.unit:
            case Unit.SECONDS:
                return duration_text(abs(value))
            case Unit.MINOR:
                return money_text(abs(value), self.figure.currency)
            case Unit.NUMBER:
                return number_text(abs(value), self.figure.definition.suffix)
        return percent_text(abs(value)).replace("%", " pp")

    @property
    def less(self) -> str:
        return LESS.get(self.figure.definition.unit, LOWER)

    @property
    def more(self) -> str:
        return MORE.get(self.figure.definition.unit, HIGHER)

    @property
    def straddles(self) -> str:
        return STRADDLES.get(self.figure.definition.unit, AROUND)


LOWER = gettext_noop("%(value)s lower (95 %% interval: %(low)s to %(high)s lower)")
HIGHER = gettext_noop("%(value)s higher (95 %% interval: %(low)s to %(high)s higher)")
AROUND = gettext_noop("95 %% interval: from %(low)s lower to %(high)s higher")
LESS: Mapping[Unit, str] = {
    Unit.SECONDS: gettext_noop("%(value)s shorter (95 %% interval: %(low)s to %(high)s shorter)"),
    Unit.MINOR: gettext_noop("%(value)s less (95 %% interval: %(low)s to %(high)s less)"),
}
MORE: Mapping[Unit, str] = {
    Unit.SECONDS: gettext_noop("%(value)s longer (95 %% interval: %(low)s to %(high)s longer)"),
    Unit.MINOR: gettext_noop("%(value)s more (95 %% interval: %(low)s to %(high)s more)"),
}
STRADDLES: Mapping[Unit, str] = {
    Unit.SECONDS: gettext_noop("95 %% interval: from %(low)s shorter to %(high)s longer"),
    Unit.MINOR: gettext_noop("95 %% interval: from %(low)s less to %(high)s more"),
}


def _rounded(n: int) -> int:
    """To two digits: it is an estimate."""
    step = int(10 ** max(0, len(str(n)) - 2))
    return -(-n // step) * step
