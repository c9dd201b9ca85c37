"""What an agent may report about: its own actions, tasks and runs."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from apps.agents.models import Action, Agent
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.selectors.spans import VIEW
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.rules.states import AttemptState


@dataclass(frozen=True, slots=True)
class Work:
    """What usage belongs to. ``since``: when that began; nothing was used for it before."""

    unit_id: UUID
    workflow: str = ""
    run_id: UUID | None = None
    task_id: UUID | None = None
    action_id: UUID | None = None
    since: datetime | None = None


def work_for(
    actor: User, *, run_id: UUID | None = None, task_id: UUID | None = None, action_id: UUID | None = None
) -> Work:
    """The run, task or action of this id, if it is the agent's own. Raises NotFoundError."""
    found = (
        _action(actor, action_id)
        if action_id is not None
        else _task(actor, task_id)
        if task_id is not None
        else _run(actor, run_id)
        if run_id is not None
        else None
    )
    if found is None:
        raise NotFoundError
    return found


def _action(actor: User, action_id: UUID) -> Work | None:
    row = Action.objects.filter(pk=action_id, principal=actor).first()
    return Work(row.unit_id, row.workflow, row.run_id, row.task_id, row.pk, row.created_at) if row else None


def _task(actor: User, task_id: UUID) -> Work | None:
    held = Task.objects.filter(pk=task_id, agent__user=actor).select_related("run__workflow").first()
    if held is not None:
        return _of_run(held.run, task_id)
    tried = Attempt.objects.filter(task_id=task_id, agent__user=actor).select_related("run__workflow").first()
    return _of_run(tried.run, task_id) if tried else None


def _run(actor: User, run_id: UUID) -> Work | None:
    """Runs that the agent started, or in which it holds or held a task, or asked for an action."""
    mine = Q(started_by=actor) | Q(
        Exists(Task.objects.filter(run=OuterRef("pk"), agent__user=actor))
        | Exists(Attempt.objects.filter(run=OuterRef("pk"), agent__user=actor))
        | Exists(Action.objects.filter(run_id=OuterRef("pk"), principal=actor))
    )
    row = Run.objects.filter(mine, pk=run_id).select_related("workflow").first()
    return _of_run(row) if row else None


def _of_run(run: Run, task_id: UUID | None = None) -> Work:
    return Work(run.unit_id, run.workflow.slug, run.pk, task_id, since=run.created_at)


def versions_at_work_for(actor: User, span: Span) -> list[int]:
    """As which versions the agent of a span that ``actor`` sees took the task that it belongs to."""
    if span.task_id is None or not visible(actor, VIEW, Agent.objects.filter(pk=span.agent_id)).exists():
        return []
    told = {"task_id": span.task_id, "agent": span.agent_id, "version__isnull": False}
    ended = Attempt.objects.filter(**told).exclude(state=AttemptState.LATE).values_list("version__number", flat=True)
    held = Task.objects.filter(pk=span.task_id, agent=span.agent_id, version__isnull=False)
    return sorted({*ended, *held.values_list("version__number", flat=True)})
