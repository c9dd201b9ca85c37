"""From measures to figures: value, sample, interval, comparison, status."""

import math
from dataclasses import dataclass
from enum import StrEnum

from apps.core.statistics import Z95, wilson_interval
from apps.kpis.rules.definitions import (
    DEFINITIONS,
    HIGH,
    LOW,
    Definition,
    Direction,
    Kind,
    Measures,
    Unit,
    percentile_name,
)
from apps.kpis.rules.definitions.kinds import COUNTED, NOTHING, WHOLES, gettext_noop
from apps.kpis.rules.formats import (
    count_text,
    duration_text,
    micro_per_minor,
    money_text,
    number_text,
    percent_text,
    signed,
)
from apps.kpis.rules.goals import TargetSeen
from apps.kpis.rules.statistics import has_sample, percentile_has_sample

ALMOST_ALL = 0.999
"""What is not gone altogether has not fallen by 100.0%."""
TOO_FEW = gettext_noop("Too few values for this percentile")
CLEARLY = 0.25
"""A relative change of a median or a cost below this may be chance: no interval says otherwise."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One KPI's value. ``None`` where there is nothing to divide by, or too little for a percentile."""

    definition: Definition
    value: float | None
    n: int
    currency: str
    numerator: float | None = None
    denominator: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def enough(self) -> bool:
        """Whether the sample allows a colour and a comparison."""
        return self.value is not None and (not self.definition.sampled or has_sample(self.n))

    @property
    def why_none(self) -> str:
        """Why there is no value, to be translated; empty where there is one."""
        if self.value is not None:
            return ""
        if self.definition.kind == Kind.RETURN:
            return self.definition.nothing if not self.denominator else NOTHING["compared"]
        return TOO_FEW if self.n and self.definition.kind == Kind.PERCENTILE else self.definition.nothing

    @property
    def text(self) -> str:
        """The value as people read it."""
        return value_text(self.definition, self.value, self.currency)


class Status(StrEnum):
    """How a figure stands to its target; ``unknown`` while the sample is too small."""

    GOOD = "good"
    STRADDLES = "straddles"
    BAD = "bad"
    UNKNOWN = "unknown"


class Trend(StrEnum):
    """What a change means for this KPI; ``unclear`` may be chance."""

    UNCLEAR = "unclear"
    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Delta:
    """A figure against what it was: an arrow for the direction, a word for what that means."""

    text: str
    rises: bool
    trend: Trend


type Figures = dict[str, Figure]


def figures_of(measures: Measures, currency: str) -> Figures:
    """Every KPI of these measures."""
    return {key: figure_of(definition, measures, currency) for key, definition in DEFINITIONS.items()}


