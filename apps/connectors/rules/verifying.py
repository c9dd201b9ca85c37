"""Reading a system back after an effect: what is expected of it, and what its answer says of that."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.connectors.rules.states import FINE, CallEnd, CallResult
from apps.core.expressions import (
    ContextError,
    Declarations,
    EvaluationError,
    ExpressionError,
    Kind,
    compile_expression,
)

EXPECTATION = Declarations({"request": Kind.MAP, "response": Kind.DYN, "found": Kind.DYN})
"""What ``expect`` is made of: what was asked, what was answered then, what the system shows now."""

AGAIN_S = (5, 30, 300, 1800)
"""When a system that could not be read back is read again; then people are told that nobody knows."""

WITHIN_S_MAX = 3600
JUDGING = frozenset({"expect", "within_s"})
KEYS = frozenset({"operation", "parameters"}) | JUDGING
GONE = frozenset({404, 410})


class Reading(StrEnum):
    """What reading back says: as expected, something else, or nothing."""

    HOLDS = "holds"
    DIFFERS = "differs"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One look at the system after an effect. ``found``: its answer; None where it says that there is no such thing."""

    reading: Reading
    status: int | None = None
    found: Any = None
    problem: str = ""
    duration_ms: int = 0


def read_back_of(expect: str, *, request: Mapping[str, Any], response: Any, call: CallResult) -> ReadBack:
    """Hold a call's answer against the expectation.

    404 and 410 are an answer: there is no such thing, ``found`` is null. An expectation that has no value on what was
    found, for want of a field, does not hold. Everything else that is no answer leaves it unread.
    """
    took = call.duration_ms
    is_gone = call.end == CallEnd.ANSWERED and call.status in GONE
    if not is_gone and (call.end != CallEnd.ANSWERED or call.status not in FINE):
        said = call.error or (f"It answered {call.status}." if call.status else "It gave no answer.")
        return ReadBack(Reading.UNREAD, call.status, problem=said, duration_ms=took)
    found = None if is_gone else call.result
    try:
        activation = EXPECTATION.activation({"request": dict(request), "response": response, "found": found})
        holds = compile_expression(expect, EXPECTATION, returns=Kind.BOOL).test(activation)
    except (ContextError, ExpressionError) as error:
        return ReadBack(Reading.UNREAD, call.status, problem=str(error), duration_ms=took)
    if isinstance(holds, EvaluationError):
        return ReadBack(Reading.DIFFERS, call.status, found, str(holds), took)
    return ReadBack(Reading.HOLDS if holds else Reading.DIFFERS, call.status, found, duration_ms=took)


def again_in_s(seen: ReadBack, *, tries: int, since_s: float, within_s: int) -> int | None:
    """After how many seconds to look again; None: this look stands. ``tries`` counts the looks, this one too.

    What differs is looked at again until ``within_s`` seconds have passed since the effect: systems take their time.
    """
    if seen.reading == Reading.HOLDS:
        return None
    if seen.reading == Reading.UNREAD:
        return AGAIN_S[tries - 1] if tries <= len(AGAIN_S) else None
    left = within_s - since_s
    return max(1, min(AGAIN_S[min(tries, len(AGAIN_S)) - 1], round(left))) if left > 0 else None


def verify_errors(verify: Mapping[str, Any] | None, *, is_read: bool) -> dict[str, list[str]]:
    """What does not fit in ``{operation, parameters?, expect, within_s?}`` besides the operation and its parameters."""
    if verify is None:
        return {}
    if not isinstance(verify, dict) or set(verify) - KEYS or "expect" not in verify:
        return {"verify": ["An object with operation, parameters, expect and within_s."]}
    if is_read:
        return {"verify": ["A read has no effect that could be verified."]}
    found: dict[str, list[str]] = {}
    try:
        compile_expression(str(verify["expect"]), EXPECTATION, returns=Kind.BOOL)
    except ExpressionError as error:
        found["verify.expect"] = [str(error)]
    within = verify.get("within_s", 0)
    if isinstance(within, bool) or not isinstance(within, int) or not 0 <= within <= WITHIN_S_MAX:
        found["verify.within_s"] = [f"From 0 to {WITHIN_S_MAX} seconds."]
    return found
