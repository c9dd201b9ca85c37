"""What waits for people now, as far as a filter limits it, from the items themselves."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from apps.access.selectors import unit_ids_below
from apps.agents.rules import Environment
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import RunFact
from apps.kpis.models.clock import database_now
from apps.kpis.rules.definitions import Definition, percentile_name
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.definitions import VIEW
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Kind

LONGEST = ("created_at", "id")
DAYS = {"pending_1d": 1, "pending_3d": 3, "pending_7d": 7}


def pending_measures_for(actor: User, asked: KpiFilter, now: datetime) -> Mapping[str, float | None]:
    """How much waits, how much of it for longer than so many days, and the age of the oldest in milliseconds."""
    older: dict[str, Any] = {name: Count("pk", filter=_older(name, now)) for name in DAYS}
    found = _waiting(actor, asked).order_by().aggregate(pending=Count("pk"), oldest=Min("created_at"), **older)
    oldest = found.pop("oldest")
    age = None if oldest is None else max(0.0, (now - oldest) / timedelta(milliseconds=1))
    return {**found, percentile_name("pending_age", 1.0): age}


def pending_for(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[Escalation]:
    """The items behind a figure of what waits."""
    rows = _waiting(actor, asked).filter(_older(definition.members, database_now()))
    return rows.annotate(simulated=Exists(_run_of_item(simulated=True)))


def _older(name: str, now: datetime) -> Q:
    return Q(created_at__lt=now - timedelta(days=DAYS[name])) if name in DAYS else Q()


def _run_of_item(**limits: Any) -> QuerySet[RunFact]:
    return RunFact.objects.filter(run_id=OuterRef("run_id"), **limits)


def _waiting(actor: User, asked: KpiFilter) -> QuerySet[Escalation]:
    """What ``actor`` may count of it: no look afterwards, and nothing that a key for tests asked for."""
    rows = visible(actor, VIEW, Escalation.objects.filter(state=EscalationState.PENDING)).exclude(kind=Kind.REVIEW)
    rows = rows.exclude(action__environment=Environment.TEST)
    if not asked.simulated:
        rows = rows.filter(~Exists(_run_of_item(simulated=True)))
    if asked.workflow:
        rows = rows.filter(workflow=asked.workflow)
    if asked.version is not None:
        rows = rows.filter(Exists(_run_of_item(version=asked.version)))
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    return rows.filter(agent__slug=asked.agent) if asked.agent else rows
