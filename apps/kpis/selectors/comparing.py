"""Two versions of one thing in one period: every figure of both, and what differs where both did the same work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import Mod, RowNumber, TruncDate
from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import CYCLE
from apps.kpis.rules.comparing import (
    Share,
    Sum,
    Times,
    has_both,
    mean_difference,
    share_difference,
    time_difference,
)
from apps.kpis.rules.comparisons import (
    OUTCOMES,
    Finding,
    Outcome,
    Pair,
    effect_sentence,
    findings_of,
    needed_sentence,
    summary_sentence,
)
from apps.kpis.rules.definitions import DEFINITIONS, Definition, Kind, Unit, with_totals
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.filters import FilterProblem, KpiFilter, number_in
from apps.kpis.rules.formats import count_text, micro_per_minor, percent_text
from apps.kpis.rules.sentences import interval_text
from apps.kpis.selectors.drawings import page_of_kpi, said
from apps.kpis.selectors.reading import Row

MOST = 10_000
"""So many durations of a side at most; of more every second, third, ... in the order of their ends."""

type Stratum = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What has versions.

    ``rows``: all of it in the period. ``version`` and ``strata`` are columns: whose number a row has, and what both
    versions must have had in common to be compared. ``counted`` names the measure that counts every row; ``asked_of``
    is the filter of one version alone; ``words_of`` says of strata what they are; ``percentiles_of`` gives those of
    one version in all strata.
    """

    rows: QuerySet[Any]
    version: str
    strata: tuple[str, ...]
    measures: Mapping[str, Any]
    counted: str
    figures: tuple[str, ...]
    asked_of: Callable[[int], KpiFilter]
    words_of: Callable[[Sequence[Stratum]], Mapping[Stratum, dict[str, str]]]
    percentiles_of: Callable[[int], Row]

    @property
    def known(self) -> list[int]:
        """The versions of which there are rows, the newest first."""
        numbers = self.rows.order_by().values_list(self.version, flat=True).distinct()
        return sorted({number for number in numbers if number is not None}, reverse=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One figure of one version; ``few``: too few values to compare it with anything."""

    text: str
    interval: str
    n: str
    few: bool
    href: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison."""

    key: str
    label: str
    formula: str
    was: Side
    now: Side
    word: str
    effect: str
    needed: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Mix:
    """A stratum's part of what each version did. ``counts``: both were there, so what they did there is compared.

    ``words``: what it is, by the name of each of its columns.
    """

    words: dict[str, str]
    was_n: int
    now_n: int
    was: str
    now: str
    counts: bool

    @property
    def name(self) -> str:
        """What it is, in one line."""
        return " · ".join(self.words.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """``now`` held against ``was``. ``moved``: the share of what was done that is elsewhere than before, 0..1."""

    asked: KpiFilter
    as_of: datetime
    now: int
    was: int
    known: list[int]
    lines: list[Compared]
    summary: list[str]
    mix: list[Mix]
    moved: float | None
    left_out: int
    every: int

    @property
    def query(self) -> str:
        """The query string that asks for this comparison."""
        return f"{self.asked.query}&version={self.now}&against={self.was}"


def against_in(query: Mapping[str, str]) -> int | None:
    """The older version that a query names. Raises InvalidError."""
    try:
        return number_in(query, "against")
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem


def compare(asked: KpiFilter, subject: Subject, *, now: int | None, was: int | None) -> Comparison:
    """Two versions of a subject; without numbers the two newest of which there are rows.

    Raises InvalidError where both are the same and where there are no two.
    """
    if now is not None and now == was:
        raise InvalidError(errors={"against": [_("Another version than the first.")]})
    known = subject.known
    newer, older = _chosen(known, now, was)
    sides = _measures(subject, newer), _measures(subject, older)
    totals = _totals(subject, newer, sides[0]), _totals(subject, older, sides[1])
    both = _Both(asked, subject, (newer, older), sides, totals)
    lines = [_line(both, finding) for finding in findings_of([both.pair(key) for key in subject.figures])]
    return Comparison(
        asked=asked,
        as_of=database_now(),
        now=newer,
        was=older,
        known=sorted({*known, newer, older}, reverse=True),
        lines=lines,
        summary=_summary(lines),
        mix=_mix(both),
        moved=_moved(both),
        left_out=both.left_out,
        every=both.every,
    )


def _chosen(known: list[int], now: int | None, was: int | None) -> tuple[int, int]:
    newer = now if now is not None else next((one for one in known if one != was), None)
    older = was if was is not None else next((one for one in known if newer is not None and one < newer), None)
    if newer is None or older is None:
        raise InvalidError(errors={"version": [_("There are fewer than two versions in this period.")]})
    return newer, older


def _measures(subject: Subject, version: int) -> dict[Stratum, Row]:
    named = {f"m_{name}": one for name, one in subject.measures.items()}
    rows = subject.rows.filter(**{subject.version: version}).order_by().values(*subject.strata).annotate(**named)
    return {
        tuple(row[column] for column in subject.strata): with_totals(
            {name: row[f"m_{name}"] for name in subject.measures}
        )
        for row in rows
    }


def _totals(subject: Subject, version: int, side: dict[Stratum, Row]) -> Row:
    """The measures of one side in all strata, its percentiles among them."""
    row: Row = {name: sum(int(one[name] or 0) for one in side.values()) for name in subject.measures}
    return with_totals(row) | subject.percentiles_of(version)


@dataclass(frozen=True, slots=True)
class _Both:
    """Both versions as they were read: the newer first, each by stratum."""

    asked: KpiFilter
    subject: Subject
    versions: tuple[int, int]
    sides: tuple[dict[Stratum, Row], dict[Stratum, Row]]
    totals: tuple[Row, Row]

    @property
    def every(self) -> int:
        """Of how many durations one is read."""
        return max(1, *(-(-self.total(at, "succeeded") // MOST) for at in (0, 1)))

    @property
    def left_out(self) -> int:
        """What was done where only one of the versions was."""
        name = self.subject.counted
        shared = self.shared(name)
        return sum(int(row[name] or 0) for side in self.sides for key, row in side.items() if key not in shared)

    def count(self, at: int, name: str, stratum: Stratum) -> int:
        """A measure of one side in one stratum."""
        return int(self.sides[at].get(stratum, {}).get(name) or 0)

    def total(self, at: int, name: str) -> int:
        """A measure of one side in all strata."""
        return sum(int(row.get(name) or 0) for row in self.sides[at].values())

    def shared(self, of: str) -> list[Stratum]:
        """The strata where both sides have something of a measure."""
        return [one for one in self.sides[0] if self.count(0, of, one) and self.count(1, of, one)]

    def pair(self, key: str) -> Pair:
        """One figure of both, and their difference where both did the same work."""
        definition = DEFINITIONS[key]
        now, was = (figure_of(definition, row, reporting_currency()) for row in self.totals)
        strata = self.shared(definition.denominator)
        first, second = (sum(self.count(at, definition.denominator, one) for one in strata) for at in (0, 1))
        if not has_both(first, second):
            return Pair(now, was, None, (first, second))
        weights = self.weights(strata, definition.denominator)
        if definition.kind == Kind.PERCENTILE:
            found = time_difference(self.times(0, strata), self.times(1, strata), weights)
            return Pair(now, was, found, (first, second))
        if definition.kind == Kind.QUOTIENT:
            found = mean_difference(self.sums(0, definition, strata), self.sums(1, definition, strata), weights)
            return Pair(now, was, found, (first, second))
        shares = [
            [
                Share(self.count(at, definition.numerator, one), self.count(at, definition.denominator, one))
                for one in strata
            ]
            for at in (0, 1)
        ]
        return Pair(now, was, share_difference(shares[0], shares[1], weights), (first, second))

    def weights(self, strata: Sequence[Stratum], of: str) -> list[float]:
        """What a stratum weighs on both sides alike: n1 n2 / (n1 + n2), so that a handful weighs little."""
        sizes = [(self.count(0, of, one), self.count(1, of, one)) for one in strata]
        each = [now * was / (now + was) for now, was in sizes]
        return [one / sum(each) for one in each]

    def sums(self, at: int, definition: Definition, strata: Sequence[Stratum]) -> list[Sum]:
        """What a figure divides, of one side in these strata, by the local day of its end; money in minor units."""
        rows = self.subject.rows.filter(**{self.subject.version: self.versions[at]}).annotate(
            day=TruncDate("finished_at", tzinfo=self.asked.zone)
        )
        named = {name: self.subject.measures[name] for name in (definition.numerator, definition.denominator)}
        told = (
            rows.order_by()
            .values_list("day", *self.subject.strata)
            .annotate(**{f"m_{name}": one for name, one in named.items()})
        )
        scale = micro_per_minor(reporting_currency()) if definition.unit == Unit.MINOR else 1
        places = {one: place for place, one in enumerate(strata)}
        return [
            Sum(places[tuple(one)], day.toordinal(), int(top or 0) / scale, int(of or 0))
            for day, *one, top, of in told
            if tuple(one) in places
        ]

    def times(self, at: int, strata: Sequence[Stratum]) -> Times:
        """The durations of one side in these strata, in seconds, by the local day of their end."""
        rows = self.subject.rows.filter(CYCLE.members, **{self.subject.version: self.versions[at]}).annotate(
            day=TruncDate("finished_at", tzinfo=self.asked.zone)
        )
        if (every := self.every) > 1:
            in_turn = Window(RowNumber(), order_by=[F("finished_at").asc(), F("run_id").asc()])
            rows = rows.annotate(turn=Mod(in_turn, every)).filter(turn=0)
        places = {one: place for place, one in enumerate(strata)}
        read = rows.order_by().values_list("cycle_ms", "day", *self.subject.strata)
        found = [(ms or 0, day, places[tuple(one)]) for ms, day, *one in read if tuple(one) in places]
        return Times(
            [ms / 1000 for ms, _day, _place in found],
            [day.toordinal() for _ms, day, _place in found],
            [place for _ms, _day, place in found],
        )


def _line(both: _Both, finding: Finding) -> Compared:
    definition = finding.pair.now.definition
    now, was = (
        _side(both.subject.asked_of(version), figure)
        for version, figure in zip(both.versions, (finding.pair.now, finding.pair.was), strict=True)
    )
    return Compared(
        key=definition.key,
        label=_(definition.label),
        formula=_(definition.formula),
        was=was,
        now=now,
        word=_(OUTCOMES[finding.outcome]),
        effect=said(effect_sentence(finding)),
        needed=said(needed_sentence(finding)),
        finding=finding,
    )


def _side(asked: KpiFilter, figure: Figure) -> Side:
    href = page_of_kpi(asked, figure.definition.key)
    return Side(figure.text, interval_text(figure), count_text(figure.n), not figure.enough, href if figure.n else "")


def _summary(lines: Sequence[Compared]) -> list[str]:
    """Which figures came out better, worse, unclear and too early to tell."""
    named = {one: [line.label for line in lines if line.finding.outcome == one] for one in Outcome}
    return [said(summary_sentence(one, labels)) for one, labels in named.items() if labels]


def _strata(both: _Both) -> list[Stratum]:
    return sorted(both.sides[0].keys() | both.sides[1].keys(), key=str)


def _mix(both: _Both) -> list[Mix]:
    """Every stratum's part of both sides, the largest first."""
    name, strata = both.subject.counted, _strata(both)
    words, shared = both.subject.words_of(strata), both.shared(name)
    found = [
        Mix(
            words=words[one],
            was_n=both.count(1, name, one),
            now_n=both.count(0, name, one),
            was=percent_text(_part(both, 1, one)),
            now=percent_text(_part(both, 0, one)),
            counts=one in shared,
        )
        for one in strata
    ]
    return sorted(found, key=lambda one: -(one.was_n + one.now_n))


def _part(both: _Both, at: int, stratum: Stratum) -> float | None:
    of = both.total(at, both.subject.counted)
    return both.count(at, both.subject.counted, stratum) / of if of else None


def _moved(both: _Both) -> float | None:
    """Half of all changes of strata's parts: the share that would have to be elsewhere to undo them."""
    parts = [(_part(both, 0, one), _part(both, 1, one)) for one in _strata(both)]
    known = [abs(now - was) for now, was in parts if now is not None and was is not None]
    return sum(known) / 2 if known else None
