"""Event logs, by who may see the figures of their workflow."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import EventLog
from apps.kpis.selectors.goals import VIEW
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
