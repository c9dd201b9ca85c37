"""What goes when a step, a round or a run ends: tasks, timers, inbox items, actions, the exclusive key."""

from collections.abc import Iterable

from django.db.models import Q

from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.agents.services import cancel_action
from apps.audit.services import Change, record_many
from apps.core.errors import ConflictError
from apps.core.services import lock_key
from apps.oversight.services import cancel_escalations
from apps.workflows.models import Attempt, Exclusive, Run, Task, Timer
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import AttemptState, TaskState
from apps.workflows.services.engine.ends import keep_attempt
from apps.workflows.services.engine.place import Spot


def stop_step(spot: Spot, command: do.StopStep) -> Iterable[on.Event]:
    """Take back what is offered or asked for a step; actions that already execute are told as in flight."""
    _drop_tasks(spot, Q(step=command.step, round=command.round))
    _drop_timers(spot, command.step, command.round)
    _drop_items(spot, command.step, command.round)
    if command.operations:
        yield on.OperationsStopped(command.step, command.round, _cancel_actions(spot, command.step, command.round))


def settle_step(spot: Spot, command: do.SettleStep) -> Iterable[on.Event]:
    """A step ended: nothing of it waits any more."""
    view = spot.view.steps.get(command.step)
    if view is None or view.round != command.round or view.timed:
        _drop_timers(spot, command.step, command.round)
    if view is None or view.round != command.round or view.asked:
        _drop_items(spot, command.step, command.round)
    if command.cancel and view is not None and view.total is not None and view.pending > 0:
        _drop_tasks(spot, Q(step=command.step, round=command.round))
        _cancel_actions(spot, command.step, command.round)
    return ()


def reopen(spot: Spot, command: do.Reopen) -> Iterable[on.Event]:
    """What still runs for rounds that became history goes."""
    for name, round_ in command.rounds:
        if spot.step(name).for_each:
            _drop_tasks(spot, Q(step=name, round=round_))
    if command.cause and len(command.rounds) > 1:
        change = Change(
            spot.run, "run.sent_back", {"cause": command.cause, "steps": [name for name, _ in command.rounds]}
        )
        record_many(spot.actor, [change], trail=spot.run.pk, unit=spot.run.unit_id)
    return ()


def end_run(spot: Spot, command: do.EndRun) -> Iterable[on.Event]:
    """The run is over: whatever is left of it goes."""
    _drop_tasks(spot, Q())
    Timer.objects.filter(run=spot.run).delete()
    cancel_escalations(spot.principal, run_id=spot.run.pk, reason="run_over")
    spot.released = True
    return ()


def _drop_timers(spot: Spot, step: str, round_: int) -> None:
    Timer.objects.filter(run=spot.run, step=step, round=round_).delete()


def _drop_tasks(spot: Spot, which: Q) -> None:
    """Withdraw tasks; those under a lease leave an attempt, so that a late answer is known for what it is."""
    rows = list(Task.objects.select_for_update(of=("self",)).filter(which, run=spot.run))
    held = [task for task in rows if task.state == TaskState.CLAIMED]  # what is held has its attempt already
    Attempt.objects.bulk_create(attempt_of(task, AttemptState.CANCELLED) for task in held)
    Task.objects.filter(pk__in=[task.pk for task in rows]).delete()
    changes = [Change(task, "cancelled", {"step": task.step, "item": task.item}) for task in rows]
    record_many(spot.principal, changes, trail=spot.run.pk, unit=spot.run.unit_id)


def attempt_of(task: Task, state: AttemptState) -> Attempt:
    """How a try of ``task`` ended, not yet saved."""
    return Attempt(
        run_id=task.run_id,
        task_id=task.pk,
        step=task.step,
        round=task.round,
        item=task.item,
        number=task.number,
        fence=task.fence,
        state=state,
        capability=task.capability,
        agent_id=task.agent_id,
        version_id=task.version_id,
        queued_at=task.created_at,
        claimed_at=task.claimed_at,
    )


def _drop_items(spot: Spot, step: str, round_: int) -> None:
    """End the step's own inbox items. What an agent asked for in it, and people still weigh, is the agent's."""
    definition = spot.step(step)
    kinds = [definition.kind.value] if definition.is_human else []
    for kind in (*kinds, "exception", "question"):
        cancel_escalations(spot.principal, run_id=spot.run.pk, step=step, round=round_, kind=kind, reason="step_over")


def _cancel_actions(spot: Spot, step: str, round_: int) -> int:
    """Cancel a step's own actions; how many could not be called back."""
    in_flight = 0
    rows = Action.objects.select_for_update(of=("self",)).filter(
        run_id=spot.run.pk, step=step, round=round_, agent=None, purpose="act"
    )
    for action in rows.exclude(state__in=FINAL_ACTIONS).order_by("id"):
        try:
            cancel_action(spot.principal, action=action, reason="step_over")
        except ConflictError:
            in_flight += 1
        else:
            keep_attempt(spot.run, action)
            cancel_escalations(spot.principal, action_id=action.pk, reason="step_over")
    return in_flight


# The exclusive key

RUN_KEYS = 7
"""The space of the locks of these keys."""


def take_key(run: Run) -> bool:
    """Stand in line for the run's exclusive key; whether it holds the key now. True for a run that needs none."""
    if not run.exclusive:
        return True
    lock_key(RUN_KEYS, run.exclusive)
    taken = Exclusive.objects.filter(key=run.exclusive).exists()
    Exclusive.objects.create(run=run, key=run.exclusive, holds=not taken)
    return not taken


def pass_on(spot: Spot) -> None:
    """Give the key of a run that is over to the next in line; the run that gets it starts within a second."""
    run = spot.run
    if not spot.released or not run.exclusive:
        return
    lock_key(RUN_KEYS, run.exclusive)
    Exclusive.objects.filter(run=run).delete()
    if Exclusive.objects.filter(key=run.exclusive, holds=True).exists():
        return
    following = Exclusive.objects.filter(key=run.exclusive).select_related("run").order_by("id").first()
    if following:
        Exclusive.objects.filter(pk=following.pk).update(holds=True)
        record_many(
            spot.principal,
            [Change(following.run, "run.got_key", {"key": run.exclusive, "from": str(run.pk)})],
            trail=following.run_id,
            unit=following.run.unit_id,
        )
