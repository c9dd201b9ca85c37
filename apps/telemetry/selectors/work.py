"""What an agent may report about: its own actions, tasks and runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.agents.models import Action, Agent
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.selectors.spans import VIEW
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.rules.states import AttemptState

OF_RUN = ("pk", "unit", "workflow__slug", "created_at")
"""What is read of a run: its rows hold what was put in and came out, and thousands may be named at once."""


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
    named = {"action_id": action_id, "task_id": task_id, "run_id": run_id}
    for name, at in named.items():
        if at is not None and (found := works_for(actor, name, [at])):
            return found[at]
        if at is not None:
            break
    raise NotFoundError


def works_for(actor: User, name: str, ids: Iterable[UUID]) -> dict[UUID, Work]:
    """Of the runs, tasks or actions (``name``: ``run_id``, ...) of these ids the agent's own; two questions at most."""
    return {"action_id": _actions, "task_id": _tasks, "run_id": _runs}[name](actor, list(ids))


def _actions(actor: User, ids: list[UUID]) -> dict[UUID, Work]:
    rows = Action.objects.filter(pk__any_of=ids, principal=actor)
    return {
        row.pk: Work(row.unit_id, row.workflow, row.run_id, row.task_id, row.pk, row.created_at)
        for row in rows.only("unit", "workflow", "run_id", "task_id", "created_at")
    }


def _tasks(actor: User, ids: list[UUID]) -> dict[UUID, Work]:
    held = Task.objects.filter(pk__any_of=ids, agent__user=actor).values_list(
        "pk", *(f"run__{name}" for name in OF_RUN)
    )
    found = {task: _of_run(task, *of_run) for task, *of_run in held}
    left = [one for one in ids if one not in found]
    tried = held_by(actor).filter(task_id__any_of=left).values_list("task_id", *(f"run__{name}" for name in OF_RUN))
    return found | {task: _of_run(task, *of_run) for task, *of_run in tried}


def _runs(actor: User, ids: list[UUID]) -> dict[UUID, Work]:
    """Runs that the agent started, or in which it holds or held a task, or asked for an action."""
    mine = Q(started_by=actor) | Q(
        Exists(Task.objects.filter(run=OuterRef("pk"), agent__user=actor))
        | Exists(held_by(actor).filter(run=OuterRef("pk")))
        | Exists(Action.objects.filter(run_id=OuterRef("pk"), principal=actor))
    )
    rows = Run.objects.filter(mine, pk__any_of=ids).values_list(*OF_RUN)
    return {row[0]: _of_run(None, *row) for row in rows}


def held_by(actor: User) -> QuerySet[Attempt]:
    """Tries of the agent; not what it handed in too late, as anybody may who never held the task."""
    return Attempt.objects.filter(agent__user=actor).exclude(state=AttemptState.LATE)


def _of_run(task_id: UUID | None, run_id: UUID, unit_id: UUID, workflow: str, since: datetime) -> Work:
    return Work(unit_id, workflow, run_id, task_id, since=since)


def versions_at_work_for(actor: User, span: Span) -> list[int]:
    """As which versions the agent of a span that ``actor`` sees took the task that it belongs to."""
    if span.task_id is None or not visible(actor, VIEW, Agent.objects.filter(pk=span.agent_id)).exists():
        return []
    told = {"task_id": span.task_id, "agent": span.agent_id, "version__isnull": False}
    ended = Attempt.objects.filter(**told).exclude(state=AttemptState.LATE).values_list("version__number", flat=True)
    held = Task.objects.filter(pk=span.task_id, agent=span.agent_id, version__isnull=False)
    return sorted({*ended, *held.values_list("version__number", flat=True)})
