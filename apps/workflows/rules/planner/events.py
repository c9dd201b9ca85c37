"""What can happen to a run. A step is named with its round: what concerns an earlier round changes nothing."""

from dataclasses import dataclass
from typing import Any

from apps.workflows.rules.states import TimerKind, Unwinding


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins."""


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An agent completed its task, an operation succeeded, or a person did the work instead."""

    step: str
    round: int
    item: int
    output: Any
    agent: str = ""
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """A try failed. ``failures`` counts those of this item with this one; ``jitter`` is a random number in 0..1."""

    step: str
    round: int
    item: int
    code: str
    message: str
    retryable: bool = False
    failures: int = 1
    jitter: float = 1.0
    capability: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ItemRefused:
    """People did not approve the action of an operation step: rejected, expired or changes_requested."""

    step: str
    round: int
    item: int
    outcome: str
    answer: Any = None


@dataclass(frozen=True, slots=True)
class ItemWaits:
    """An item came to wait for people, or no longer does."""

    step: str
    round: int
    with_people: bool


@dataclass(frozen=True, slots=True)
class PeopleAnswered:
    """An approval or form step was decided, or expired."""

    step: str
    round: int
    outcome: str
    output: Any
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class ExceptionResolved:
    """A person said how to go on: retry, skip, fail, or complete with ``output``. ``item`` None: the whole step."""

    step: str
    round: int
    item: int | None
    resolution: str
    output: Any = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer's time has come."""

    kind: TimerKind
    step: str = ""
    round: int = 0
    item: int = 0


@dataclass(frozen=True, slots=True)
class OperationsStopped:
    """What could be cancelled of an operation step was; ``in_flight`` items cannot be called back and will end."""

    step: str
    round: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class CompensationEnded:
    """An effect was taken back, or could not be."""

    position: int
    succeeded: bool
    code: str = ""
    message: str = ""
    retryable: bool = False
    jitter: float = 1.0


@dataclass(frozen=True, slots=True)
class CompensationResolved:
    """A person said how to go on with a compensation that failed: retry, or accept (done by hand, or left)."""

    position: int
    resolution: str


@dataclass(frozen=True, slots=True)
class EndRequested:
    """A person, a halted budget or a deadline ends the run."""

    kind: Unwinding
    code: str
    message: str
    compensate: bool = True


type StepEvent = (
    ItemDone | ItemFailed | ItemRefused | ItemWaits | PeopleAnswered | ExceptionResolved | OperationsStopped
)

type Event = (
    Started
    | ItemDone
    | ItemFailed
    | ItemRefused
    | ItemWaits
    | PeopleAnswered
    | ExceptionResolved
    | TimerFired
    | OperationsStopped
    | CompensationEnded
    | CompensationResolved
    | EndRequested
)
