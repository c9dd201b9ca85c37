"""Event logs, by who may see the figures of their workflow."""

from uuid import UUID

from django.db.models import F, Q, QuerySet

from apps.access.models import BusinessUnit
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import EventLog
from apps.kpis.rules.eventlogs import draft_of
from apps.kpis.selectors.definitions import VIEW
from apps.workflows.models import Workflow


def event_logs_for(actor: User) -> QuerySet[EventLog]:
    """The logs, newest first; one of a workflow for who may see its figures, one of none for who may see any."""
    require(actor, VIEW)
    mine = visible(actor, VIEW, Workflow.objects.all()).values("slug")
    return EventLog.objects.filter(Q(workflow="") | Q(workflow__in=mine)).select_related("imported_by").order_by("-id")


def event_log_for(actor: User, log_id: UUID) -> EventLog:
    """One log. Raises NotFoundError."""
    found = event_logs_for(actor).filter(pk=log_id).first()
    if found is None:
        raise NotFoundError
    return found


def draft_for(actor: User, log: EventLog) -> str:
    """A workflow document of the way that most cases took, in the unit of the log's workflow, else the first seen."""
    require(actor, VIEW)
    workflow = Workflow.objects.filter(slug=log.workflow).select_related("unit").first()
    units = visible(actor, VIEW, BusinessUnit.objects.order_by(F("parent").asc(nulls_first=True), "created_at"))
    unit = workflow.unit if workflow else units.first()
    return draft_of(log.name, log.figures["map"], unit=unit.slug if unit else "")
