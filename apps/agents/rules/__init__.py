"""The lives of agents, versions and actions."""

from collections.abc import Mapping
from enum import StrEnum

from apps.agents.rules.gates import (
    GATE_CASES,
    GATE_DAYS,
    GATE_ERRORS,
    GATE_UNMODIFIED,
    Compared,
    Criterion,
    Earlier,
    Proof,
    TrackRecord,
    gate_of,
)
from apps.core.rules import MAX_INTEGER, Moves, Risk, highest_risk

__all__ = [
    "GATE_CASES",
    "GATE_DAYS",
    "GATE_ERRORS",
    "GATE_UNMODIFIED",
    "Compared",
    "Criterion",
    "Earlier",
    "Proof",
    "TrackRecord",
    "gate_of",
]


class AgentState(StrEnum):
    """Where an agent is in its life."""

    DRAFT = "draft"
    PILOT = "pilot"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


AGENT_MOVES: Moves = {
    AgentState.DRAFT: frozenset({AgentState.PILOT, AgentState.ACTIVE, AgentState.RETIRED}),
    AgentState.PILOT: frozenset({AgentState.ACTIVE, AgentState.SUSPENDED, AgentState.RETIRED}),
    AgentState.ACTIVE: frozenset({AgentState.PILOT, AgentState.SUSPENDED, AgentState.RETIRED}),
    AgentState.SUSPENDED: frozenset({AgentState.PILOT, AgentState.ACTIVE, AgentState.RETIRED}),
    AgentState.RETIRED: frozenset(),
}


class Environment(StrEnum):
    """Where a key acts: in earnest, or as a test, for which nothing outside is called and no figure counts."""

    LIVE = "live"
    TEST = "test"


WORKING = frozenset({AgentState.PILOT, AgentState.ACTIVE})
"""The states in which an agent may act at all."""
TESTABLE = WORKING | {AgentState.DRAFT}
"""The states in which it may try, with a test key."""

TWO_PEOPLE = frozenset({Risk.HIGH, Risk.CRITICAL})
"""The tiers from which on one person proposes and another agrees."""


class ChangeKind(StrEnum):
    """What of an agent may take two people to change."""

    STATE = "state"
    RISK = "risk"
    VERSION = "version"
    UNIT = "unit"


def needs_second_person(kind: str, *, risk: str, state: str, before: str, to: str) -> bool:
    """Whether one person may not make this change alone: it lets a grave agent do more, or ends it for good.

    Suspending, and going back from active to pilot, stop or narrow: they never wait for anybody. Nor does the way back
    to a version that was current. ``before`` of a version is the state that it is in. What a move to another unit
    leaves says whether that takes two.
    """
    if kind == ChangeKind.UNIT:
        return False
    if kind == ChangeKind.VERSION:
        return risk in TWO_PEOPLE and before in NEVER_CURRENT
    if kind == ChangeKind.RISK:
        return _weighs_anew(state, before, to)
    narrows = to == AgentState.SUSPENDED or (before, to) == (AgentState.ACTIVE, AgentState.PILOT)
    return risk in TWO_PEOPLE and not narrows


def _weighs_anew(state: str, before: str, to: str) -> bool:
    """Less of a risk takes two from the high tiers on, and of whatever is no draft: rules and queues ask less of it.

    More takes two where it works and comes to the high tiers: only two people put such an agent to work.
    """
    if highest_risk(before, to) != to:
        return before in TWO_PEOPLE or state != AgentState.DRAFT
    return state in WORKING and to in TWO_PEOPLE and before not in TWO_PEOPLE


LIMITS = frozenset({"max_concurrent", "rate_per_minute"})
"""What of an agent may be limited: tasks that it holds at once, requests that are answered in a minute."""


