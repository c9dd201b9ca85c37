"""Figures of KPIs of one's own: as far as the reader may count the runs that gave them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, OuterRef, Q, QuerySet, StdDev, Subquery, Sum

from apps.core.models import User
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import MEMBERS, PercentileCont, within
from apps.kpis.rules.buckets import previous_period
from apps.kpis.rules.business import GAVE_A_VALUE, Aggregate
from apps.kpis.rules.definitions import Definition, Direction
from apps.kpis.rules.figures import Coverage, Figure, figure_of
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.rules.goals import MEDIAN
from apps.kpis.rules.statistics import mean_interval, order_ranks
from apps.kpis.selectors.definitions import kpis_of
from apps.kpis.selectors.goals import Goals, goals_for
from apps.kpis.selectors.parts import within_faults
from apps.kpis.selectors.reading import runs_for
from apps.kpis.selectors.totals import Total, total_of

DIGITS = 4
VALUED = Q(value__isnull=False)
SQL: dict[Aggregate, Any] = {
    Aggregate.MEAN: Avg("value"),
    Aggregate.SUM: Sum("value"),
    Aggregate.SHARE: Count("id", filter=Q(value=1)),
    Aggregate.P50: PercentileCont("value", fractions=[MEDIAN]),
}


@dataclass(frozen=True, slots=True)
class OwnTotal:
    """A KPI of one's own over a period.

    ``faults``: runs whose value could not be made; ``without``: runs that have none to give; ``missing``: succeeded
    runs, simulated ones aside, that the definition of now has not gone through, or of which nothing is left to read.
    None of these is in n.
    """

    kpi: Kpi
    total: Total
    faults: int
    without: int
    missing: int

    @property
    def workflow(self) -> str:
        """Whose runs give it."""
        return self.kpi.workflow

    @property
    def figure(self) -> Figure:
        """Its value."""
        return self.total.figure

    @property
    def definition(self) -> Definition:
        """What it is."""
        return self.figure.definition


def own_for(actor: User, asked: KpiFilter) -> list[OwnTotal]:
    """Each of one's own KPIs over the period, by the runs that ``actor`` may count."""
    kpis = list(kpis_of(actor, asked.workflow))
    goals, now = goals_for(actor, asked) if kpis else Goals((), ()), database_now()
    return [_own(actor, kpi, asked.of_workflow(kpi.workflow), goals, now) for kpi in kpis]


