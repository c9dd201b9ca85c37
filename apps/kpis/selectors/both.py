"""Two versions of one thing as they were read, stratum by stratum, and what differs where both did the same work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import Mod, RowNumber, TruncDate

from apps.kpis.models.clock import reporting_currency
from apps.kpis.models.measures import Duration
from apps.kpis.rules.comparing import (
    Difference,
    Share,
    Sum,
    Times,
    has_both,
    mean_difference,
    on_enough_days,
    only_of,
    share_difference,
    time_difference,
)
from apps.kpis.rules.comparisons import Pair
from apps.kpis.rules.definitions import Definition, Kind, Unit, with_totals
from apps.kpis.rules.figures import figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import micro_per_minor
from apps.kpis.selectors.reading import Row

MOST = 10_000
"""So many durations of a side at most; of more every second, third, ... in the order of their ends."""

type Stratum = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What has versions.

    ``rows``: all of it in the period, by ``moment``. ``version`` and ``strata`` are columns: whose number a row has,
    and what both versions must have had in common to be compared. ``counted`` names the measure that counts every row;
    ``duration`` is what a percentile among ``figures`` is of; ``page_of`` says where the rows behind a figure of one
    version are listed, "" for nowhere; ``words_of`` says of strata what they are; ``percentiles_of`` gives those of one
    version in all strata.
    """

    rows: QuerySet[Any]
    moment: str
    version: str
    strata: tuple[str, ...]
    measures: Mapping[str, Any]
    counted: str
    figures: Mapping[str, Definition]
    duration: Duration | None
    page_of: Callable[[int, str], str]
    words_of: Callable[[Sequence[Stratum]], Mapping[Stratum, dict[str, str]]]
    percentiles_of: Callable[[int], Row]

    @property
    def known(self) -> list[int]:
        """The versions of which there are rows, the newest first."""
        numbers = self.rows.order_by().values_list(self.version, flat=True).distinct()
        return sorted({number for number in numbers if number is not None}, reverse=True)


def both_of(asked: KpiFilter, subject: Subject, versions: tuple[int, int]) -> "Both":
    """What two versions did of a subject, the newer first."""
    sides = _measures(subject, versions[0]), _measures(subject, versions[1])
    totals = _totals(subject, versions[0], sides[0]), _totals(subject, versions[1], sides[1])
    return Both(asked, subject, versions, sides, totals)


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
    row: Row = {name: sum(one[name] or 0 for one in side.values()) for name in subject.measures}
    return with_totals(row) | subject.percentiles_of(version)


@dataclass(frozen=True, slots=True)
class Both:
    """Both versions as they were read: the newer first, each by stratum."""

    asked: KpiFilter
    subject: Subject
    versions: tuple[int, int]
    sides: tuple[dict[Stratum, Row], dict[Stratum, Row]]
    totals: tuple[Row, Row]

    @property
    def every(self) -> int:
        """Of how many durations one is read."""
        timed = [one.denominator for one in self.subject.figures.values() if one.kind == Kind.PERCENTILE]
        return max([1, *(-(-self.total(at, name) // MOST) for name in timed for at in (0, 1))])

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
        definition = self.subject.figures[key]
        now, was = (figure_of(definition, row, reporting_currency()) for row in self.totals)
        strata, of = self.shared(definition.denominator), definition.denominator
        if definition.kind in (Kind.PERCENTILE, Kind.QUOTIENT) and has_both(*self.sizes(strata, of)):
            strata, found = self.by_days(definition, strata)
            return Pair(now, was, found, self.sizes(strata, of))
        sizes = self.sizes(strata, of)
        if not has_both(*sizes):
            return Pair(now, was, None, sizes)
        shares = [
            [Share(self.count(at, definition.numerator, one), self.count(at, of, one)) for one in strata]
            for at in (0, 1)
        ]
        return Pair(now, was, share_difference(shares[0], shares[1], self.weights(strata, of)), sizes)

    def sizes(self, strata: Sequence[Stratum], of: str) -> tuple[int, int]:
        """How many of a measure both sides have in these strata."""
        first, second = (sum(self.count(at, of, one) for one in strata) for at in (0, 1))
        return first, second

    def by_days(self, definition: Definition, strata: Sequence[Stratum]) -> tuple[list[Stratum], Difference | None]:
        """What differs in those of these strata that both had on enough days, and which they are."""
        if definition.kind == Kind.PERCENTILE:
            times = [self.times(at, strata) for at in (0, 1)]
            kept = on_enough_days(times[0].cells, times[1].cells)
        else:
            sums = [self.sums(at, definition, strata) for at in (0, 1)]
            kept = on_enough_days(*(((one.stratum, one.day) for one in side) for side in sums))
        left, of = [strata[at] for at in kept], definition.denominator
        if not has_both(*self.sizes(left, of)):
            return left, None
        weights = self.weights(left, of)
        if definition.kind == Kind.PERCENTILE:
            return left, time_difference(times[0].only(kept), times[1].only(kept), weights)
        first, second = (only_of(side, kept) for side in sums)
        return left, mean_difference(first, second, weights)

    def weights(self, strata: Sequence[Stratum], of: str) -> list[float]:
        """What a stratum weighs on both sides alike: n1 n2 / (n1 + n2), so that a handful weighs little."""
        sizes = [(self.count(0, of, one), self.count(1, of, one)) for one in strata]
        each = [now * was / (now + was) for now, was in sizes]
        return [one / sum(each) for one in each]

    def sums(self, at: int, definition: Definition, strata: Sequence[Stratum]) -> list[Sum]:
        """What a figure divides, of one side in these strata, by the local day of its end; money in minor units."""
        rows = self.subject.rows.filter(**{self.subject.version: self.versions[at]}).annotate(
            day=TruncDate(self.subject.moment, tzinfo=self.asked.zone)
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
            Sum(places[tuple(one)], day.toordinal(), float(top or 0) / scale, int(of or 0))
            for day, *one, top, of in told
            if tuple(one) in places
        ]

    def times(self, at: int, strata: Sequence[Stratum]) -> Times:
        """The durations of one side in these strata, in seconds, by the local day of their end."""
        duration, moment = self.subject.duration, self.subject.moment
        assert duration is not None
        rows = self.subject.rows.filter(duration.members, **{self.subject.version: self.versions[at]}).annotate(
            day=TruncDate(moment, tzinfo=self.asked.zone)
        )
        if (every := self.every) > 1:
            in_turn = Window(RowNumber(), order_by=[F(moment).asc(), F("pk").asc()])
            rows = rows.annotate(turn=Mod(in_turn, every)).filter(turn=0)
        places = {one: place for place, one in enumerate(strata)}
        read = rows.order_by().values_list(duration.column, "day", *self.subject.strata)
        found = [(ms or 0, day, places[tuple(one)]) for ms, day, *one in read if tuple(one) in places]
        return Times(
            [ms / 1000 for ms, _day, _place in found],
            [day.toordinal() for _ms, day, _place in found],
            [place for _ms, _day, place in found],
        )
