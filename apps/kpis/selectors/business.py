"""Figures of KPIs of one's own: as far as the reader may count the runs that gave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet, Sum
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models import Kpi, KpiValue
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import MEMBERS, PercentileCont, within
from apps.kpis.rules.business import Aggregate
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.figures import Figure, Status, comparable, figure_of, status_of, value_text
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.goals import BaselineSeen, TargetSeen
from apps.kpis.selectors.definitions import kpis_of
from apps.kpis.selectors.goals import Goals, goals_for
from apps.kpis.selectors.reading import runs_for

VALUED = Q(value__isnull=False)
SQL: dict[Aggregate, Any] = {
    Aggregate.MEAN: Avg("value"),
    Aggregate.SUM: Sum("value"),
    Aggregate.SHARE: Count("id", filter=Q(value=1)),
    Aggregate.P50: PercentileCont("value", fractions=[0.5]),
}


@dataclass(frozen=True, slots=True)
class OwnTotal:
    """A KPI of one's own over a period.

    ``faults``: runs whose value could not be made; ``without``: runs that have none to give; ``missing``: succeeded
    runs, simulated ones aside, that the definition of now has not gone through, or of which nothing is left to read.
    None of these is in n.
    """

    workflow: str
    figure: Figure
    baseline: BaselineSeen | None
    target: TargetSeen | None
    status: Status
    faults: int
    without: int
    missing: int

    @property
    def definition(self) -> Definition:
        """What it is."""
        return self.figure.definition

    @property
    def why_none(self) -> str:
        """Why it has no value, in words; empty where it has one."""
        return _(self.figure.why_none) if self.figure.why_none else ""

    @property
    def was_text(self) -> str:
        """What it was before, in its own words."""
        return value_text(self.definition, self.baseline.value if self.baseline else None, self.figure.currency)

    @property
    def target_text(self) -> str:
        """What it should be, in its own words."""
        return value_text(self.definition, self.target.value if self.target else None, self.figure.currency)


def own_for(actor: User, asked: KpiFilter) -> list[OwnTotal]:
    """Each of one's own KPIs over the period, by the runs that ``actor`` may count."""
    kpis = list(kpis_of(actor, asked.workflow))
    goals = goals_for(actor, asked) if kpis else Goals((), ())
    return [_total(actor, kpi, asked, goals) for kpi in kpis]


def values_for(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[KpiValue]:
    """What each run gave that is counted, and those that have a fault."""
    kpi = kpis_of(actor).get(slug=definition.key)
    return values_in(actor, kpi, asked)[1].filter(VALUED | ~Q(fault=""))


def own_csv_for(actor: User, asked: KpiFilter) -> list[list[str | float | None]]:
    """The figures as raw numbers below lines that say what they are."""
    found = own_for(actor, asked)
    head: list[list[str | float | None]] = [[f"# filter: {asked.query}"]]
    head += [[f"# {one.definition.key}: {_(one.definition.formula)}"] for one in found]
    rows = [
        [
            one.definition.key,
            one.definition.suffix,
            one.figure.value,
            one.figure.n,
            one.faults,
            one.without,
            one.missing,
        ]
        for one in found
    ]
    return [*head, ["figure", "unit", "value", "n", "faults", "without", "missing"], *rows]


def values_in(actor: User, kpi: Kpi, asked: KpiFilter) -> tuple[QuerySet[Any], QuerySet[KpiValue]]:
    """The runs of the period that could give a value, and what they gave by the definition of now."""
    runs = runs_for(actor, asked.of_workflow(kpi.workflow)).filter(within("finished_at", asked.period))
    runs = runs.filter(MEMBERS["succeeded"])
    mine = runs.order_by().values("run_id")
    return runs, KpiValue.objects.filter(kpi=kpi.slug, digest=kpi.digest, run_id__in=mine)


def _total(actor: User, kpi: Kpi, asked: KpiFilter, goals: Goals) -> OwnTotal:
    definition, (runs, values) = kpi.definition, values_in(actor, kpi, asked)
    found = values.order_by().aggregate(
        **measures_of(kpi),
        faults=Count("id", filter=~Q(fault="")),
        all=Count("id"),
        real=Count("id", filter=Q(simulated=False)),
    )
    figure = own_figure_of(kpi, found)
    day_value = (
        None if figure.value is None else comparable(definition, figure.value, asked.period.days_until(database_now()))
    )
    own = asked.of_workflow(kpi.workflow)
    target = goals.target_of(definition, own)
    return OwnTotal(
        workflow=kpi.workflow,
        figure=figure,
        baseline=goals.baseline_of(definition, own, {}),
        target=target,
        status=Status.UNKNOWN if target is None else status_of(figure, day_value, target),
        faults=found["faults"],
        without=found["all"] - found["n"] - found["faults"],
        missing=runs.filter(simulated=False).count() - found["real"],
    )


def measures_of(kpi: Kpi) -> dict[str, Any]:
    """What its figure is made of, over values."""
    return {"n": Count("id", filter=VALUED), "made": SQL[Aggregate(kpi.aggregate)]}


def own_figure_of(kpi: Kpi, measures: Mapping[str, Any]) -> Figure:
    """The figure of these measures (``measures_of``); of no values there is none."""
    definition, currency = kpi.definition, reporting_currency()
    made, n = measures.get("made"), int(measures.get("n") or 0)
    if isinstance(made, list):
        made = made[0] if made else None
    if kpi.aggregate == Aggregate.SHARE:
        return figure_of(definition, {definition.numerator: made, definition.denominator: n}, currency)
    return Figure(definition, round(float(made), 4) if made is not None and n else None, n, currency)