def values_for(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[KpiValue]:
    """What each run gave that is counted; as a part, the runs that have a fault."""
    kpi = kpis_of(actor).get(slug=definition.key)
    values = values_in(actor, kpi, asked)[1]
    return values.filter(VALUED) if asked.part is None else within_faults(values, asked)


@dataclass(frozen=True, slots=True)
class Held:
    """A KPI that may be held against itself, run by run.

    ``values``: what each run gave, as a column of runs; ``measures``: what ``definition`` divides, over such runs.
    """

    definition: Definition
    values: dict[str, Any]
    measures: dict[str, Any]


def compared_for(actor: User, workflow: str) -> list[Held]:
    """The shares and means of a workflow of which more or less is better, to be read with its runs."""
    kinds = [Aggregate.SHARE, Aggregate.MEAN]
    kpis = kpis_of(actor, workflow).filter(aggregate__in=kinds).exclude(direction=Direction.NONE) if workflow else ()
    return [_held(kpi, f"own_{at}") for at, kpi in enumerate(kpis)]


def _held(kpi: Kpi, name: str) -> Held:
    top, n = f"{name}_top", f"{name}_n"
    gave = KpiValue.objects.filter(kpi=kpi.slug, digest=kpi.digest, run_id=OuterRef("run_id")).values("value")
    counts = MEMBERS["succeeded"] & Q(**{f"{name}__isnull": False})
    is_share = kpi.aggregate == Aggregate.SHARE
    made = Count("run_id", filter=counts & Q(**{name: 1})) if is_share else Sum(name, filter=counts)
    return Held(
        definition=replace(kpi.definition, numerator=top, denominator=n),
        values={name: Subquery(gave)},
        measures={top: made, n: Count("run_id", filter=counts)},
    )


def values_in(actor: User, kpi: Kpi, asked: KpiFilter) -> tuple[QuerySet[Any], QuerySet[KpiValue]]:
    """The runs of the period that could give a value, and what they gave by the definition of now."""
    runs = runs_for(actor, asked.of_workflow(kpi.workflow)).filter(within("finished_at", asked.period))
    runs = runs.filter(MEMBERS["succeeded"])
    mine = runs.order_by().values("run_id")
    return runs, KpiValue.objects.filter(kpi=kpi.slug, digest=kpi.digest, run_id__in=mine)


def _own(actor: User, kpi: Kpi, asked: KpiFilter, goals: Goals, now: datetime) -> OwnTotal:
    runs, values = values_in(actor, kpi, asked)
    found = _read(kpi, values)
    figure, previous = _whole(kpi, values, found), None
    if asked.compare == Compare.PREVIOUS:
        before = values_in(actor, kpi, asked.within(previous_period(asked.period, asked.zone)))[1]
        previous = _whole(kpi, before, _read(kpi, before))
    ran = runs.order_by().aggregate(all=Count("run_id"), real=Count("run_id", filter=Q(simulated=False)))
    missing, coverage = ran["real"] - found["real"], Coverage(figure.n, ran["all"], GAVE_A_VALUE)
    total = total_of(figure, asked, goals, now, previous=previous, coverage=coverage)
    return OwnTotal(kpi, total, found["faults"], found["all"] - figure.n - found["faults"], missing)


def _read(kpi: Kpi, values: QuerySet[KpiValue]) -> dict[str, Any]:
    counts = {"faults": ~Q(fault=""), "real": Q(simulated=False)}
    told = {name: Count("id", filter=members) for name, members in counts.items()}
    return values.order_by().aggregate(**measures_of(kpi), **told, all=Count("id"))


def _whole(kpi: Kpi, values: QuerySet[KpiValue], found: Mapping[str, Any]) -> Figure:
    """The figure of all these values, a median in its interval: the values between which it lies."""
    figure = own_figure_of(kpi, found)
    first, last = order_ranks(figure.n, MEDIAN)
    if kpi.aggregate != Aggregate.P50 or first is None or last is None:
        return figure
    ranked = list(values.filter(VALUED).order_by("value").values_list("value", flat=True)[first - 1 : last])
    low, high = (round(float(value or 0), DIGITS) for value in (ranked[0], ranked[-1]))
    return replace(figure, low=low, high=high)


def measures_of(kpi: Kpi) -> dict[str, Any]:
    """What its figure is made of, over values."""
    spread = {"spread": StdDev("value", sample=True)} if kpi.aggregate == Aggregate.MEAN else {}
    return {"n": Count("id", filter=VALUED), "made": SQL[Aggregate(kpi.aggregate)], **spread}


def own_figure_of(kpi: Kpi, measures: Mapping[str, Any]) -> Figure:
    """The figure of these measures (``measures_of``); of no values there is none."""
    definition, currency = kpi.definition, reporting_currency()
    made, n = measures.get("made"), int(measures.get("n") or 0)
    if isinstance(made, list):
        made = made[0] if made else None
    if kpi.aggregate == Aggregate.SHARE:
        return figure_of(definition, {definition.numerator: made, definition.denominator: n}, currency)
    if made is None or not n:
        return Figure(definition, None, n, currency)
    ends = mean_interval(made, measures.get("spread") or 0.0, n) or (None, None)
    low, high = (None if end is None else round(end, DIGITS) for end in ends)
    return Figure(definition, round(float(made), DIGITS), n, currency, low=low, high=high)
