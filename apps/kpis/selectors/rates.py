"""Rates, as far as the reader sees figures of what they are about."""

from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit, Role
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.connectors.models import Operation
from apps.connectors.rules import ConnectorState
from apps.core.gate import require, scope_for, visible
from apps.core.models import User
from apps.kpis.models import Rate
from apps.kpis.rules.rates import THINGS, RateKind
from apps.workflows.models import Workflow

VIEW, MANAGE = "kpis.view_kpi", "kpis.manage_target"
ORDER = ("kind", "unit", "role", "agent", "operation", "workflow", "of_currency", "-valid_from")


def rates_for(actor: User) -> QuerySet[Rate]:
    """The rates of units, agents and workflows in which ``actor`` sees figures; every one of calls and of currencies.

    Those of all people are for everybody. What is paid each month for everything is for who sees figures everywhere.
    """
    require(actor, VIEW)
    rows, scope = Rate.objects.order_by(*ORDER), scope_for(actor, VIEW)
    if scope.everywhere:
        return rows
    within = Q(unit__in=BusinessUnit.objects.filter(pk__in=scope.units).values("slug"))
    within |= Q(kind__in=[RateKind.OPERATION, RateKind.CURRENCY]) | Q(kind=RateKind.PEOPLE, unit="")
    within |= Q(kind=RateKind.AGENT, agent__in=Agent.objects.filter(unit__in=scope.units).values("slug"))
    within |= Q(kind=RateKind.FIXED, workflow__in=Workflow.objects.filter(unit__in=scope.units).values("slug"))
    return rows.filter(within)


def hourly_units_for(actor: User) -> QuerySet[BusinessUnit]:
    """The units in which ``actor`` sees figures, whose own hourly rates count where no rate of people's time holds."""
    return visible(actor, VIEW, BusinessUnit.objects.order_by("name"))


def names_for(actor: User) -> dict[str, dict[str, str]]:
    """What a rate may name, by slug, for who may set one; nothing for anybody else: rates hold in every unit."""
    if not scope_for(actor, MANAGE).everywhere:
        return {name: {} for name in THINGS}
    return {
        "unit": dict(BusinessUnit.objects.order_by("name").values_list("slug", "name")),
        "role": dict(Role.objects.order_by("name").values_list("slug", "name")),
        "agent": dict(Agent.objects.exclude(state=AgentState.RETIRED).order_by("name").values_list("slug", "name")),
        "operation": dict(
            Operation.objects.exclude(state=ConnectorState.RETIRED).order_by("slug").values_list("slug", "slug")
        ),
        "workflow": dict(Workflow.objects.filter(retired_at=None).order_by("name").values_list("slug", "name")),
    }
