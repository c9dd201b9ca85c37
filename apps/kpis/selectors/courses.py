"""KPIs of one's own over a period: of the whole, bucket by bucket, and of its halves."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.models import User
from apps.kpis.models.measures import grouped
from apps.kpis.rules.buckets import Period
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.figures import Figure
from apps.kpis.selectors.business import OwnTotal, measures_of, own_figure_of, own_for, values_in
from apps.kpis.selectors.kpis import Answer

PREFIX = "own-"
"""Begins the name of its chart and of its columns in files: it may be called as one of the plane's."""


@dataclass(frozen=True, slots=True)
class Course:
    """A KPI over the period, in each of its buckets, and in both halves."""

    own: OwnTotal
    figures: list[Figure]
    halves: tuple[Figure, Figure]

    @property
    def column(self) -> str:
        """What it is called beside those of the plane: in files, in series, as a chart."""
        return f"{PREFIX}{self.definition.key}"

    @property
    def whole(self) -> Figure:
        """Its figure of the whole period."""
        return self.own.figure

    @property
    def definition(self) -> Definition:
        """What it is."""
        return self.own.definition


def courses_for(actor: User, answer: Answer) -> list[Course]:
    """Those of the workflow that is asked for; of several workflows none."""
    if not answer.asked.workflow:
        return []
    return [_course(actor, one, answer) for one in own_for(actor, answer.asked)]


def _course(actor: User, one: OwnTotal, answer: Answer) -> Course:
    _runs, values = values_in(actor, one.kpi, answer.asked)
    buckets = [point.bucket for point in answer.series]
    cut, last = len(buckets) // 2, buckets[-1].end
    whole = Period(buckets[0].start, last)
    halves = [Period(whole.start, buckets[cut].start), Period(buckets[cut].start, last)] if cut else [whole]

    def read(periods: Sequence[Period]) -> list[Figure]:
        found = grouped(values, "finished_at", periods, measures_of(one.kpi)) if one.figure.n else {}
        return [own_figure_of(one.kpi, found.get((at,), {})) for at in range(len(periods))]

    first, second = (read(halves) * 2)[:2]
    return Course(one, read(buckets), (first, second))
