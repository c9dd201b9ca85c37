"""What waits, where it can be, what can be said to it, and the numbers of this floor."""

from collections.abc import Mapping
from enum import StrEnum

from apps.core.rules import Moves

CLAIM_S = 300
MAX_HOLD_S = 60
STEP_UP_S = 300
GRANT_TTL_S = 3_600
GRANT_TTL_PLANE_S = 86_400
GRANT_TTL_TOGETHER_S = 172_800
CRITICAL_QUORUM = 2
MAX_REASON = 2_000
MAX_COMMENT = 4_000


class Kind(StrEnum):
    """What waits."""

    ACTION = "action"
    APPROVAL = "approval"
    FORM = "form"
    QUESTION = "question"
    EXCEPTION = "exception"
    UNKNOWN = "unknown"
    REVIEW = "review"


class EscalationState(StrEnum):
    """Where an escalation is. From everything but ``pending`` and ``held`` there is no way on."""

    PENDING = "pending"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    ANSWERED = "answered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INVALIDATED = "invalidated"


class VoteVerdict(StrEnum):
    """What one person says."""

    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request_changes"
    ANSWER = "answer"


class InboxView(StrEnum):
    """Which part of what waits: mine to decide, all I may see, nobody's, put aside, what I claimed, what I voted on."""

    MINE = "mine"
    TEAM = "team"
    UNASSIGNED = "unassigned"
    SNOOZED = "snoozed"
    CLAIMED = "claimed"
    DECIDED = "decided"


class GrantState(StrEnum):
    """Where the single-use permission of an approval is."""

    LIVE = "live"
    CONSUMED = "consumed"
    EXPIRED = "expired"
    REVOKED = "revoked"


DECIDED = frozenset(
    {
        EscalationState.APPROVED,
        EscalationState.REJECTED,
        EscalationState.CHANGES_REQUESTED,
        EscalationState.ANSWERED,
    }
)
"""Ends that only a person brings about."""

ENDED_BY_NOBODY = frozenset(
    {
        EscalationState.EXPIRED,
        EscalationState.CANCELLED,
        EscalationState.SUPERSEDED,
        EscalationState.INVALIDATED,
    }
)
"""Ends that are nobody's decision: ``decided_by`` stays empty."""

FINAL = DECIDED | ENDED_BY_NOBODY

ESCALATION_MOVES: Moves = {
    EscalationState.PENDING: frozenset({EscalationState.HELD}) | FINAL,
    EscalationState.HELD: frozenset({EscalationState.PENDING}) | FINAL,
    **{state: frozenset() for state in FINAL},
}

GRANT_MOVES: Moves = {
    GrantState.LIVE: frozenset({GrantState.CONSUMED, GrantState.EXPIRED, GrantState.REVOKED}),
    GrantState.CONSUMED: frozenset(),
    GrantState.EXPIRED: frozenset(),
    GrantState.REVOKED: frozenset(),
}

OUTCOME: Mapping[VoteVerdict, EscalationState] = {
    VoteVerdict.APPROVE: EscalationState.APPROVED,
    VoteVerdict.REJECT: EscalationState.REJECTED,
    VoteVerdict.REQUEST_CHANGES: EscalationState.CHANGES_REQUESTED,
    VoteVerdict.ANSWER: EscalationState.ANSWERED,
}
"""Where an item goes when a verdict has won."""

VERDICTS: Mapping[Kind, tuple[VoteVerdict, ...]] = {
    Kind.ACTION: (VoteVerdict.APPROVE, VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES),
    Kind.APPROVAL: (VoteVerdict.APPROVE, VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES),
    Kind.FORM: (VoteVerdict.ANSWER, VoteVerdict.REQUEST_CHANGES),
    Kind.QUESTION: (VoteVerdict.ANSWER, VoteVerdict.REQUEST_CHANGES),
    Kind.EXCEPTION: (VoteVerdict.ANSWER,),
    Kind.UNKNOWN: (VoteVerdict.ANSWER,),
    Kind.REVIEW: (VoteVerdict.ANSWER,),
}
"""What people can say to each kind. Changes of an approval or a form only where its workflow goes back from there; of
what nobody asked for, a failure, a silence, something done, none: there is nobody who could ask differently."""

REASON_NEEDED = frozenset({VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES})
