"""What every part of the planner does: close a step, fail one, send work back, end the run."""

from collections.abc import Mapping
from typing import Any

from apps.workflows.rules.definition import Back, Definition, StepDef
from apps.workflows.rules.expressions import Evaluator, StepError, View, named_steps
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner.events import ItemFailed
from apps.workflows.rules.planner.state import RunView, StepView, Unwind
from apps.workflows.rules.states import CompensationState, Kind, StepState, TimerKind, Unwinding

CONTINUED = "continued"
"""The outcome of a failed step that the run goes on without."""

CHOICES = ("retry", "skip", "fail")
"""How people may go on with what failed."""


class Plan:
    """The definition, the state, and the commands so far."""

    def __init__(self, definition: Definition, run: RunView) -> None:
        self.definition = definition
        self.run = run
        self.commands: list[do.Command] = []

    def emit(self, command: do.Command) -> None:
        """Ask for one thing more."""
        self.commands.append(command)
        if isinstance(command, do.SetTimer | do.AskPeople | do.RaiseException) and (
            view := self.run.steps.get(command.step)
        ):
            view.changed = True
            if isinstance(command, do.SetTimer):
                view.timed = True
            else:
                view.asked = True

    def current(self, name: str, round_: int) -> StepView | None:
        """The step if this is its current round and it is open."""
        view = self.run.steps.get(name)
        return view if view and view.round == round_ and view.is_open else None

    def evaluator(self, step: StepDef, *, own: Any = None, with_own: bool = False, item: Any = None) -> Evaluator:
        """Expressions of ``step`` on the outputs that they name; ``own`` stands for its own output."""
        names = self.reads(step)
        steps = {name: self.run.outputs[name] for name in names if name in self.run.outputs}
        if with_own:
            steps[step.name] = own
        return Evaluator(View(self.run.input, self.run.facts, steps, item))

    def reads(self, step: StepDef) -> frozenset[str]:
        """The steps whose outputs the expressions of ``step`` name."""
        texts = [step.when, step.for_each, step.subject, step.value, *step.exclude, *step.context.values()]
        texts += [text for _, text in step.decide]
        texts += [voters.needed for voters in step.quorum if isinstance(voters.needed, str)]
        texts += _texts(step.inputs)
        texts += _texts(step.compensate.inputs) if step.compensate else []
        return frozenset().union(*(named_steps(text) for text in texts if text))

    # A step ends

    def finish(self, step: StepDef, view: StepView, output: Any) -> None:
        """Close a step that did its work; ``decide`` names the outcome. No condition that holds is an error."""
        self.run.keep(view, output)
        try:
            outcome = self._decided(step, output)
        except StepError as error:
            self.fail(step, view, "expression_error", str(error))
            return
        if outcome is None:
            self.fail(step, view, "undecided", "No condition of “decide” holds.")
            return
        self.close(step, view, StepState.DONE, outcome, output)

    def _decided(self, step: StepDef, output: Any) -> str | None:
        if not step.decide:
            return "done"
        evaluator = self.evaluator(step, own=output, with_own=True)
        return next((name for name, condition in step.decide if evaluator.holds(condition)), None)

    def close(self, step: StepDef, view: StepView, state: StepState, outcome: str | None, output: Any = None) -> None:
        """End the round, with everything that still hangs on it; send the work back where the document says so."""
        self.run.places += 1
        view.state, view.outcome, view.place, view.changed = state, outcome, self.run.places, True
        view.with_people = False
        if state == StepState.DONE:
            self.run.keep(view, output)
        cancel = step.join.cancel_rest or view.outcome == CONTINUED or step.join.min is None
        self.emit(do.SettleStep(step.name, view.round, cancel))
        if outcome and (back := step.back.get(outcome)):
            self._send_back(step, back, outcome)

    def _send_back(self, step: StepDef, back: Back, outcome: str) -> None:
        taken = self.run.taken.get((step.name, outcome), 0)
        if taken >= back.max:
            if back.otherwise == "fail":
                message = f"{step.name} ended with {outcome} more than {back.max} times."
                self.end(Unwinding.FAILED, "rework_limit", message)
            return
        self.run.taken[step.name, outcome] = taken + 1
        if not any(unwind.is_final for unwind in self.run.unwinding):
            region = self.definition.graph.region(back.to)
            self.run.unwinding.append(Unwind(Unwinding.REWORK, region, step.name))

    # A try fails

    def fail_item(self, step: StepDef, view: StepView, event: ItemFailed) -> None:
        """Try again while tries are left; then what ``on_error`` says."""
        if event.retryable and event.failures <= step.retry.max:
            self._retry(step, view, event)
            return
        if view.total is None:
            view.error, view.changed = {"code": event.code, "message": event.message}, True
        match step.on_error.then:
            case "reroute" if event.capability in ("", step.target):
                self._reroute(step, view, event)
            case "continue":
                self.give_up(step, view)
            case "fail":
                self.fail_for_good(step, view, event.code, event.message)
            case "outcome":
                self.close(step, view, StepState.DONE, step.on_error.outcome)
            case _:
                self._raise(step, view, event)

    def fail_for_good(self, step: StepDef, view: StepView, code: str, message: str) -> None:
        """The step failed, and the run with it. Operations in flight are waited for before the step ends."""
        if step.kind is not Kind.OPERATION or view.total is None:
            view.error, view.pending = {"code": code, "message": message}, 0
            self.close(step, view, StepState.FAILED, None)
        self.end(Unwinding.FAILED, code, f"{step.name}: {message}")

    def _retry(self, step: StepDef, view: StepView, event: ItemFailed) -> None:
        wait_s = step.retry.wait_s(event.failures, event.jitter)
        if step.kind is Kind.OPERATION:
            self.emit(do.SetTimer(TimerKind.RETRY, wait_s, step.name, view.round, event.item))
        else:
            self.offer_again(step, view, event.item, event.capability or step.target, wait_s)

    def offer_again(self, step: StepDef, view: StepView, item: int, capability: str, wait_s: float = 0) -> None:
        """Put an agent's item back in the queue."""
        self.emit(do.RetryTask(step.name, view.round, item, capability, self.inputs(step, item), wait_s))

    def inputs(self, step: StepDef, item: int) -> Any:
        """What ``with`` gives for an item. Raises StepError."""
        value = self.run.items[step.name][item] if step.for_each else None
        return self.evaluator(step, item=value).fill(step.inputs)

    def _reroute(self, step: StepDef, view: StepView, event: ItemFailed) -> None:
        if step.on_error.to_people:
            self._raise(step, view, event, complete=True)
        else:
            self.offer_again(step, view, event.item, step.on_error.to or step.target)

    def _raise(self, step: StepDef, view: StepView, event: ItemFailed, *, complete: bool = False) -> None:
        if view.total is None:
            view.with_people, view.changed = True, True
        choices = ("complete", *CHOICES) if complete else CHOICES
        schema = step.schema if complete else None
        self.emit(
            do.RaiseException(
                step.name, view.round, event.item, event.code, event.message, choices, step.on_error.to, schema
            )
        )

    def fail(self, step: StepDef, view: StepView, code: str, message: str) -> None:
        """Fail a step as a whole: what ``on_error`` says, without further tries."""
        view.error, view.changed = {"code": code, "message": message}, True
        match step.on_error.then:
            case "continue":
                self.go_on_without(step, view)
            case "fail":
                self.fail_for_good(step, view, code, message)
            case "outcome":
                self.close(step, view, StepState.DONE, step.on_error.outcome)
            case _:
                view.with_people = True
                to = step.on_error.to if step.on_error.to_people else None
                self.emit(do.RaiseException(step.name, view.round, None, code, message, _choices(step, view), to))

    def go_on_without(self, step: StepDef, view: StepView) -> None:
        """Close a step that failed, and let the run go on through it."""
        self.close(step, view, StepState.FAILED, CONTINUED)

    def give_up(self, step: StepDef, view: StepView) -> None:
        """An item ends without output."""
        if view.total is None:
            self.go_on_without(step, view)
            return
        view.pending, view.dropped, view.changed = view.pending - 1, view.dropped + 1, True
        self.after_item(step, view)

    # for_each

    def after_item(self, step: StepDef, view: StepView) -> None:
        """An item of for_each ended: join, give up, or offer the next."""
        assert view.total is not None
        need = min(step.join.min or view.total, view.total)
        left = view.pending + (view.total - view.offered)
        if (step.join.min is not None and view.done >= need) or left == 0:
            if step.join.min is not None and view.done < need:
                self.fail(step, view, "join_short", f"Only {view.done} of {need} items were done.")
            else:
                self.join(step, view)
        elif step.join.min is not None and view.done + left < need:
            self.fail(step, view, "join_short", f"At most {view.done + left} of {need} items can still be done.")

    def join(self, step: StepDef, view: StepView) -> None:
        """Close a for_each with the outputs of the items that were done, in item order."""
        done = self.run.item_outputs(step.name, view.round) if view.done else []
        self.finish(step, view, [output for _, output in done])

    # The run ends

    def end(self, kind: Unwinding, code: str, message: str, *, compensate: bool = True) -> None:
        """Begin to fail or cancel: everything open stops, what is done is taken back, then the run is over."""
        run = self.run
        if run.is_over or any(unwind.is_final for unwind in run.unwinding):
            return
        error = {"code": code, "message": message}
        for compensation in run.compensations:
            if compensation.state == CompensationState.PENDING:
                compensation.state, compensation.changed = CompensationState.DROPPED, True
        everything = frozenset(self.definition.steps)
        run.unwinding = [Unwind(kind, everything, planned=not compensate, error=error)]
        run.error = error


def _choices(step: StepDef, view: StepView) -> tuple[str, ...]:
    """A step as a whole may start over unless effects of it exist: those would happen twice."""
    acted = step.kind is Kind.OPERATION and (view.done or view.pending)
    return CHOICES[1:] if acted else CHOICES


def _texts(template: Any) -> list[str]:
    match template:
        case str():
            return [template]
        case Mapping():
            return [text for value in template.values() for text in _texts(value)]
        case list() | tuple():
            return [text for value in template for text in _texts(value)]
        case _:
            return []
