"""The lives of agents, versions and actions."""

from enum import StrEnum

from apps.core.rules import Moves


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
WORKING = frozenset({AgentState.PILOT, AgentState.ACTIVE})
"""The states in which an agent may act at all."""

MAX_LIVE = 2
"""How many keys of an agent live at once: one takes over from the other, and nothing piles up."""


class VersionState(StrEnum):
    """Where a version of an agent is."""

    DRAFT = "draft"
    PILOT = "pilot"
    ACTIVE = "active"
    SUPERSEDED = "superseded"


AT_WORK = frozenset({VersionState.PILOT, VersionState.ACTIVE})
"""The states in which an agent may act as a version."""

VERSION_MOVES: Moves = {
    VersionState.DRAFT: frozenset({VersionState.PILOT, VersionState.ACTIVE, VersionState.SUPERSEDED}),
    VersionState.PILOT: frozenset({VersionState.ACTIVE, VersionState.SUPERSEDED}),
    VersionState.ACTIVE: frozenset({VersionState.SUPERSEDED}),
    VersionState.SUPERSEDED: frozenset({VersionState.ACTIVE}),
}


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
ANSWERED_AT_ONCE = frozenset({ActionState.SUCCEEDED, ActionState.FAILED, ActionState.DENIED})
"""States in which POST answers 201 instead of 202."""
