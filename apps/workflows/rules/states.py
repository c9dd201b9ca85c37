"""The words for what runs, steps and tasks are doing."""

from enum import StrEnum

from apps.core.rules import Moves


class Kind(StrEnum):
    """What does a step's work. A step has exactly one."""

    AGENT = "agent"
    OPERATION = "operation"
    APPROVAL = "approval"
    FORM = "form"
    RULE = "rule"


HUMAN = frozenset({Kind.APPROVAL, Kind.FORM})
"""Kinds that wait for people."""


class RunState(StrEnum):
    """A run's life."""

    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPENSATING = "compensating"
    COMPENSATION_FAILED = "compensation_failed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


RUN_FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
RUN_OPEN = frozenset(RunState) - RUN_FINAL

RUN_MOVES: Moves = {
    RunState.RUNNING: frozenset(
        {RunState.WAITING, RunState.PAUSED, RunState.COMPENSATING, RunState.SUCCEEDED, RunState.FAILED,
         RunState.CANCELLED}
    ),
    RunState.WAITING: frozenset(
        {RunState.RUNNING, RunState.PAUSED, RunState.COMPENSATING, RunState.SUCCEEDED, RunState.FAILED,
         RunState.CANCELLED}
    ),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.COMPENSATING, RunState.FAILED, RunState.CANCELLED}),
    RunState.COMPENSATING: frozenset({RunState.COMPENSATION_FAILED, RunState.FAILED, RunState.CANCELLED}),
    RunState.COMPENSATION_FAILED: frozenset({RunState.COMPENSATING, RunState.FAILED, RunState.CANCELLED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}  # fmt: skip


class Outcome(StrEnum):
    """How a run ended, beside the outcomes that workflows name themselves."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    EXPIRED = "expired"


class StepState(StrEnum):
    """One round of one step. A step without a row is pending."""

    PENDING = "pending"
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    DEAD = "dead"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


STEP_MOVES: Moves = {
    StepState.PENDING: frozenset({StepState.OPEN, StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.DEAD}),
    StepState.OPEN: frozenset({StepState.DONE, StepState.FAILED, StepState.CANCELLED}),
    StepState.DONE: frozenset({StepState.SUPERSEDED}),
    StepState.FAILED: frozenset({StepState.SUPERSEDED}),
    StepState.SKIPPED: frozenset({StepState.SUPERSEDED}),
    StepState.DEAD: frozenset({StepState.SUPERSEDED}),
    StepState.CANCELLED: frozenset(),
    StepState.SUPERSEDED: frozenset(),
}

STEP_SETTLED = frozenset({StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.DEAD, StepState.CANCELLED})


class TaskState(StrEnum):
    """A unit of work in the hot queue. What is finished leaves it and becomes an attempt."""

    READY = "ready"
    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    CLAIMED = "claimed"
    HELD = "held"


class AttemptState(StrEnum):
    """How one try of a task or an action ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    RELEASED = "released"
    ASKED = "asked"
    CANCELLED = "cancelled"
    LATE = "late"


class Lane(StrEnum):
    """Why a task exists; the first lanes are offered first, and waiting makes up for it (``LANE_BONUS_S``)."""

    HUMAN = "human"
    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BULK = "bulk"


LANE_BONUS_S = {Lane.HUMAN: 600, Lane.INTERACTIVE: 60, Lane.NORMAL: 0, Lane.BULK: -600}
"""Seconds by which a lane counts as older than it is."""


class VersionState(StrEnum):
    """A workflow version's life."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUPERSEDED = "superseded"


class TimerKind(StrEnum):
    """What a timer is for."""

    SLA = "sla"
    WITHIN = "within"
    DUE = "due"
    RETRY = "retry"
    COMPENSATE = "compensate"


class Unwinding(StrEnum):
    """Why finished steps are being taken back."""

    REWORK = "rework"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CompensationState(StrEnum):
    """One step being taken back."""

    PENDING = "pending"
    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    ACCEPTED = "accepted"
    DROPPED = "dropped"


class TakenBack(StrEnum):
    """How much of what a step did outside is undone."""

    PARTLY = "partly"
    WHOLLY = "wholly"


class ErasureEnd(StrEnum):
    """How a request to erase a trail ended."""

    ERASED = "erased"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


ERASURE_WITHIN_S = 7 * 86_400
"""How long a request to erase waits for somebody else."""
