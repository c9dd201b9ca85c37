"""What the fact writer takes: one shape for what the ledger tells and for simulated history."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from apps.kpis.rules.changes import ChangeKind
from apps.kpis.rules.incidents import IncidentSeen

DECIDED = ("approved", "rejected", "changes_requested", "answered")
"""Outcomes that a person gave; expired, cancelled and superseded are none."""
ESCALATING_KINDS = ("action", "question", "exception", "unknown")
"""Kinds that are nobody's plan; an approval or a form is a planned touch."""
WORKED = ("done", "failed", "superseded")
"""States of a step's round in which something was done; what was skipped or called off is none."""
BY_PEOPLE = frozenset({"approval", "form"})
BY_MACHINES = frozenset({"agent", "operation"})
"""Kinds that are tried, by an agent or a connector; a rule is worked on by nobody."""
PEOPLE = "people"
"""Who did a step that waits for people: figures and logs name nobody."""
CLOSED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSeen:
    """A run as one entry shows it; ``finished_at`` is None while it is open.

    ``paused_ms`` are its pauses that are over; ``paused_since``: when the one began in which it is now.
    """

    run_id: UUID
    workflow: str
    unit_id: UUID | None
    created_at: datetime
    started_at: datetime
    finished_at: datetime | None = None
    state: str = "running"
    version: int = 0
    key: str = ""
    outcome: str = ""
    error_class: str = ""
    sla_ms: int | None = None
    paused_ms: int = 0
    paused_since: datetime | None = None
    rerun_of: UUID | None = None
    entry_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """A step's round when it ended. ``rework``: done again for its content; ``by_hand``: mended by an operator."""

    step_id: UUID
    run_id: UUID
    workflow: str
    unit_id: UUID | None
    name: str
    kind: str
    state: str
    round: int = 1
    outcome: str = ""
    agent: str = ""
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime
    attempts: int = 1
    failed_attempts: int = 0
    rework: bool = False
    by_hand: bool = False
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSeen:
    """An escalation when it ended, by a person's decision or not."""

    escalation_id: UUID
    run_id: UUID | None
    workflow: str
    unit_id: UUID | None
    kind: str
    outcome: str
    requested_at: datetime
    decided_at: datetime
    edited: bool = False
    overdue: bool = False
    agent: str = ""
    rule: str = ""
    decided_by: str = ""
    policy_version: int = 0
    reason_code: str = ""
    action_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostSeen:
    """One cost; ``(kind, source_id)`` is its identity, so that telling it twice costs once.

    ``reported_micro``: what its agent says of it, in millionths of ``reported_currency``; no part of the amount.
    ``is_estimated``: its ``quantity``, as nothing recorded it.
    """

    kind: str
    source_id: UUID
    run_id: UUID | None
    workflow: str
    unit_id: UUID | None
    incurred_at: datetime
    amount_micro: int
    quantity: int = 1
    priced_by: str = "book"
    model: str = ""
    agent: str = ""
    reasoning: int = 0
    reported_micro: int | None = None
    reported_currency: str = ""
    is_estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSeen:
    """An agent's action that ended, and how it was judged; None where nobody looked. The places of ``ActionFact``."""

    action_id: UUID
    agent: str
    operation: str
    unit_id: UUID | None
    state: str
    ended_at: datetime
    alone: bool = False
    decided: bool | None = None
    reviewed: bool | None = None
    read_back: bool | None = None
    amount_minor: int | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSeen:
    """What changed at ``at``: a version of a workflow or of rules, a model's price; what was down or stopped."""

    kind: ChangeKind
    at: datetime
    until: datetime | None = None
    workflow: str = ""
    unit_id: UUID | None = None
    name: str = ""
    number: int | None = None


@dataclass(slots=True)
class Facts:
    """A batch for the fact writer. ``looked_at``: runs of which a system of record was read back.

    ``acts``, ``incidents``, ``marks``: of an invented history alone; what happened is read from where it is kept.
    """

    runs: list[RunSeen] = field(default_factory=list)
    steps: list[StepSeen] = field(default_factory=list)
    decisions: list[DecisionSeen] = field(default_factory=list)
    costs: list[CostSeen] = field(default_factory=list)
    looked_at: list[UUID] = field(default_factory=list)
    acts: list[ActionSeen] = field(default_factory=list)
    incidents: list[IncidentSeen] = field(default_factory=list)
    marks: list[MarkSeen] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(getattr(self, each.name)) for each in fields(self))

    def extend(self, more: "Facts") -> None:
        """Take in another batch."""
        for each in fields(self):
            getattr(self, each.name).extend(getattr(more, each.name))


def duration_ms(start: datetime, end: datetime) -> int:
    """Milliseconds between two instants; a clock that runs backwards gives 0, never less."""
    return max(0, round((end - start) / timedelta(milliseconds=1)))


def runs_backwards(*instants: datetime) -> bool:
    """Whether instants that should follow each other do not."""
    return any(later < earlier for earlier, later in pairwise(instants))


def sla_met_of(run: RunSeen) -> bool | None:
    """Whether the run met its target: the boundary counts as met, a failed run never does, none without a target."""
    if run.sla_ms is None or run.finished_at is None or run.state not in ("succeeded", "failed"):
        return None
    return run.state == "succeeded" and duration_ms(run.started_at, run.finished_at) - run.paused_ms <= run.sla_ms


def is_overridden(decision: DecisionSeen) -> bool:
    """Whether a person did not take what was proposed."""
    return decision.edited or decision.outcome == "rejected"


def newest_by_id(runs: Sequence[RunSeen]) -> list[RunSeen]:
    """The last word on each run in this batch."""
    found: dict[UUID, RunSeen] = {}
    for run in runs:
        if run.run_id not in found or found[run.run_id].entry_id <= run.entry_id:
            found[run.run_id] = run
    return list(found.values())


def run_ids_of(facts: Facts) -> list[UUID]:
    """The runs that a batch tells of, each once, in a steady order."""
    rows: list[RunSeen | StepSeen | DecisionSeen | CostSeen] = [
        *facts.runs,
        *facts.steps,
        *facts.decisions,
        *facts.costs,
    ]
    return sorted({row.run_id for row in rows if row.run_id is not None} | set(facts.looked_at))
