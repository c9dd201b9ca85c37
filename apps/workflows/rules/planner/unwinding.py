"""Taking work back: stop what is open, compensate what is done in reverse order, then reopen the region or end."""

from typing import Any

from apps.workflows.rules.definition import Retry
from apps.workflows.rules.expressions import StepError
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import CompensationEnded, CompensationResolved
from apps.workflows.rules.planner.plan import Plan
from apps.workflows.rules.planner.state import CompensationView, StepView, Unwind
from apps.workflows.rules.states import CompensationState, Kind, RunState, StepState, TimerKind, Unwinding

DEFAULT_RETRY = Retry(max=3, delay_s=30, factor=3)
"""For compensations of steps that say nothing of retries: leaving things half done is worse than trying again."""

WAITING = frozenset({CompensationState.OPEN, CompensationState.FAILED})


def unwind(plan: Plan) -> bool:
    """Do what can be done now of the first unwinding; whether anything changed."""
    run = plan.run
    if not run.unwinding:
        return False
    first = run.unwinding[0]
    if _is_void(plan, first):
        run.unwinding.pop(0)
        return True
    changed = _stop(plan, first)
    if any(view.is_open for view in _views(plan, first)):
        return changed
    if any(compensation.state in WAITING for compensation in run.compensations):
        return changed
    if pending := [c for c in run.compensations if c.state == CompensationState.PENDING]:
        _start(plan, pending[0])
    elif not first.planned:
        first.planned = True
        run.compensations.extend(_planned(plan, first))
    else:
        _finish(plan, first)
    return True


def _is_void(plan: Plan, first: Unwind) -> bool:
    """A rework whose cause was itself taken back by the rework before it."""
    return not first.is_final and not first.planned and first.cause not in plan.run.steps


def _views(plan: Plan, first: Unwind) -> list[StepView]:
    return [view for name, view in plan.run.steps.items() if name in first.region]


def _stop(plan: Plan, first: Unwind) -> bool:
    changed = False
    for view in _views(plan, first):
        if view.is_open and not view.stopping:
            changed = view.stopping = view.changed = True
            operations = plan.definition.steps[view.name].kind is Kind.OPERATION
            plan.emit(do.StopStep(view.name, view.round, operations))
            if not operations:
                view.state, view.with_people = StepState.CANCELLED, False
    return changed


def stopped(plan: Plan, view: StepView, in_flight: int) -> None:
    """What could be cancelled of an operation step was; the rest will end by itself."""
    view.pending, view.changed = in_flight, True
    _settle_stopped(plan, view)


def ended_while_stopping(plan: Plan, view: StepView, *, output: Any = None, done: bool = False) -> None:
    """An effect that could not be called back has ended; one that succeeded is then taken back like any other."""
    view.pending, view.changed = view.pending - 1, True
    if done:
        view.done += 1
        if view.total is None:
            plan.run.keep(view, output)
    _settle_stopped(plan, view)


def _settle_stopped(plan: Plan, view: StepView) -> None:
    if view.pending > 0:
        return
    plan.run.places += 1
    view.place, view.with_people = plan.run.places, False
    if view.done:
        view.state, view.outcome = StepState.DONE, "stopped"
        if view.total is not None:
            outputs = plan.run.item_outputs(view.name, view.round)
            plan.run.keep(view, [output for _, output in outputs])
    else:
        view.state = StepState.CANCELLED


def _planned(plan: Plan, first: Unwind) -> list[CompensationView]:
    """What has to be taken back, last done first."""
    views = [view for view in _views(plan, first) if view.done and plan.definition.steps[view.name].compensate]
    found: list[CompensationView] = []
    ended = (CompensationState.DONE, CompensationState.ACCEPTED)
    gone = {(c.step, c.round, c.item) for c in plan.run.compensations if c.state in ended}
    position = max((c.position for c in plan.run.compensations), default=0)
    for view in sorted(views, key=lambda view: view.place, reverse=True):
        step = plan.definition.steps[view.name]
        assert step.compensate is not None
        for item, output in reversed(_effects(plan, view)):
            if (view.name, view.round, item) in gone:
                continue
            position += 1
            compensation = CompensationView(position, view.name, view.round, item, step.compensate.operation, None)
            try:
                value = plan.run.items[step.name][item] if view.total is not None else None
                evaluator = plan.evaluator(step, own=output, with_own=True, item=value)
                compensation.parameters = evaluator.fill(step.compensate.inputs)
            except StepError as error:
                compensation.error = {"code": "expression_error", "message": str(error)}
            found.append(compensation)
    return found


def _effects(plan: Plan, view: StepView) -> list[tuple[int, Any]]:
    if view.total is None:
        return [(0, plan.run.outputs.get(view.name))]
    return plan.run.item_outputs(view.name, view.round)


def _start(plan: Plan, compensation: CompensationView) -> None:
    compensation.changed = True
    if compensation.error is not None:
        _fail(plan, compensation)
        return
    compensation.state = CompensationState.OPEN
    plan.emit(do.Compensate(compensation.position))


def compensation_ended(plan: Plan, event: CompensationEnded) -> None:
    """Note the end of a compensation; one that failed is tried again, then people are asked."""
    found = next((c for c in plan.run.compensations if c.position == event.position), None)
    if found is None or found.state != CompensationState.OPEN:
        return
    found.changed = True
    if event.succeeded:
        found.state = CompensationState.DONE
        return
    found.failures += 1
    found.error = {"code": event.code, "message": event.message}
    step = plan.definition.steps[found.step]
    retry = step.retry if step.retry.max else DEFAULT_RETRY
    if event.retryable and found.failures <= retry.max:
        wait_s = retry.wait_s(found.failures, event.jitter)
        plan.emit(do.SetTimer(TimerKind.COMPENSATE, wait_s, item=found.position))
    else:
        _fail(plan, found)


def _fail(plan: Plan, compensation: CompensationView) -> None:
    compensation.state = CompensationState.FAILED
    error = compensation.error or {}
    plan.emit(
        do.RaiseException(
            compensation.step,
            compensation.round,
            compensation.item,
            error.get("code", ""),
            error.get("message", ""),
            ("retry", "accept"),
            position=compensation.position,
        )
    )


def compensation_resolved(plan: Plan, event: CompensationResolved) -> None:
    """A person said: try again, or leave it (done by hand)."""
    found = next((c for c in plan.run.compensations if c.position == event.position), None)
    if found is None or found.state != CompensationState.FAILED:
        return
    found.changed = True
    if event.resolution == "retry" and found.parameters is not None:
        found.state, found.failures, found.error = CompensationState.PENDING, 0, None
    elif event.resolution == "accept":
        found.state = CompensationState.ACCEPTED


def _finish(plan: Plan, first: Unwind) -> None:
    run = plan.run
    run.unwinding.pop(0)
    if first.is_final:
        state = RunState.FAILED if first.kind is Unwinding.FAILED else RunState.CANCELLED
        run.state, run.outcome = state, first.error["code"] if first.error else None
        plan.emit(do.EndRun())
        return
    reopened = _views(plan, first)
    for view in reopened:
        run.retire(view)
    plan.emit(do.Reopen(tuple((view.name, view.round) for view in reopened), first.cause))
