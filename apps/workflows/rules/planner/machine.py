"""The planner's door: one event in, commands out, the state changed in memory."""

from typing import Any

from apps.workflows.rules.definition import Definition, StepDef
from apps.workflows.rules.expressions import StepError
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.planner.entering import start_what_can, submit, submit_next
from apps.workflows.rules.planner.plan import Plan
from apps.workflows.rules.planner.state import CompensationView, RunView, StepView
from apps.workflows.rules.planner.unwinding import (
    compensation_ended,
    compensation_resolved,
    ended_while_stopping,
    stopped,
    unwind,
)
from apps.workflows.rules.states import CompensationState, Kind, Outcome, RunState, StepState, TimerKind, Unwinding


class Planner:
    """Advances one run in memory. What it wants done is answered by ``on``; what it knows is ``run``."""

    def __init__(self, definition: Definition, run: RunView) -> None:
        self.definition = definition
        self.run = run

    def on(self, event: on.Event) -> list[do.Command]:
        """Take ``event`` to where the run rests again. Events of what has ended change nothing."""
        if self.run.is_over:
            return []
        plan = Plan(self.definition, self.run)
        try:
            _take(plan, event)
        except StepError as error:  # the inputs of an item that could be filled before cannot be filled again
            plan.end(Unwinding.FAILED, "expression_error", str(error))
        while _goes_on(plan):
            pass
        _rest(plan)
        return plan.commands


def _goes_on(plan: Plan) -> bool:
    return unwind(plan) or (not plan.run.is_over and start_what_can(plan))


def _take(plan: Plan, event: on.Event) -> None:
    match event:
        case on.Started():
            if plan.definition.sla:
                plan.emit(do.SetTimer(TimerKind.SLA, plan.definition.sla.after_s))
        case on.TimerFired():
            _timer(plan, event)
        case on.EndRequested():
            plan.end(event.kind, event.code, event.message, compensate=event.compensate)
        case on.CompensationEnded():
            compensation_ended(plan, event)
        case on.CompensationResolved():
            compensation_resolved(plan, event)
        case _:
            _take_named(plan, event)


def _take_named(plan: Plan, event: on.StepEvent) -> None:
    if isinstance(event, on.ExceptionResolved) and not event.step:
        if event.resolution == "fail":
            plan.end(Unwinding.FAILED, "failed_by_person", event.note or "A person let it fail.")
    elif view := plan.current(event.step, event.round):
        _take_step(plan, plan.definition.steps[event.step], view, event)


def _take_step(plan: Plan, step: StepDef, view: StepView, event: on.StepEvent) -> None:
    _count(view, event)
    if isinstance(event, on.OperationsStopped):
        stopped(plan, view, event.in_flight)
    elif view.stopping:
        _take_stopping(plan, view, event)
    elif isinstance(event, on.ItemDone | on.ItemFailed | on.ItemRefused):
        _take_item(plan, step, view, event)
    elif isinstance(event, on.PeopleAnswered):
        plan.close(step, view, StepState.DONE, event.outcome, event.output)
    elif isinstance(event, on.ExceptionResolved):
        _resolved(plan, step, view, event)
    elif view.total is None:
        view.with_people, view.changed = event.with_people, True


def _count(view: StepView, event: on.StepEvent) -> None:
    match event:
        case on.ItemDone():
            view.tries, view.agent, view.by_hand = view.tries + 1, event.agent, view.by_hand or event.by_hand
        case on.ItemFailed():
            view.tries, view.failures, view.agent = view.tries + 1, view.failures + 1, event.agent
        case on.ExceptionResolved():
            view.by_hand = True
        case on.PeopleAnswered():
            view.overdue = view.overdue or event.overdue
    view.changed = True


def _take_stopping(plan: Plan, view: StepView, event: on.StepEvent) -> None:
    match event:
        case on.ItemDone():
            ended_while_stopping(plan, view, output=event.output, done=True)
        case on.ItemFailed() | on.ItemRefused():
            ended_while_stopping(plan, view)


def _take_item(plan: Plan, step: StepDef, view: StepView, event: on.ItemDone | on.ItemFailed | on.ItemRefused) -> None:
    match event:
        case on.ItemDone():
            _item_done(plan, step, view, event)
        case on.ItemFailed():
            plan.fail_item(step, view, event)
            _go_on(plan, step, view)
        case on.ItemRefused():
            _item_refused(plan, step, view, event)


def _item_done(plan: Plan, step: StepDef, view: StepView, event: on.ItemDone) -> None:
    view.pending, view.done, view.changed = view.pending - 1, view.done + 1, True
    if view.total is None:
        plan.finish(step, view, event.output)
        return
    plan.after_item(step, view)
    _go_on(plan, step, view)


def _go_on(plan: Plan, step: StepDef, view: StepView) -> None:
    """An item of for_each ended and the step goes on: offer what may be offered now."""
    if view.total is None or not view.is_open:
        return
    if step.kind is Kind.OPERATION:
        submit_next(plan, step, view)
    elif step.max_parallel:
        plan.emit(do.OfferMore(step.name, view.round, 1))


