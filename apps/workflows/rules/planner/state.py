"""What the planner knows of a run."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from apps.workflows.rules.states import CompensationState, RunState, StepState, Unwinding


class Unset:
    """The type of what was not touched."""


UNSET = Unset()


@dataclass(slots=True)
class StepView:
    """The current round of one step. ``total`` is None for a step without for_each (it then has the one item 0).

    ``pending`` counts items that have not ended, ``offered`` items handed out, ``dropped`` items given up.
    ``place`` is when it ended among the run's steps. ``asked`` and ``timed`` say that inbox items and timers were made.
    ``tries``, ``failures``, ``agent``, ``by_hand`` and ``overdue`` are for those who look. ``changed`` asks the engine
    to save it, ``output`` and ``items`` only when they were set.
    """

    name: str
    round: int
    state: StepState = StepState.PENDING
    outcome: str | None = None
    total: int | None = None
    pending: int = 1
    done: int = 0
    dropped: int = 0
    offered: int = 0
    place: int = 0
    with_people: bool = False
    stopping: bool = False
    asked: bool = False
    timed: bool = False
    overdue: bool = False
    by_hand: bool = False
    tries: int = 0
    failures: int = 0
    agent: str = ""
    error: dict[str, str] | None = None
    output: Any = UNSET
    items: Any = UNSET
    changed: bool = True

    @property
    def is_open(self) -> bool:
        """Whether its work goes on."""
        return self.state == StepState.OPEN

    @property
    def has_run(self) -> bool:
        """Whether it ended by doing its work, or by going on without."""
        return self.state in (StepState.DONE, StepState.FAILED)


@dataclass(slots=True)
class CompensationView:
    """One effect to take back, in the order of ``position``."""

    position: int
    step: str
    round: int
    item: int
    operation: str
    parameters: Any
    state: CompensationState = CompensationState.PENDING
    failures: int = 0
    error: dict[str, str] | None = None
    changed: bool = True


@dataclass(slots=True)
class Unwind:
    """Work being taken back: the region of a rework, or everything when the run fails or is cancelled."""

    kind: Unwinding
    region: frozenset[str]
    cause: str = ""
    planned: bool = False
    error: dict[str, str] | None = None

    @property
    def is_final(self) -> bool:
        """Whether the run ends with it."""
        return self.kind is not Unwinding.REWORK


@dataclass(slots=True)
class RunView:
    """A run as the planner sees it. ``steps`` holds current rounds only; a step that is absent is pending.

    ``outputs`` and ``items`` (the lists of for_each) are by step name and may load lazily. ``item_outputs`` gives the
    outputs of the done items of a round as (item, output), in item order. ``past`` are rounds that became history.
    """

    facts: dict[str, str]
    input: Any = None
    state: RunState = RunState.RUNNING
    steps: dict[str, StepView] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    unwinding: list[Unwind] = field(default_factory=list)
    compensations: list[CompensationView] = field(default_factory=list)
    outputs: MutableMapping[str, Any] = field(default_factory=dict)
    items: MutableMapping[str, list[Any]] = field(default_factory=dict)
    past: list[StepView] = field(default_factory=list)
    item_outputs: Callable[[str, int], list[tuple[int, Any]]] = lambda step, round_: []
    outcome: str | None = None
    output: Any = None
    error: dict[str, str] | None = None
    places: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.state in (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED)

    def keep(self, view: StepView, output: Any) -> None:
        """Note a step's output."""
        view.output, view.changed = output, True
        self.outputs[view.name] = output

    def retire(self, view: StepView) -> None:
        """Make a round history; the next one may start."""
        view.changed = True
        self.past.append(view)
        del self.steps[view.name]
        self.outputs.pop(view.name, None)
        self.items.pop(view.name, None)

    @property
    def frozen(self) -> frozenset[str]:
        """Steps that may not start, because they are being taken back."""
        return frozenset().union(*(unwind.region for unwind in self.unwinding))
