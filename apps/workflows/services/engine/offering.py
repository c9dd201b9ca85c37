"""Putting tasks into the hot queue."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Max

from apps.audit.services import Change, record_many
from apps.workflows.models import Attempt, Task
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import Event
from apps.workflows.rules.states import LANE_BONUS_S, Lane, TaskState
from apps.workflows.services.engine.place import Spot

BULK = 50
"""From so many tasks at once on they are bulk: other work goes first."""


def offer_tasks(spot: Spot, command: do.OfferTasks) -> Iterable[Event]:
    """Offer the first tasks; the rest stays blocked."""
    lane = _lane(spot, len(command.tasks))
    tasks = [
        Task(
            **_common(spot, command.step, command.round, lane),
            item=item,
            input=given,
            capability=command.capability,
            state=TaskState.READY if place < command.ready else TaskState.BLOCKED,
        )
        for place, (item, given) in enumerate(command.tasks)
    ]
    Task.objects.bulk_create(tasks, batch_size=1000)
    announce(spot, [task for task in tasks if task.state == TaskState.READY])
    return ()


def offer_more(spot: Spot, command: do.OfferMore) -> Iterable[Event]:
    """Offer the next blocked tasks, in item order."""
    rows = Task.objects.filter(run=spot.run, step=command.step, round=command.round, state=TaskState.BLOCKED)
    chosen = list(rows.filter(answers=[]).order_by("item")[: command.count])
    for task in chosen:
        task.state = TaskState.READY
    Task.objects.filter(pk__in=[task.pk for task in chosen]).update(state=TaskState.READY, order_at=spot.now)
    announce(spot, chosen)
    return ()


def retry_task(spot: Spot, command: do.RetryTask) -> Iterable[Event]:
    """Offer an item again, after its wait. It keeps the count of its tries."""
    before = spot.tried if spot.tried and _is_of(spot.tried, command) else None
    lane = _lane(spot, 1)
    task = Task.objects.create(
        **_common(spot, command.step, command.round, lane),
        item=command.item,
        input=command.input,
        capability=command.capability,
        state=TaskState.SCHEDULED if command.wait_s > 0 else TaskState.READY,
        not_before=spot.now + timedelta(seconds=command.wait_s) if command.wait_s > 0 else None,
        number=_number(spot, command, before),
        failures=before.failures if before and before.capability == command.capability else 0,
        answers=before.answers if before else [],
    )
    if task.state == TaskState.READY:
        announce(spot, [task])
    return ()


def _is_of(task: Task, command: do.RetryTask) -> bool:
    return (task.step, task.round, task.item) == (command.step, command.round, command.item)


def _number(spot: Spot, command: do.RetryTask, before: Task | None) -> int:
    if before:
        return before.number + 1
    tries = Attempt.objects.filter(run=spot.run, step=command.step, round=command.round, item=command.item)
    return (tries.aggregate(last=Max("number"))["last"] or 0) + 1


def _lane(spot: Spot, count: int) -> Lane:
    """What a person's decision set off goes first, crowds last."""
    if count >= BULK:
        return Lane.BULK
    return Lane.HUMAN if spot.actor.is_human else Lane.NORMAL


def _common(spot: Spot, step: str, round_: int, lane: Lane) -> dict[str, Any]:
    return {
        "run": spot.run,
        "workflow_id": spot.run.workflow_id,
        "unit_id": spot.run.unit_id,
        "step": step,
        "round": round_,
        "lane": lane,
        "order_at": spot.now - timedelta(seconds=LANE_BONUS_S[lane]),
        "timeout_s": spot.step(step).timeout_s,
    }


def announce(spot: Spot, tasks: list[Task]) -> None:
    """Say in the ledger that tasks are on offer; whoever waits for tasks hears it."""
    changes = [
        Change(task, "ready", {"step": task.step, "item": task.item, "capability": task.capability, "try": task.number})
        for task in tasks
    ]
    record_many(spot.principal, changes, trail=spot.run.pk, unit=spot.run.unit_id)