def limit_problems(limits: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with an agent's limits, by name."""
    wrong = {name: f"Unknown; known are {', '.join(sorted(LIMITS))}." for name in limits.keys() - LIMITS}
    for name in limits.keys() & LIMITS:
        value = limits[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_INTEGER:
            wrong[name] = "A whole number from 1 on."
    return wrong


class ChangeEnd(StrEnum):
    """What became of a change that was asked for."""

    MADE = "made"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    EXPIRED = "expired"
    OVERTAKEN = "overtaken"


CHANGE_WITHIN_S = 7 * 86_400
"""How long somebody else may take to agree."""
OWNER_LEFT = "owner_left"
"""Why the plane itself suspended an agent."""

MAX_LIVE = 2
"""How many keys of an agent live at once: one takes over from the other, and nothing piles up."""


class VersionState(StrEnum):
    """Where a version of an agent is."""

    DRAFT = "draft"
    PILOT = "pilot"
    ACTIVE = "active"
    DRAINING = "draining"
    SUPERSEDED = "superseded"


AT_WORK = frozenset({VersionState.PILOT, VersionState.ACTIVE, VersionState.DRAINING})
"""The states in which an agent may act as a version. One that drains finishes what it holds and begins nothing."""

VERSION_MOVES: Moves = {
    VersionState.DRAFT: frozenset({VersionState.PILOT, VersionState.ACTIVE, VersionState.SUPERSEDED}),
    VersionState.PILOT: frozenset({VersionState.ACTIVE, VersionState.SUPERSEDED}),
    VersionState.ACTIVE: frozenset({VersionState.DRAINING, VersionState.SUPERSEDED}),
    VersionState.DRAINING: frozenset({VersionState.ACTIVE, VersionState.SUPERSEDED}),
    VersionState.SUPERSEDED: frozenset({VersionState.ACTIVE}),
}
NEVER_CURRENT = frozenset({VersionState.DRAFT, VersionState.PILOT})
"""The states of versions that nobody promoted yet. Going back to one that was current is a rollback."""


class Handover(StrEnum):
    """What becomes of what the version before holds: it finishes it, or its tasks go back to the queue."""

    DRAIN = "drain"
    RETURN = "return"


class EffectClass(StrEnum):
    """What an operation does to the world."""

    READ = "read"
    WRITE = "write"
    IRREVERSIBLE = "irreversible"


class Execution(StrEnum):
    """Who calls the system of record once the action may run."""

    PLANE = "plane"
    AGENT = "agent"


class FlagState(StrEnum):
    """Whether a flag stands, or somebody said why it says nothing any more."""

    OPEN = "open"
    DISMISSED = "dismissed"


FLAG_WHY = "previously_rejected"
MAX_DISMISS_REASON = 500
REPEATS_FLAGGED = 3
"""How often an agent may ask again for what was rejected before it is flagged, each time within ..."""
REPEATS_WITHIN_S = 86_400
"""... so many seconds of the time before."""
REPORT_WITHIN_S = 3_600
"""How long an agent may take to say what came of an action that it carries out itself; then people find out."""


class ActionState(StrEnum):
    """Where an action is."""

    PROPOSED = "proposed"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"


ACTION_MOVES: Moves = {
    ActionState.PROPOSED: frozenset(
        {ActionState.PENDING_APPROVAL, ActionState.APPROVED, ActionState.DENIED, ActionState.CANCELLED}
    ),
    ActionState.PENDING_APPROVAL: frozenset(
        {
            ActionState.APPROVED,
            ActionState.REJECTED,
            ActionState.CHANGES_REQUESTED,
            ActionState.EXPIRED,
            ActionState.CANCELLED,
            ActionState.DENIED,
        }
    ),
    ActionState.APPROVED: frozenset(
        {
            ActionState.EXECUTING,
            ActionState.CANCELLED,
            ActionState.EXPIRED,
            ActionState.FAILED,
            ActionState.PENDING_APPROVAL,
            ActionState.DENIED,
        }
    ),
    ActionState.EXECUTING: frozenset(
        {ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN, ActionState.APPROVED}
    ),
    ActionState.UNKNOWN: frozenset({ActionState.EXECUTING, ActionState.SUCCEEDED, ActionState.FAILED}),
    ActionState.SUCCEEDED: frozenset({ActionState.COMPENSATED}),
    ActionState.FAILED: frozenset(),
    ActionState.DENIED: frozenset(),
    ActionState.REJECTED: frozenset(),
    ActionState.CHANGES_REQUESTED: frozenset(),
    ActionState.EXPIRED: frozenset(),
    ActionState.CANCELLED: frozenset(),
    ActionState.COMPENSATED: frozenset(),
}
FINAL_ACTIONS = frozenset({state for state, moves in ACTION_MOVES.items() if not moves} | {ActionState.SUCCEEDED})
"""States from which an action does not come back by itself; waiting for it ends."""
MAY_STILL_COUNT = frozenset(
    {
        ActionState.PROPOSED,
        ActionState.PENDING_APPROVAL,
        ActionState.APPROVED,
        ActionState.EXECUTING,
        ActionState.UNKNOWN,
        ActionState.SUCCEEDED,
    }
)
"""States of what takes another action back in which nothing else may: it is under way, unclear, or has done it."""
CARRIED_OUT = (ActionState.APPROVED, ActionState.EXECUTING, ActionState.UNKNOWN)
"""States in which an action is carried out, or is next."""
ANSWERED_AT_ONCE = frozenset({ActionState.SUCCEEDED, ActionState.FAILED, ActionState.DENIED})
"""States in which POST answers 201 instead of 202."""
