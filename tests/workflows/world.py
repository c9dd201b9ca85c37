"""A world in memory around the planner: it does what commands say, and lets a test say how work ends."""

from dataclasses import dataclass, field
from typing import Any

from apps.workflows.rules.definition import Definition, compile_document, definition_of
from apps.workflows.rules.planner import Planner
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.planner.state import RunView
from apps.workflows.rules.source import read_source


def definition_from(text: str, *, queues: frozenset[str] = frozenset()) -> Definition:
    return definition_of(compile_document(read_source(text).value, queues=queues))


@dataclass
class World:
    definition: Definition
    input: Any = None
    started_by: str = "olga"
    run: RunView = field(init=False)
    trace: list[str] = field(default_factory=list)
    tasks: dict[tuple[str, int], do.OfferTasks] = field(default_factory=dict)
    operations: list[do.SubmitOperation] = field(default_factory=list)
    asked: dict[str, do.AskPeople] = field(default_factory=dict)
    exceptions: list[do.RaiseException] = field(default_factory=list)
    timers: list[do.SetTimer] = field(default_factory=list)
    compensating: list[int] = field(default_factory=list)
    retries: list[do.RetryTask] = field(default_factory=list)
    more: list[do.OfferMore] = field(default_factory=list)
    in_flight: dict[str, int] = field(default_factory=dict)
    done_items: dict[tuple[str, int], dict[int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = {"id": "r", "workflow": self.definition.slug, "key": "", "started_by": self.started_by}
        facts |= {"unit": self.definition.unit, "on_behalf_of": "", "started_at": "2026-01-01T00:00:00Z"}
        self.run = RunView(facts, self.input)
        self.run.item_outputs = lambda step, round_: sorted(self.done_items.get((step, round_), {}).items())
        self.planner = Planner(self.definition, self.run)

    def start(self) -> "World":
        return self.send(on.Started())

    def send(self, event: on.Event) -> "World":
        if isinstance(event, on.ItemDone):
            self.done_items.setdefault((event.step, event.round), {})[event.item] = event.output
        before = {name: (view.round, view.state) for name, view in self.run.steps.items()}
        commands = self.planner.on(event)
        self._note(before)
        for command in commands:
            self._do(command)
        return self

    def _note(self, before: dict[str, tuple[int, str]]) -> None:
        for name, view in [*((view.name, view) for view in self.run.past), *self.run.steps.items()]:
            if before.get(name) != (view.round, view.state):
                self.trace.append(f"{name} {view.state}" + (f" {view.outcome}" if view.outcome else ""))
        self.run.past.clear()
        if self.run.is_over:
            self.trace.append(f"run {self.run.state} {self.run.outcome}")

    def _do(self, command: do.Command) -> None:
        if isinstance(command, do.Compensate):
            self.compensating.append(command.position)
            self.trace.append(f"compensate {self.compensation(command.position).operation}")
        elif isinstance(command, do.Reopen):
            self.trace.append("reopen " + " ".join(name for name, _ in command.rounds))
        elif isinstance(command, do.StopStep) and command.operations:
            self.send(on.OperationsStopped(command.step, command.round, self.in_flight.get(command.step, 0)))
        elif isinstance(command, do.OfferTasks):
            self.tasks[command.step, command.round] = command
        elif isinstance(command, do.AskPeople):
            self.asked[command.step] = command
        else:
            self._keep(command)

    def _keep(self, command: do.Command) -> None:
        lists = {
            do.RetryTask: self.retries,
            do.SubmitOperation: self.operations,
            do.RaiseException: self.exceptions,
            do.SetTimer: self.timers,
            do.OfferMore: self.more,
        }
        if type(command) in lists:
            lists[type(command)].append(command)

    def compensation(self, position: int) -> Any:
        return next(c for c in self.run.compensations if c.position == position)

    # How work ends

    def done(self, step: str, output: Any = None, item: int = 0) -> "World":
        return self.send(on.ItemDone(step, self.run.steps[step].round, item, output))

    def failed(self, step: str, item: int = 0, **more: Any) -> "World":
        more = {"code": "broken", "message": "It broke.", **more}
        return self.send(on.ItemFailed(step, self.run.steps[step].round, item, **more))

    def decided(self, step: str, outcome: str, output: Any = None) -> "World":
        if output is None:
            output = {"outcome": outcome, "reason": "", "decided_by": ["ada"], "decided_at": "2026-01-01T00:00:00Z"}
        return self.send(on.PeopleAnswered(step, self.run.steps[step].round, outcome, output))

    def taken_back(self) -> "World":
        return self.send(on.CompensationEnded(self.compensating[-1], succeeded=True))

    def state(self, step: str) -> str:
        view = self.run.steps.get(step)
        return view.state if view else "pending"
