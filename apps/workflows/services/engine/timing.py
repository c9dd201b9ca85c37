"""Timers of runs."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from apps.access.models import Queue
from apps.access.rules import due_after
from apps.access.selectors import open_hours_of
from apps.workflows.models import Run, Timer
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import Event
from apps.workflows.rules.states import TimerKind
from apps.workflows.services.engine.place import Spot


def set_timer(spot: Spot, command: do.SetTimer) -> Iterable[Event]:
    """Let something happen later, by the database's clock."""
    fire_at = _due_of(spot, command) or spot.now + timedelta(seconds=command.after_s)
    Timer.objects.create(
        run=spot.run, kind=command.kind, step=command.step, round=command.round, item=command.item, fire_at=fire_at
    )
    if command.kind == TimerKind.SLA:
        Run.objects.filter(pk=spot.run.pk).update(due_at=fire_at)
        spot.run.due_at = fire_at
    return ()


def _due_of(spot: Spot, command: do.SetTimer) -> datetime | None:
    """When people must have answered, by the open hours of their queue: the time that their item shows."""
    due = spot.step(command.step).due if command.kind == TimerKind.DUE else None
    queue = Queue.objects.filter(slug=spot.step(command.step).queue).first() if due else None
    return due_after(spot.now, open_hours_of(queue), due.after_s, due.unit) if due and queue else None
