"""Channels, when people want what, what is told of, and the life of one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.rules import Moves, Risk

RECIPIENTS_MAX = 500
"""How many people one event tells at most; a queue that more people serve has a chat channel."""
DIGEST_MAX = 200
"""How many lines one digest has at most; the rest come with the next one."""
LEASE_S = 180
"""How long one attempt may take before its worker counts as gone: longer than all its time-outs together."""
RETRY_AFTER_S = (15, 60, 300, 1200)
"""Seconds from each failed attempt to the next; after the last one the message has failed."""
TRIES_BEFORE_UNHEARD = 3
"""After so many failed attempts nobody counts as reached, though the attempts go on."""
RETRY_AFTER_MAX_S = 3600
"""How long the other side may put off the next attempt at most."""
KEPT_DAYS = 90


class Channel(StrEnum):
    """How somebody is told."""

    IN_APP = "in_app"
    EMAIL = "email"
    CHAT = "chat"
    PUSH = "push"


class Timing(StrEnum):
    """When somebody wants to be told: at once, with others in one message, or never."""

    NOW = "now"
    DIGEST = "digest"
    OFF = "off"


class Event(StrEnum):
    """What people are told of."""

    WAITING = "waiting"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    REPLIED = "replied"
    DECIDED = "decided"
    EXPIRED = "expired"
    CLOSED = "closed"
    HALTED = "halted"
    FLAGGED = "flagged"
    OWNERLESS = "ownerless"
    AGREEMENT = "agreement"
    ERASURE = "erasure"
    BUDGET = "budget"
    PROPOSAL = "proposal"
    KEY = "key"
    ACCESS = "access"
    REVIEW = "review"
    REVIEW_DUE = "review_due"
    REVIEWED = "reviewed"
    MISMATCH = "mismatch"
    QUARANTINE = "quarantine"
    WAIVER = "waiver"
    WAIVED = "waived"
    WAIVER_DUE = "waiver_due"
    WAIVER_END = "waiver_end"
    EMERGENCY = "emergency"
    UNASKED = "unasked"
    DISCOVERED = "discovered"
    REPORT = "report"
    UNUSUAL = "unusual"
    SIGN_IN = "sign_in"
    MARKED = "marked"
    ERRED = "erred"


ASKING = frozenset({Event.WAITING, Event.ESCALATED, Event.ASSIGNED, Event.DUE_SOON, Event.OVERDUE})
"""What asks somebody to decide: told while the item is pending and theirs to decide, and never after."""
ENDING = frozenset({Event.DECIDED, Event.EXPIRED, Event.CLOSED})
"""What ends an item: whatever still asks for it falls silent."""

EVENTS: Mapping[str, Event] = {
    "escalation.pending": Event.WAITING,
    "escalation.asked": Event.WAITING,
    "escalation.reassigned": Event.ESCALATED,
    "escalation.escalated": Event.ESCALATED,
    "escalation.handed_over": Event.ASSIGNED,
    "escalation.delegated": Event.ASSIGNED,
    "escalation.assigned": Event.ASSIGNED,
    "escalation.due_soon": Event.DUE_SOON,
    "escalation.overdue": Event.OVERDUE,
    "escalation.commented": Event.REPLIED,
    "escalation.approved": Event.DECIDED,
    "escalation.rejected": Event.DECIDED,
    "escalation.changes_requested": Event.DECIDED,
    "escalation.answered": Event.DECIDED,
    "escalation.expired": Event.EXPIRED,
    "escalation.cancelled": Event.CLOSED,
    "escalation.superseded": Event.CLOSED,
    "escalation.invalidated": Event.CLOSED,
    "halt.engaged": Event.HALTED,
    "agent.flagged": Event.FLAGGED,
    "agent.suspended": Event.OWNERLESS,
    "agent.change_requested": Event.AGREEMENT,
    "erasure.requested": Event.ERASURE,
    "ruleflag.raised": Event.MARKED,
    "rulefault.erred": Event.ERRED,
    "budget.warned": Event.BUDGET,
    "proposal.open": Event.PROPOSAL,
    "budgetchange.open": Event.PROPOSAL,
    "breakerchange.open": Event.PROPOSAL,
    "agent.key_refused": Event.KEY,
    "agent.access_requested": Event.ACCESS,
    "access.review.opened": Event.REVIEW,
    "access.review.due_soon": Event.REVIEW_DUE,
    "access.review.closed": Event.REVIEWED,
    "agent.mismatched": Event.MISMATCH,
    "agent.acted_unasked": Event.UNASKED,
    "workflow.unusual": Event.UNUSUAL,
    "agent.acted_despite": Event.UNASKED,
    "agent.discovered": Event.DISCOVERED,
    "connector.quarantined": Event.QUARANTINE,
    "waiver.asked": Event.WAIVER,
    "waiver.live": Event.WAIVED,
    "waiver.declined": Event.WAIVED,
    "waiver.due_soon": Event.WAIVER_DUE,
    "waiver.used_up": Event.WAIVER_END,
    "waiver.expired": Event.WAIVER_END,
    "waiver.ended": Event.WAIVER_END,
    "emergencyaccess.armed": Event.EMERGENCY,
    "emergencyaccess.opened": Event.EMERGENCY,
    "emergencyaccess.used": Event.EMERGENCY,
    "emergencyaccess.tried": Event.EMERGENCY,
    "emergencyaccess.ended": Event.EMERGENCY,
    "reportsubscription.due": Event.REPORT,
    "user.password_changed": Event.SIGN_IN,
    "user.password_set": Event.SIGN_IN,
    "user.second_factor_added": Event.SIGN_IN,
    "user.second_factor_removed": Event.SIGN_IN,
    "user.second_factors_reset": Event.SIGN_IN,
    "user.identity_linked": Event.SIGN_IN,
    "user.identity_unlinked": Event.SIGN_IN,
}
"""The name of an entry of the ledger -> what it is to people."""


ALARMS = frozenset({Event.EMERGENCY, Event.SIGN_IN})
"""What nobody can wish away: it is told at once, in the app and by mail."""


def event_of(name: str, payload: Mapping[str, Any]) -> Event | None:
    """What an entry is to people; None where nobody is told, such as a decision that was undone.

    Whoever suspends an agent knows it; people are told where the plane did, because its owner has left.
    """
    event = None if payload.get("undone") else EVENTS.get(name)
    return None if event == Event.OWNERLESS and not payload.get("owner") else event


class DeliveryState(StrEnum):
    """Where one message to one recipient is."""

    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


DELIVERY_MOVES: Moves = {
    DeliveryState.QUEUED: frozenset({DeliveryState.SENDING, DeliveryState.SUPPRESSED}),
    DeliveryState.SENDING: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.QUEUED, DeliveryState.SUPPRESSED}
    ),
    **{state: frozenset() for state in (DeliveryState.DELIVERED, DeliveryState.FAILED, DeliveryState.SUPPRESSED)},
}


def sources_of(state: DeliveryState) -> list[str]:
    """The states from which a message comes to ``state``: the condition of the UPDATE that moves it."""
    return sorted(before for before, following in DELIVERY_MOVES.items() if state in following)


class Silence(StrEnum):
    """Why a message was not sent."""

    PREFERENCE = "preference"
    NO_ADDRESS = "no_address"
    NOT_SET_UP = "not_set_up"
    NOT_ASKED = "not_asked"
    REMOVED = "removed"
    GONE = "gone"
    NO_RIGHTS = "no_rights"


GRAVE = (Risk.CRITICAL, Risk.HIGH)
CHOICES: Mapping[Channel, tuple[Timing, ...]] = {
    Channel.IN_APP: (Timing.NOW, Timing.OFF),
    Channel.EMAIL: tuple(Timing),
    Channel.CHAT: tuple(Timing),
    Channel.PUSH: tuple(Timing),
}
"""What may be wished for each channel."""

type Wish = tuple[Channel, Risk]


def default_timing(channel: Channel, risk: Risk) -> Timing:
    """What somebody gets who wished nothing: grave risks at once, the others in digests, everything in the app."""
    return Timing.NOW if channel == Channel.IN_APP or risk in GRAVE else Timing.DIGEST


def timing_of(channel: Channel, risk: Risk, wishes: Mapping[Wish, Timing]) -> Timing:
    """When somebody with these wishes is told."""
    return wishes.get((channel, risk), default_timing(channel, risk))


def retry_after_s(attempts: int, asked_s: int | None = None) -> int | None:
    """Seconds until the next attempt after so many, never sooner than was asked for; None when that was the last."""
    if not 1 <= attempts <= len(RETRY_AFTER_S):
        return None
    return max(RETRY_AFTER_S[attempts - 1], min(asked_s or 0, RETRY_AFTER_MAX_S))


@dataclass(frozen=True, slots=True)
class Sent:
    """How an attempt ended. ``is_final``: a repetition would end the same; ``is_down``: any other message now, too.

    ``is_gone``: whoever was to be told this way cannot be any more; ``after_s``: the other side wants to be left alone
    for so many seconds.
    """

    ok: bool
    text: str = ""
    is_final: bool = False
    is_down: bool = False
    is_gone: bool = False
    after_s: int | None = None