def _item_refused(plan: Plan, step: StepDef, view: StepView, event: on.ItemRefused) -> None:
    if view.total is not None:
        plan.give_up(step, view)
        _go_on(plan, step, view)
        return
    named = (step.name, event.outcome) in plan.definition.used_edges or event.outcome in step.back
    if event.outcome == "changes_requested" and not named:
        reason = "People asked for changes that nobody in this step can make."
        plan.fail_item(step, view, on.ItemFailed(step.name, view.round, event.item, event.outcome, reason))
        return
    plan.close(step, view, StepState.DONE, event.outcome, event.answer)


def _resolved(plan: Plan, step: StepDef, view: StepView, event: on.ExceptionResolved) -> None:
    view.with_people, view.changed = False, True
    if event.resolution == "fail":
        plan.fail_for_good(step, view, "failed_by_person", event.note or "A person let it fail.")
    elif event.item is not None and not step.is_human:
        _resolved_item(plan, step, view, event.item, event)
    elif event.resolution == "retry":
        _start_over(plan, view)
    elif event.resolution == "skip":
        plan.go_on_without(step, view)


def _resolved_item(plan: Plan, step: StepDef, view: StepView, item: int, event: on.ExceptionResolved) -> None:
    match event.resolution:
        case "retry" if step.kind is Kind.OPERATION:
            submit(plan, step, view, item)
        case "retry":
            plan.offer_again(step, view, item, step.target)
        case "skip":
            plan.give_up(step, view)
            _go_on(plan, step, view)
        case "complete":
            _item_done(plan, step, view, on.ItemDone(step.name, view.round, item, event.output))


def _start_over(plan: Plan, view: StepView) -> None:
    """The step as a whole begins again, as its next round."""
    plan.emit(do.StopStep(view.name, view.round, operations=False))
    plan.emit(do.Reopen(((view.name, view.round),), view.name))
    plan.run.retire(view)


def _timer(plan: Plan, event: on.TimerFired) -> None:
    match event.kind:
        case TimerKind.SLA:
            _late(plan)
        case TimerKind.COMPENSATE:
            for compensation in plan.run.compensations:
                if compensation.position == event.item and compensation.state == CompensationState.OPEN:
                    plan.emit(do.Compensate(event.item))
        case _:
            view = plan.current(event.step, event.round)
            if view and not view.stopping:
                _step_timer(plan, plan.definition.steps[event.step], view, event)


def _late(plan: Plan) -> None:
    sla = plan.definition.sla
    if sla is None or plan.run.unwinding:
        return
    message = "The run is not finished within its service level."
    if sla.then == "fail":
        plan.end(Unwinding.FAILED, "sla", message)
    else:
        plan.emit(do.RaiseException("", 0, None, "sla", message, ("acknowledge", "fail"), sla.to))


def _step_timer(plan: Plan, step: StepDef, view: StepView, event: on.TimerFired) -> None:
    match event.kind:
        case TimerKind.RETRY:
            submit(plan, step, view, event.item)
        case TimerKind.WITHIN:
            assert view.total is not None
            need = min(step.join.min or view.total, view.total)
            if step.join.min is not None and view.done >= need:
                plan.join(step, view)
            else:
                plan.fail(step, view, "join_late", f"Only {view.done} of {need} items were done in time.")
        case TimerKind.DUE if step.due:
            view.overdue = view.changed = True
            if step.due.then == "fail":
                plan.fail_for_good(step, view, "due", "Nobody answered in time.")
            else:
                answer: Any = {"outcome": step.due.outcome, "reason": "", "decided_by": [], "decided_at": None}
                plan.close(step, view, StepState.DONE, step.due.outcome, answer)


def _rest(plan: Plan) -> None:
    """Nothing more follows by itself: the run is over, or what it waits for is its state."""
    run = plan.run
    if run.is_over:
        return
    if any(unwind.is_final for unwind in run.unwinding):
        failed = any(c.state == CompensationState.FAILED for c in run.compensations)
        run.state = RunState.COMPENSATION_FAILED if failed else RunState.COMPENSATING
        return
    views = [view for view in run.steps.values() if view.is_open]
    if views or run.unwinding:
        run.state = RunState.WAITING if _waits(run, views) else RunState.RUNNING
        return
    run.state, run.outcome = RunState.SUCCEEDED, _outcome(plan)
    run.output = {name: run.outputs[name] for name in plan.definition.graph.last if name in run.outputs}
    plan.emit(do.EndRun())


def _waits(run: RunView, views: list[StepView]) -> bool:
    if run.unwinding:
        moving: list[CompensationView] = [c for c in run.compensations if c.state == CompensationState.OPEN]
        return not moving and all(view.with_people for view in views)
    return all(view.with_people for view in views)


def _outcome(plan: Plan) -> str:
    """``rejected`` or ``expired`` when people ended a path so; else ``completed``."""
    ends = {
        view.outcome
        for name, view in plan.run.steps.items()
        if view.state == StepState.DONE and plan.definition.ends_path(name, view.outcome)
    }
    if ends - {"expired"}:
        return Outcome.REJECTED
    return Outcome.EXPIRED if ends else Outcome.COMPLETED
