"""Runs."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.audit.models import Entry
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.workflows.models import Run, Workflow


def runs_for(actor: User) -> QuerySet[Run]:
    """Runs that ``actor`` may see, newest first: an agent those of its workflows and those it started."""
    rows = Run.objects.select_related("workflow", "unit", "started_by", "on_behalf_of").defer("input", "output")
    if actor.is_agent:
        mine = visible(actor, "workflows.work_workflow", Workflow.objects.all()).values("pk")
        rows = rows.filter(Q(started_by=actor) | Q(workflow__in=mine))
    else:
        rows = visible(actor, "workflows.view_run", rows)
    return rows.order_by("-id")


def run_for(actor: User, run_id: UUID) -> Run:
    """One run that ``actor`` may see, whole. Raises NotFoundError."""
    if found := runs_for(actor).defer(None).filter(pk=run_id).first():
        return found
    raise NotFoundError


def was_paused_by(actor: User, run: Run) -> bool:
    """Whether it was ``actor`` who let a run rest the last time."""
    pauses = Entry.objects.filter(subject_id=run.pk, name="run.paused").order_by("-id")
    return pauses.values_list("actor", flat=True).first() == actor.pk
