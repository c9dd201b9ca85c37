"""What a halt can stop, and when a breaker does."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

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


class FailureCause(StrEnum):
    """Why an action failed or nobody knows its outcome. ``unknown``: the outcome is, whatever the cause.

    ``timeout``: the system fell silent. ``server_error``: it answered with 5xx, or with what nobody can read.
    ``refused``: it said no. ``unreachable``: it could not be called. ``plane``: what was allowed could not run as it
    was judged. ``reported``: the agent carried it out itself, and says that it failed.
    """

    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    PLANE = "plane"
    REPORTED = "reported"
    UNKNOWN = "unknown"


class DenialCause(StrEnum):
    """Why an action was denied where no rule said so; a rule is named as ``policy/rule``."""

    NO_MATCHING_ALLOW = "no_matching_allow"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_COMPENSABLE = "not_compensable"
    BUDGET_EXHAUSTED = "budget_exhausted"


RULE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}/[a-z0-9][a-z0-9_-]{0,62}")


class DrillState(StrEnum):
    """The life of a drill. ``abandoned``: whoever carried it out died; it says nothing about halts."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ABANDONED = "abandoned"


class Flaw(StrEnum):
    """Why a drill failed, gravest first.

    ``escaped``: a claim got past the halt. ``untested``: nothing was claimed before it, or tried behind it. ``slow``:
    it took longer than ``DRILL_LIMIT_S`` until it had committed.
    """

    ESCAPED = "escaped"
    UNTESTED = "untested"
    SLOW = "slow"


BREAKABLE = (HaltScope.AGENT, HaltScope.VERSION, HaltScope.CONNECTOR)
"""What a breaker may stop by itself."""
MAX_WINDOW_S = 86_400
PROBATION_S = 600
"""How long a breaker is half-open after a person looked and let it go on; then it opens ..."""
PROBATION_SHARE = 4
"""... at a quarter of its threshold."""
PACE_MINUTES = 60
"""In so many minutes at least an agent asked for something, before its own usual most says anything."""

DRILL_CLAIMERS = 4
"""So many claim the synthetic work of a drill at the same time ..."""
DRILL_TRIES = 20
"""... so often each before its halt, and try so often behind it."""
DRILL_LIMIT_S = 10
"""A halt that takes longer to commit is no kill switch."""
DRILL_LEASE_S = 90
"""After so long nobody carries a running drill out any more: its parts have limits that sum up to half of it."""
DRILL_PAUSE_S = 60
"""The least time from one drill to the next."""
DRILL_EVERY_DAYS = 90
"""So often a plane shows that it stops."""


def threshold_of(kind: str, threshold: int, *, is_half_open: bool) -> int:
    """From which count on a breaker opens. Of what is counted a quarter is enough while it is half-open.

    How much more than usual is much does not change by a look.
    """
    if not is_half_open or kind == BreakerKind.VOLUME:
        return threshold
    return max(-(-threshold // PROBATION_SHARE), 1)


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """What is counted of what, and from how much on in how many seconds it is too much.

    ``cause``: of denied actions, a rule as ``policy/rule`` or a ``DenialCause``; of failed ones, a ``FailureCause``;
    empty: whatever the cause.
    """

    kind: str
    scope: str
    threshold: int
    window_s: int
    currency: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class BreakerWatch(BreakerTerms):
    """What a breaker counts of what: its terms, and its ``target`` (empty: each of the scope by itself)."""

    target: str = ""

    def loosens(self, before: "BreakerWatch") -> bool:
        """Whether something may go on that ``before`` would have stopped; true unless it is certain that nothing may.

        Certain are a lower threshold, a longer window (it holds all of the shorter one), every cause instead of one,
        every target instead of one. How much more than usual is much depends on the window both ways.
        """
        widened = replace(
            before,
            threshold=self.threshold,
            window_s=self.window_s,
            target=self.target and before.target,
            cause=self.cause and before.cause,
        )
        is_usual = self.kind == BreakerKind.VOLUME and self.window_s != before.window_s
        return self != widened or is_usual or self.threshold > before.threshold or self.window_s < before.window_s


class BreakerChangeKind(StrEnum):
    """What is proposed of a breaker: that it counts otherwise, or not at all."""

    CHANGE = "change"
    END = "end"


MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Measured:
    """What a breaker counted, from how much on it opens, and how many actions were in flight.

    ``actions``: the ids of the last that it counted, newest first.
    """

    measured: int
    threshold: int
    in_flight: int
    actions: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """How a drill stopped, by the database's clock.

    ``asked_at``: when the halt was asked for. ``engaged_at``: when nothing held a claim any more, and nothing could.
    ``stopped_at``: the first moment at which it had surely committed. ``claims``: how many had committed by
    ``engaged_at``.
    """

    asked_at: datetime
    engaged_at: datetime
    stopped_at: datetime
    claims: int

    @property
    def time_to_stop_ms(self) -> int:
        """Milliseconds from asking to the commit, rounded up: never less than it took."""
        return -(-(self.stopped_at - self.asked_at) // timedelta(milliseconds=1))


def flaw_of(stop: Stop, *, claims: int, refused: int) -> Flaw | None:
    """What is wrong with a halt that saw ``stop.claims``, where there are ``claims`` in the end; None: nothing."""
    if claims > stop.claims:
        return Flaw.ESCAPED
    if not stop.claims or not refused:
        return Flaw.UNTESTED
    if stop.time_to_stop_ms > DRILL_LIMIT_S * 1000:
        return Flaw.SLOW
    return None


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
    if terms.cause and (text := _misnamed(terms)):
        wrong["cause"] = [text]
    return wrong


def _misnamed(terms: BreakerTerms) -> str:
    """What is wrong with a cause that is named; empty if nothing is."""
    if terms.kind == BreakerKind.FAILED:
        return "" if terms.cause in set(FailureCause) else f"One of: {', '.join(FailureCause)}."
    if terms.kind == BreakerKind.DENIED:
        is_known = terms.cause in set(DenialCause) or RULE.fullmatch(terms.cause)
        return "" if is_known else f"A rule as policy/rule, or one of: {', '.join(DenialCause)}."
    return "Only what was denied or failed has a cause to name."
