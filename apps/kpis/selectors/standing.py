"""How figures stand now, beside what they were and what they should be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings

from apps.core.models import User
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import DURATIONS
from apps.kpis.rules.buckets import BucketSize, RangeName, named_period
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import Status
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.selectors.business import own_for
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.kpis import kpis_for
from apps.kpis.selectors.tables import daily_text
from apps.kpis.selectors.totals import Total

type Place = tuple[str, str]
"""A workflow, empty for all, and a KPI."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A figure as it is now, counts and sums by the day; ``status``: to its target, where it has one.

    ``few``: too few values to compare it with anything.
    """

    text: str
    n: int
    few: bool
    status: Status | None
    href: str


def standing_filter_for(actor: User) -> KpiFilter:
    """What *now* is on the page of goals: the range with which dashboards open."""
    zone = reporting_zone()
    return KpiFilter(
        period=named_period(RangeName.WEEKS_12, database_now(), zone),
        zone=zone,
        size=BucketSize.WEEK,
        compare=Compare.NONE,
        simulated=settings.ACP_DEMO and actor.is_active,
    )


def standings_for(actor: User, asked: KpiFilter, places: Collection[Place]) -> Mapping[Place, Standing]:
    """Each of these figures as its dashboard says it; nothing of a workflow of which ``actor`` sees nothing."""
    names, found = workflows_for(actor), dict[Place, Standing]()
    for workflow in sorted({workflow for workflow, _kpi in places if not workflow or workflow in names}):
        own = asked.of_workflow(workflow)
        keys = {kpi for one, kpi in places if one == workflow}
        numerators = {DEFINITIONS[key].numerator for key in keys & DEFINITIONS.keys()}
        answer = kpis_for(actor, own, durations=[one for one in DURATIONS if one.name in numerators])
        totals = {key: answer.totals[key] for key in keys & DEFINITIONS.keys()}
        if workflow and keys - DEFINITIONS.keys():
            totals |= {one.kpi.slug: one.total for one in own_for(actor, own) if one.kpi.slug in keys}
        found |= {(workflow, key): _standing(own, total) for key, total in totals.items()}
    return found


def _standing(asked: KpiFilter, total: Total) -> Standing:
    figure = total.figure
    return Standing(
        text=daily_text(figure.definition, total.daily, figure.currency),
        n=figure.n,
        few=not figure.enough,
        status=None if total.target is None else total.status,
        href=page_of_kpi(asked, figure.definition.key) if figure.value else "",
    )
