"""Access reviews: which rights, how their use is measured, what may be said of them, and who may say it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, auto
from typing import Any

EVIDENCE_DAYS = 90
"""For so long back use is measured; what was not used in all that time is not needed."""
MAX_LINES = 5000
"""So many rights one campaign has at most; more than that nobody reviews with care."""
MAX_AT_ONCE = 200
"""So many lines are decided together at most."""
MAX_DAYS = 366
"""The due date lies so many days ahead at most."""
REMIND_DAYS = 3
"""So long before the due date the reviewers are told again."""


class RightKind(StrEnum):
    """What kind of right: a person's role or token; an operation, a workflow or a key of an agent."""

    ROLE = "role"
    OPERATION = "operation"
    WORKFLOW = "workflow"
    KEY = "key"
    TOKEN = auto()


HAVE_AN_END = frozenset({RightKind.KEY, RightKind.TOKEN})
"""What was made with its end, and gets no other."""


class AtDue(StrEnum):
    """What becomes of lines that nobody decided by the due date: they are reported, or their rights are revoked."""

    REPORT = "report"
    REVOKE = "revoke"


class ReviewState(StrEnum):
    """Whether reviewers can still decide."""

    OPEN = "open"
    CLOSED = "closed"


class LineState(StrEnum):
    """What was decided of a right. ``gone``: it had ended before anybody decided; ``left``: nobody decided in time."""

    WAITING = "waiting"
    KEPT = "kept"
    NARROWED = "narrowed"
    REVOKED = "revoked"
    GONE = "gone"
    LEFT = "left"


class Say(StrEnum):
    """What a reviewer may say of a right."""

    KEEP = "keep"
    NARROW = "narrow"
    REVOKE = "revoke"


OUTCOMES: Mapping[Say, LineState] = {
    Say.KEEP: LineState.KEPT,
    Say.NARROW: LineState.NARROWED,
    Say.REVOKE: LineState.REVOKED,
}


class Use(StrEnum):
    """What the evidence says. ``unused``: measured over the whole window, and never; ``unknown``: neither is sure."""

    USED = "used"
    UNUSED = "unused"
    UNKNOWN = "unknown"


TRACES: Mapping[str, tuple[str, ...]] = {
    "oversight.decide_escalation": ("vote.cast",),
    "agents.manage_agent": ("agent.", "agentversion.", "agentcredential.", "permission."),
    "connectors.manage_connector": ("connector.", "operation.", "connectorsecret."),
    "workflows.start_run": ("run.started",),
    "workflows.operate_run": ("run.paused", "run.resumed", "run.cancel_asked"),
    "workflows.publish_workflow": ("workflow.", "workflowversion."),
    "policies.publish_policy": ("policy.", "policyversion.", "release.", "proposal.", "budget."),
    "policies.lower_enforcement": ("release.", "waiver."),
    "halts.engage_halt": ("halt.engaged", "breaker."),
    "halts.lift_halt": ("halt.lifted", "breakerchange."),
    "audit.erase_payload": ("erasure.", "payloads.erased"),
    "kpis.manage_target": ("target.", "baseline.", "pricebook.", "rate."),
    "access.manage_access": (
        "access.review.", "rolegrant.", "role.", "businessunit.", "queue.", "calendar.", "rota.", "user.ended",
        "user.reinstated",
    ),
}  # fmt: skip
"""By which of a person's entries in the ledger the use of a permission shows. Looking leaves none."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Use of one right since ``since`` (``is_whole``: that is the whole window). ``uses`` None: it is not counted.

    ``most``: the largest amount, ``{amount_minor, currency}``, one per currency. ``unseen``: permissions whose use
    leaves no trace.
    """

    since: datetime
    is_whole: bool
    uses: int | None
    last_used_at: datetime | None
    most: Sequence[Mapping[str, Any]] = ()
    unseen: Sequence[str] = ()
    is_measured: bool = True

    @property
    def use(self) -> Use:
        """Used, never used, or nobody can tell."""
        if self.uses or (self.uses is None and self.last_used_at and self.last_used_at >= self.since):
            return Use.USED
        return Use.UNUSED if self.is_whole and self.is_measured else Use.UNKNOWN

    def as_json(self) -> dict[str, Any]:
        """As a line keeps it."""
        return {
            "since": self.since.isoformat(),
            "whole": self.is_whole,
            "measured": self.is_measured,
            "uses": self.uses,
            "last_used_at": self.last_used_at.isoformat() if self.last_used_at else None,
            "most": [dict(amount) for amount in self.most],
            "unseen": list(self.unseen),
        }


def traced(permissions: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """How the names of entries begin by which use of these permissions shows; and those whose use leaves none."""
    held = sorted(permissions)
    begins = tuple(prefix for name in held for prefix in TRACES.get(name, ()))
    return begins, [name for name in held if name not in TRACES]


def window(granted_at: datetime, now: datetime) -> tuple[datetime, bool]:
    """Since when use of a right is measured, and whether that is the whole window."""
    begins = now - timedelta(days=EVIDENCE_DAYS)
    return max(granted_at, begins), granted_at <= begins


def due_problem(due_at: datetime, now: datetime) -> str:
    """Why a campaign cannot be due then, as a word; empty if it can."""
    if due_at.tzinfo is None:
        return "no_zone"
    if due_at <= now:
        return "over"
    return "too_far" if due_at > now + timedelta(days=MAX_DAYS) else ""
