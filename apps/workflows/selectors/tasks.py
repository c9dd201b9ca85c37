"""Tasks as the agent that holds them sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.core.errors import NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.workflows.models import Attempt, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.definition import Definition
from apps.workflows.rules.states import AttemptState, TaskState


@dataclass(frozen=True, slots=True)
class TaskShown:
    """A task with what its step says of it. ``context`` holds answers of people and the last failure."""

    task: Task
    instructions: str
    output_schema: Any
    context: dict[str, Any]
    is_one_of_many: bool


def task_for(actor: User, task_id: UUID) -> TaskShown:
    """A task that ``actor`` holds now. Raises NotFoundError."""
    rows = Task.objects.filter(
        pk=task_id, agent__user=actor, state=TaskState.CLAIMED, lease_until__gt=ClockTimestamp()
    ).select_related("workflow", "run")
    if found := tasks_shown(actor, list(rows)):
        return found[0]
    raise NotFoundError


def tasks_shown(actor: User, tasks: Sequence[Task]) -> list[TaskShown]:
    """What ``actor`` is told of the tasks it holds."""
    assert actor.is_active
    failed = [task for task in tasks if task.failures]
    last: dict[UUID, Any] = {}
    for run_id, step, round_, item, error in (
        Attempt.objects.filter(run__in=[task.run_id for task in failed], state=AttemptState.FAILED)
        .order_by("id")
        .values_list("run_id", "step", "round", "item", "error")
    ):
        for task in failed:
            if (task.run_id, task.step, task.round, task.item) == (run_id, step, round_, item):
                last[task.pk] = error
    return [_shown(task, definition_of_version(task.run.version_id), last.get(task.pk)) for task in tasks]


def _shown(task: Task, definition: Definition, last_error: Any) -> TaskShown:
    step = definition.steps[task.step]
    context: dict[str, Any] = {"answers": [answer for answer in task.answers if answer != {"asked": True}]}
    if last_error:
        context["last_error"] = last_error
    return TaskShown(
        task, f"{step.label} ({definition.name})", step.schema, context, is_one_of_many=step.for_each is not None
    )
