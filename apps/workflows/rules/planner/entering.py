"""Starting steps: which may start, and what each kind asks for."""

from dataclasses import replace
from enum import Enum, auto
from typing import Any

from apps.workflows.rules.definition import Edge, StepDef, Voters
from apps.workflows.rules.expressions import Evaluator, StepError
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import ItemFailed
from apps.workflows.rules.planner.plan import CONTINUED, Plan
from apps.workflows.rules.planner.state import StepView
from apps.workflows.rules.schema import MAX_QUORUM
from apps.workflows.rules.states import Kind, StepState, TimerKind, Unwinding

MAX_ITEMS = 10_000
MAX_ROUNDS = 2_000
OPERATIONS_AT_ONCE = 20


class Way(Enum):
    """What an edge, or all edges of a step together, say."""

    OPEN = auto()
    LIVE = auto()
    DEAD = auto()


def edge_way(plan: Plan, edge: Edge) -> Way:
    """Whether an edge leads on, never will, or is not known yet."""
    view = plan.run.steps.get(edge.source)
    if view is None or view.is_open:
        return Way.OPEN
    step = plan.definition.steps[edge.source]
    match view.state:
        case StepState.SKIPPED:
            live = edge.outcome is None
        case StepState.DONE:
            live = view.outcome == edge.outcome if edge.outcome else step.flows_through(view.outcome)
        case StepState.FAILED:
            live = edge.outcome is None and view.outcome == CONTINUED
        case _:
            live = False
    return Way.LIVE if live else Way.DEAD


def way_in(plan: Plan, step: StepDef) -> Way:
    """A step waits until all its edges are known; one live edge is enough, none means that it is dead."""
    ways = [edge_way(plan, edge) for edge in step.needs]
    if Way.OPEN in ways:
        return Way.OPEN
    return Way.LIVE if Way.LIVE in ways or not ways else Way.DEAD


def start_what_can(plan: Plan) -> bool:
    """Settle every step whose edges are known, in order; whether anything changed."""
    run = plan.run
    changed = False
    for name in plan.definition.graph.order:
        if any(unwind.is_final for unwind in run.unwinding):
            return changed
        if name in run.steps or name in run.frozen:
            continue
        step = plan.definition.steps[name]
        way = way_in(plan, step)
        if way is Way.OPEN:
            continue
        changed = True
        if sum(run.rounds.values()) >= MAX_ROUNDS:
            plan.end(Unwinding.FAILED, "too_many_rounds", f"A run has at most {MAX_ROUNDS} rounds of steps.")
            return changed
        view = _new_round(plan, name)
        if way is Way.DEAD:
            view.state, view.pending = StepState.DEAD, 0
        else:
            _enter(plan, step, view)
    return changed


def _new_round(plan: Plan, name: str) -> StepView:
    round_ = plan.run.rounds.get(name, 0) + 1
    plan.run.rounds[name] = round_
    view = plan.run.steps[name] = StepView(name, round_)
    return view


def _enter(plan: Plan, step: StepDef, view: StepView) -> None:
    try:
        evaluator = plan.evaluator(step)
        if step.when is not None and not evaluator.holds(step.when):
            view.state, view.pending = StepState.SKIPPED, 0
            return
        view.state = StepState.OPEN
        if step.kind is Kind.RULE:
            assert step.value is not None
            plan.finish(step, view, evaluator.fill(step.value))
        elif step.is_human:
            _ask(plan, step, view, evaluator)
        else:
            _offer(plan, step, view, evaluator)
    except StepError as error:
        view.state = StepState.OPEN
        plan.fail(step, view, "expression_error", str(error))


