"""What a halt can stop, and when a breaker does."""

import re
from dataclasses import dataclass
from enum import StrEnum

from apps.core.rules import MAX_INTEGER


class HaltScope(StrEnum):
    """What a halt stops; all but ``everything`` name a target by slug."""

    EVERYTHING = "everything"
    UNIT = "unit"
    WORKFLOW = "workflow"
    AGENT = "agent"
    VERSION = "version"
    CONNECTOR = "connector"
    OPERATION = "operation"


class BreakerKind(StrEnum):
    """What a breaker counts in its window: how actions ended, how many were asked for, or what they amount to.

    ``failed``: the system refused, or nobody knows what came of it. ``mismatch``: the system shows something else.
    ``volume``: times the agent's own usual most in a minute. ``spend``: minor units of a currency, of all
    that was not refused.
    """

    DENIED = "denied"
    REJECTED = "rejected"
    FAILED = "failed"
    MISMATCH = "mismatch"
    VOLUME = "volume"
    SPEND = "spend"


BREAKABLE = (HaltScope.AGENT, HaltScope.VERSION, HaltScope.CONNECTOR)
"""What a breaker may stop by itself."""
MAX_WINDOW_S = 86_400
PROBATION_S = 600
"""How long a breaker is half-open after a person looked and let it go on; then it opens ..."""
PROBATION_SHARE = 4
"""... at a quarter of its threshold."""
PACE_MINUTES = 60
"""In so many minutes at least an agent asked for something, before its own usual most says anything."""


def threshold_of(kind: str, threshold: int, *, is_half_open: bool) -> int:
    """From which count on a breaker opens. Of what is counted a quarter is enough while it is half-open.

    How much more than usual is much does not change by a look.
    """
    if not is_half_open or kind == BreakerKind.VOLUME:
        return threshold
    return max(-(-threshold // PROBATION_SHARE), 1)


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """What is counted of what, and from how much on in how many seconds it is too much."""

    kind: str
    scope: str
    threshold: int
    window_s: int
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a breaker counted, from how much on it opens, and how many actions were in flight."""

    measured: int
    threshold: int
    in_flight: int


def problems_of(terms: BreakerTerms) -> dict[str, list[str]]:
    """What does not fit, by field."""
    wrong: dict[str, list[str]] = {}
    if terms.kind not in set(BreakerKind):
        wrong["kind"] = [f"One of: {', '.join(BreakerKind)}."]
    if terms.scope not in set(BREAKABLE):
        wrong["scope"] = [f"One of: {', '.join(BREAKABLE)}."]
    elif terms.kind == BreakerKind.VOLUME and terms.scope != HaltScope.AGENT:
        wrong["scope"] = ["What is usual is known of agents only."]
    if not 1 <= terms.threshold <= MAX_INTEGER:
        wrong["threshold"] = ["A whole number from 1 on."]
    if not 1 <= terms.window_s <= MAX_WINDOW_S:
        wrong["window_s"] = [f"Seconds, from 1 to {MAX_WINDOW_S}."]
    if (terms.kind == BreakerKind.SPEND) != bool(re.fullmatch(r"[A-Z]{3}", terms.currency)):
        wrong["currency"] = ["Three capital letters where money is counted, such as EUR; else none."]
    return wrong
