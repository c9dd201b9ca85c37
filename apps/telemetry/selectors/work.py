"""What an agent may report about: its own actions, tasks and runs."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from apps.agents.models import Action
from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.workflows.models import Attempt, Run, Task


@dataclass(frozen=True, slots=True)
class Work:
    """What usage belongs to."""

    unit_id: UUID
    workflow: str = ""
    run_id: UUID | None = None
    task_id: UUID | None = None
    action_id: UUID | None = None


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
    return Work(row.unit_id, row.workflow, row.run_id, row.task_id, row.pk) if row else None


def _task(actor: User, task_id: UUID) -> Work | None:
    held = Task.objects.filter(pk=task_id, agent__user=actor).select_related("run__workflow").first()
    if held is not None:
        return Work(held.run.unit_id, held.run.workflow.slug, held.run_id, task_id)
    tried = Attempt.objects.filter(task_id=task_id, agent__user=actor).select_related("run__workflow").first()
    return Work(tried.run.unit_id, tried.run.workflow.slug, tried.run_id, task_id) if tried else None


def _run(actor: User, run_id: UUID) -> Work | None:
    """Runs that the agent started, or in which it holds or held a task, or asked for an action."""
    mine = Q(started_by=actor) | Q(
        Exists(Task.objects.filter(run=OuterRef("pk"), agent__user=actor))
        | Exists(Attempt.objects.filter(run=OuterRef("pk"), agent__user=actor))
        | Exists(Action.objects.filter(run_id=OuterRef("pk"), principal=actor))
    )
    row = Run.objects.filter(mine, pk=run_id).select_related("workflow").first()
    return Work(row.unit_id, row.workflow.slug, row.pk) if row else None