def _ask(plan: Plan, step: StepDef, view: StepView, evaluator: Evaluator) -> None:
    numbered = [replace(voters, needed=_needed(step, voters, evaluator)) for voters in step.quorum]
    groups = tuple(voters for voters in numbered if voters.needed)
    if not groups:
        raise StepError("Nobody would be asked: each group of the quorum is 0.")
    subject = evaluator.fill(step.subject) if step.subject else None
    context = evaluator.fill(dict(step.context))
    exclude = _names([evaluator.value(text) for text in step.exclude])
    view.with_people = True
    plan.emit(do.AskPeople(step.name, view.round, subject, context, groups, exclude))
    if step.due and step.due.then != "escalate":
        plan.emit(do.SetTimer(TimerKind.DUE, step.due.after_s, step.name, view.round))


def _needed(step: StepDef, voters: Voters, evaluator: Evaluator) -> int:
    """How many of a group must approve. One of several groups may be nobody."""
    least = 0 if len(step.quorum) > 1 else 1
    needed = evaluator.value(voters.needed) if isinstance(voters.needed, str) else voters.needed
    if not isinstance(needed, int) or isinstance(needed, bool) or not least <= needed <= MAX_QUORUM:
        raise StepError(f"{voters.needed}: a quorum is a number from {least} to {MAX_QUORUM}.")
    return needed


def _names(values: Any) -> tuple[str, ...]:
    """Usernames from texts and lists of texts. Anything else is an error: nobody may slip through an exclusion."""
    found: list[str] = []
    for value in values:
        match value:
            case str():
                found += [value] if value else []
            case list():
                found += _names(value)
            case None:
                continue
            case _:
                raise StepError("“exclude” gives usernames or lists of them.")
    return tuple(dict.fromkeys(found))


def _offer(plan: Plan, step: StepDef, view: StepView, evaluator: Evaluator) -> None:
    if step.for_each is not None:
        items = evaluator.fill(step.for_each)
        if not isinstance(items, list):
            raise StepError(f"{step.for_each}: for_each takes a list.")
        if len(items) > MAX_ITEMS:
            raise StepError(f"{step.for_each}: at most {MAX_ITEMS} items.")
        plan.run.items[step.name] = view.items = items
        view.total, view.pending = len(items), 0
        if not items:
            plan.finish(step, view, [])
            return
        if step.join.within_s is not None:
            plan.emit(do.SetTimer(TimerKind.WITHIN, step.join.within_s, step.name, view.round))
    if step.kind is Kind.AGENT:
        _offer_tasks(plan, step, view)
    else:
        submit_next(plan, step, view)


def _offer_tasks(plan: Plan, step: StepDef, view: StepView) -> None:
    count = 1 if view.total is None else view.total
    tasks: list[tuple[int, Any]] = []
    broken: list[tuple[int, str]] = []
    for item in range(count):
        try:
            tasks.append((item, plan.inputs(step, item)))
        except StepError as error:
            if view.total is None:
                raise
            broken.append((item, str(error)))
    view.offered = view.pending = count
    ready = min(step.max_parallel or count, len(tasks))
    if tasks:
        plan.emit(do.OfferTasks(step.name, view.round, step.target, tuple(tasks), ready))
    for item, message in broken:
        _break_item(plan, step, view, item, message)


def submit_next(plan: Plan, step: StepDef, view: StepView) -> None:
    """Ask for the operations of the next items, as far as they may run at once."""
    count = 1 if view.total is None else view.total
    if view.total is None:
        view.pending = 0
    at_once = step.max_parallel or OPERATIONS_AT_ONCE
    while view.is_open and view.offered < count and view.pending < at_once:
        item = view.offered
        view.offered, view.pending, view.changed = view.offered + 1, view.pending + 1, True
        submit(plan, step, view, item)


def submit(plan: Plan, step: StepDef, view: StepView, item: int) -> None:
    """Ask for the operation of one item."""
    try:
        parameters = plan.inputs(step, item)
    except StepError as error:
        _break_item(plan, step, view, item, str(error))
        return
    plan.emit(do.SubmitOperation(step.name, view.round, item, step.target, parameters))


def _break_item(plan: Plan, step: StepDef, view: StepView, item: int, message: str) -> None:
    if view.is_open:
        plan.fail_item(step, view, ItemFailed(step.name, view.round, item, "expression_error", message))
