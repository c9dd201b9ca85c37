"""Tasks as the agent that holds them sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.core.errors import NotFoundError
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState
from apps.workflows.models import Attempt, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.definition import Definition
from apps.workflows.rules.states import AttemptState, TaskState


@dataclass(frozen=True, slots=True)
class TaskShown:
    """A task with what its step says of it.

    ``context`` holds answers of people, the last failure, and what people want changed of what was done before.
    """

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
    back = _sent_back([task for task in tasks if task.round > 1])
    return [
        _shown(task, definition_of_version(task.run.version_id), last.get(task.pk), back.get(task.pk)) for task in tasks
    ]


def _sent_back(tasks: Sequence[Task]) -> dict[UUID, dict[str, Any]]:
    """For tasks that are done again: the last words with which people sent the work back to there or to before."""
    said = Escalation.objects.filter(
        run_id__in={task.run_id for task in tasks},
        state__in=(EscalationState.CHANGES_REQUESTED, EscalationState.REJECTED),
    )
    found: dict[UUID, dict[str, Any]] = {}
    for item in said.order_by("decided_at") if tasks else ():
        for task in tasks:
            definition = definition_of_version(task.run.version_id)
            to = _back_from(definition, item) if task.run_id == item.run_id else None
            if to == task.step or to in definition.graph.before[task.step]:
                found[task.pk] = {"step": item.step, "state": item.state, "reason": item.reason}
    return found


def _back_from(definition: Definition, item: Escalation) -> str | None:
    """Where an item of a step sent the work; None where it did not."""
    if item.kind not in {"approval", "form"} or (step := definition.steps.get(item.step)) is None:
        return None
    changes = step.changes if item.state == EscalationState.CHANGES_REQUESTED else None
    back = changes[1] if changes else step.back.get(item.state)
    return back.to if back else None


def _shown(task: Task, definition: Definition, last_error: Any, sent_back: dict[str, Any] | None) -> TaskShown:
    step = definition.steps[task.step]
    context: dict[str, Any] = {"answers": [answer for answer in task.answers if answer != {"asked": True}]}
    if last_error:
        context["last_error"] = last_error
    if sent_back:
        context["sent_back"] = sent_back
    return TaskShown(
        task, f"{step.label} ({definition.name})", step.schema, context, is_one_of_many=step.for_each is not None
    )