def figure_of(definition: Definition, measures: Measures, currency: str) -> Figure:
    """Compute one KPI from the measures of its period; nothing else computes one."""
    match definition.kind:
        case Kind.PERCENTILE:
            return _percentile(definition, measures, currency)
        case Kind.SHARE:
            return _share(definition, measures, currency)
        case Kind.QUOTIENT:
            return _quotient(definition, measures, currency)
        case Kind.PART:
            return _part(definition, measures, currency)
        case Kind.RETURN:
            return _return(definition, measures, currency)
        case _:
            return _plain(definition, measures, currency)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of how many there are (``whole``) a figure counts how many; ``words`` say which, to be translated."""

    counted: int
    whole: int
    words: str


def coverage_of(definition: Definition, measures: Measures) -> Coverage | None:
    """For how much of everything a figure speaks; None where it counts all that there is."""
    if definition.denominator not in WHOLES:
        return None
    name, words = WHOLES[definition.denominator]
    counted = int(measures.get(COUNTED.get(definition.denominator, definition.denominator)) or 0)
    return Coverage(counted, int(measures.get(name) or 0), words)


def _plain(definition: Definition, measures: Measures, currency: str) -> Figure:
    value, n = measures.get(definition.numerator), int(measures.get(definition.denominator) or 0)
    if definition.unit == Unit.MINOR and value is not None:
        value = round(value / micro_per_minor(currency), 4)
    if definition.unit == Unit.SECONDS and value is not None:
        value = round(value / 1000, 3)
    return Figure(definition, value, n, currency)


def _share(definition: Definition, measures: Measures, currency: str) -> Figure:
    top, bottom = int(measures.get(definition.numerator) or 0), int(measures.get(definition.denominator) or 0)
    low, high = wilson_interval(top, bottom) or (None, None)
    value = top / bottom if bottom else None
    return Figure(definition, value, bottom, currency, numerator=top, denominator=bottom, low=low, high=high)


def _quotient(definition: Definition, measures: Measures, currency: str) -> Figure:
    top, bottom = measures.get(definition.numerator) or 0, int(measures.get(definition.denominator) or 0)
    scale = {Unit.MINOR: micro_per_minor(currency), Unit.SECONDS: 1000}.get(definition.unit, 1)
    value = round(top / scale / bottom, 4) if bottom else None
    return Figure(definition, value, bottom, currency, numerator=round(top / scale, 4), denominator=bottom)


def _part(definition: Definition, measures: Measures, currency: str) -> Figure:
    top, bottom = (measures.get(name) or 0 for name in (definition.numerator, definition.denominator))
    scale = 1000 if definition.numerator.endswith("_ms") else 1
    return Figure(
        definition,
        top / bottom if bottom else None,
        int(measures.get(definition.members) or 0),
        currency,
        numerator=top / scale,
        denominator=bottom / scale,
    )


def _return(definition: Definition, measures: Measures, currency: str) -> Figure:
    """What came back beyond what was paid, of what was paid; ``n`` are the runs that were held against a baseline."""
    saved, fixed = measures.get(definition.numerator), measures.get(definition.denominator) or 0
    scale, n = micro_per_minor(currency), int(measures.get("compared") or 0)
    gain = None if saved is None else round((saved - fixed) / scale, 4)
    value = round((saved - fixed) / fixed, 6) if saved is not None and fixed else None
    return Figure(definition, value, n, currency, numerator=gain, denominator=round(fixed / scale, 4))


def _percentile(definition: Definition, measures: Measures, currency: str) -> Figure:
    fraction = definition.fraction or 0.5
    n = int(measures.get(definition.denominator) or 0)
    name = percentile_name(definition.numerator, fraction)
    if not percentile_has_sample(fraction, n):
        return Figure(definition, None, n, currency)
    value, low, high = (_seconds(measures.get(f"{name}{end}")) for end in ("", LOW, HIGH))
    return Figure(definition, value, n, currency, low=low, high=high)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 3)


def value_text(definition: Definition, value: float | None, currency: str) -> str:
    """A value of this KPI as people read it."""
    match definition.unit:
        case Unit.SECONDS:
            return duration_text(value)
        case Unit.RATIO:
            return percent_text(value)
        case Unit.MINOR:
            return money_text(value, currency)
        case Unit.NUMBER:
            return number_text(value, definition.suffix)
        case _:
            return count_text(value)


def comparable(definition: Definition, value: float, days: float) -> float:
    """What is compared with a baseline or a target: counts and sums by the day, all else as it is."""
    return value / days if definition.per_day else value


def delta_of(figure: Figure, now: float | None, was: float | None, *, clear: bool = True) -> Delta | None:
    """The change since ``was``: points for shares, money for money, per cent for all else; None without either.

    A change that may be chance (``clear`` false) is neither better nor worse.
    """
    if now is None or was is None:
        return None
    change = now - was
    trend = trend_of(figure.definition.direction, change)
    if not clear and trend in {Trend.BETTER, Trend.WORSE}:
        trend = Trend.UNCLEAR
    return Delta(_change_text(figure.definition, change, was, figure.currency), change > 0, trend)


def differs(now: Figure, was: Figure, *, days: float = 1, days_before: float = 1) -> bool:
    """Whether two figures differ beyond chance, what counts by the day by the ``days`` of each.

    Shares by Newcombe's interval of their difference (1998, method 10), counts as Poisson's, all else by a quarter.
    """
    if now.value is None or was.value is None:
        return False
    here, before = comparable(now.definition, now.value, days), comparable(was.definition, was.value, days_before)
    change = here - before
    if now.definition.kind == Kind.COUNT:
        variance = max(now.value / days**2 + was.value / days_before**2, 1 / max(days, days_before) ** 2)
        return abs(change) > Z95 * math.sqrt(variance)
    if now.low is None or now.high is None or was.low is None or was.high is None:
        return abs(change) >= CLEARLY * max(abs(before), 1e-9)
    under = math.hypot(now.value - now.low, was.high - was.value)
    over = math.hypot(now.high - now.value, was.value - was.low)
    return change - under > 0 or change + over < 0


def differs_from(figure: Figure, was: float, days: float) -> bool:
    """Whether a figure differs from a fixed value, such as a baseline, beyond chance. Counts are held per day."""
    if figure.value is None:
        return False
    if figure.definition.kind == Kind.COUNT:
        return abs(figure.value - was * days) > Z95 * math.sqrt(max(was * days, 1))
    if figure.low is None or figure.high is None:
        return abs(comparable(figure.definition, figure.value, days) - was) >= CLEARLY * max(abs(was), 1e-9)
    return not figure.low <= was <= figure.high


def _change_text(definition: Definition, change: float, was: float, currency: str) -> str:
    if definition.unit == Unit.RATIO:
        return signed(percent_text(change).replace("%", " pp"), change)
    if definition.unit == Unit.MINOR:
        return signed(money_text(change, currency), change)
    if not was:
        return signed(value_text(definition, change, currency), change)
    relative = change / abs(was)
    return signed(percent_text(max(relative, -ALMOST_ALL) if change > -abs(was) else relative), change)


def trend_of(direction: Direction, change: float) -> Trend:
    """Whether a change is good for a KPI with this direction."""
    if change == 0:
        return Trend.SAME
    if direction == Direction.NONE:
        return Trend.CHANGED
    return Trend.BETTER if (change > 0) == (direction == Direction.UP) else Trend.WORSE


def status_of(figure: Figure, value: float | None, target: TargetSeen) -> Status:
    """Good if the whole interval is on the good side of the target, bad if none of it is, else straddling.

    ``value`` is the comparable value (``comparable``); the tolerance widens the good side.
    """
    if value is None or not figure.enough:
        return Status.UNKNOWN
    low, high = (figure.low, figure.high) if figure.low is not None and figure.high is not None else (value, value)
    down = target.direction == Direction.DOWN
    worst, best = (high, low) if down else (low, high)
    bound = target.value + (target.tolerance if down else -target.tolerance)
    if _meets(worst, bound, down):
        return Status.GOOD
    return Status.STRADDLES if _meets(best, bound, down) else Status.BAD


def _meets(value: float, bound: float, down: bool) -> bool:
    return value <= bound if down else value >= bound
