"""Whether people's looking is worth it: what each rule asks them, and what they say."""

from dataclasses import dataclass
from enum import StrEnum

from apps.core.statistics import wilson_interval

ENOUGH = 50
MOSTLY = 0.95


class Looked(StrEnum):
    """Which looks afterwards a number counts: all that were judged, as what, or those that still wait."""

    JUDGED = "reviews"
    RIGHT = "reviews-right"
    WRONG = "reviews-wrong"
    HARMFUL = "reviews-harmful"
    OVERTURNED = "reviews-overturned"
    WAITING = "reviews-waiting"


class Judged(StrEnum):
    """Which actions a number counts: all that somebody or something judged, or those that any found wrong."""

    ALL = "judged"
    WRONG = "judged-wrong"


class Drilled(StrEnum):
    """Which drills of a queue a number counts."""

    ANSWERED = "drills"
    CAUGHT = "drills-caught"
    MISSED = "drills-missed"


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` of ``whole``, with its 95 % Wilson interval."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None of nothing."""
        return wilson_interval(self.part, self.whole)

    @property
    def is_telling(self) -> bool:
        """Whether there is enough of it to conclude anything."""
        return self.whole >= ENOUGH


@dataclass(frozen=True, slots=True)
class RuleQuality:
    """What became of the items that one rule (``policy/rule``) sent to people. ``overturned``: found wrong later."""

    rule: str
    decided: int
    as_asked: int
    edited: int
    rejected: int
    median_s: float | None
    expired: int = 0
    overturned: int = 0

    @property
    def policy(self) -> str:
        """The slug of the policy that the rule is part of."""
        return self.rule.partition("/")[0]

    @property
    def share(self) -> Share:
        """How many were approved exactly as they were asked."""
        return Share(self.as_asked, self.decided)

    @property
    def asks_too_much(self) -> bool:
        """Whether the rule could let more pass: above 95 % approved unchanged, of fifty or more."""
        return self.share.is_telling and (self.share.value or 0) > MOSTLY
