"""One advance of one run: events through the planner, its commands done, until nothing more follows at once."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction

from apps.core.models import User
from apps.workflows.models import Run, Task
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.planner import Planner
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import Event
from apps.workflows.rules.states import RunState
from apps.workflows.services.engine import ending, offering, operations, people, timing
from apps.workflows.services.engine.loading import view_of
from apps.workflows.services.engine.place import Spot
from apps.workflows.services.engine.saving import Rows

DOERS: dict[type[Any], Callable[[Spot, Any], Iterable[Event]]] = {
    do.OfferTasks: offering.offer_tasks,
    do.OfferMore: offering.offer_more,
    do.RetryTask: offering.retry_task,
    do.SubmitOperation: operations.submit_operation,
    do.Compensate: operations.compensate,
    do.AskPeople: people.ask_people,
    do.RaiseException: people.raise_exception,
    do.SetTimer: timing.set_timer,
    do.StopStep: ending.stop_step,
    do.SettleStep: ending.settle_step,
    do.Reopen: ending.reopen,
    do.EndRun: ending.end_run,
}
"""Who does what the planner wants; a doer answers with the events that follow at once."""


@transaction.atomic(savepoint=False)
def advance_run(actor: User, *, run: Run, events: Iterable[Event], tried: Task | None = None) -> Run:
    """Take a run (locked by the caller) through ``events`` to where it rests again.

    ``tried`` is the task whose try has just ended: the next one goes on counting from it. A paused run takes nothing
    but its end; whoever brings something else keeps it until the run is resumed.
    """
    if run.is_over:
        return run
    assert run.state != RunState.PAUSED, "A paused run takes no events."
    definition = definition_of_version(run.version_id)
    view, steps, now = view_of(run)
    rows = Rows(actor, run, definition, steps, now, tried)
    planner = Planner(definition, view)
    spot = Spot(actor, run, definition, view, now, tried)
    todo = deque(events)
    while todo:
        commands = planner.on(todo.popleft())
        rows.save(view)
        rows.tell()
        for command in commands:
            todo.extend(DOERS[type(command)](spot, command))
    rows.close(view)
    ending.pass_on(spot)
    return run
