"""Timers of runs."""

from collections.abc import Iterable
from datetime import timedelta

from apps.workflows.models import Run, Timer
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import Event
from apps.workflows.rules.states import TimerKind
from apps.workflows.services.engine.place import Spot


def set_timer(spot: Spot, command: do.SetTimer) -> Iterable[Event]:
    """Let something happen later, by the database's clock."""
    fire_at = spot.now + timedelta(seconds=command.after_s)
    Timer.objects.create(
        run=spot.run, kind=command.kind, step=command.step, round=command.round, item=command.item, fire_at=fire_at
    )
    if command.kind == TimerKind.SLA:
        Run.objects.filter(pk=spot.run.pk).update(due_at=fire_at)
        spot.run.due_at = fire_at
    return ()
