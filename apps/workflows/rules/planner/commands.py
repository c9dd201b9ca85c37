"""What the planner wants done. Rows of the run and its steps are saved from the state; these are the rest."""

from dataclasses import dataclass, field
from typing import Any

from apps.workflows.rules.definition import Voters
from apps.workflows.rules.states import TimerKind


@dataclass(frozen=True, slots=True)
class OfferTasks:
    """Put tasks in the hot queue; those after the first ``ready`` stay blocked until ``OfferMore``."""

    step: str
    round: int
    capability: str
    tasks: tuple[tuple[int, Any], ...]
    ready: int


@dataclass(frozen=True, slots=True)
class OfferMore:
    """Offer the next ``count`` blocked tasks."""

    step: str
    round: int
    count: int


@dataclass(frozen=True, slots=True)
class RetryTask:
    """Offer the task of an item again after ``wait_s``."""

    step: str
    round: int
    item: int
    capability: str
    input: Any
    wait_s: float


@dataclass(frozen=True, slots=True)
class SubmitOperation:
    """Ask for an operation in the workflow's own name."""

    step: str
    round: int
    item: int
    operation: str
    parameters: Any


@dataclass(frozen=True, slots=True)
class AskPeople:
    """Open the inbox item of an approval or form step; every group, its ``needed`` a number here, must agree."""

    step: str
    round: int
    subject: Any
    context: dict[str, Any]
    groups: tuple[Voters, ...]
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RaiseException:
    """Ask people how to go on. ``item`` None: the step as a whole; ``position``: a compensation; no step: the run."""

    step: str
    round: int
    item: int | None
    code: str
    message: str
    resolutions: tuple[str, ...]
    queue: str | None = None
    schema: Any = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire an event after ``after_s``. Timers of a step go when it ends. ``item`` may be a compensation's position."""

    kind: TimerKind
    after_s: float
    step: str = ""
    round: int = 0
    item: int = 0


@dataclass(frozen=True, slots=True)
class StopStep:
    """Take back what is offered or asked for a step. ``operations``: answer with OperationsStopped."""

    step: str
    round: int
    operations: bool


@dataclass(frozen=True, slots=True)
class SettleStep:
    """A step ended: its timers and open inbox items go; tasks that still run may end, or go with ``cancel``."""

    step: str
    round: int
    cancel: bool


@dataclass(frozen=True, slots=True)
class Compensate:
    """Ask for the operation that takes an effect back."""

    position: int


@dataclass(frozen=True, slots=True)
class Reopen:
    """These rounds became history (``RunView.past``): what still runs for them goes."""

    rounds: tuple[tuple[str, int], ...] = field(default_factory=tuple)
    cause: str = ""


@dataclass(frozen=True, slots=True)
class EndRun:
    """The run is over: everything that is open goes, its exclusive key passes on."""


type Command = (
    OfferTasks
    | OfferMore
    | RetryTask
    | SubmitOperation
    | AskPeople
    | RaiseException
    | SetTimer
    | StopStep
    | SettleStep
    | Compensate
    | Reopen
    | EndRun
)
