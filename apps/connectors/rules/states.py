"""The lives of connectors, operations and effects, and what an outcome of a call means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from apps.agents.rules import EffectClass
from apps.core.rules import Moves


class ExecutedBy(StrEnum):
    """Who carries an approved action out: the plane, the agent with its grant, or either."""

    PLANE = "plane"
    AGENT = "agent"
    BOTH = "both"


class Idempotency(StrEnum):
    """Why repeating a call is harmless: it is not, a key header says so, or its own parameters do."""

    NONE = "none"
    HEADER = "header"
    NATURAL = "natural"


class OnConflict(StrEnum):
    """What becomes of an action whose key another holds when it should begin.

    ``queue``: it waits for its turn. ``ask``: people decide whether it does. ``deny``: it is denied. ``supersede``: it
    waits, and is cancelled where the same was asked for again since.
    """

    QUEUE = "queue"
    ASK = "ask"
    DENY = "deny"
    SUPERSEDE = "supersede"


class ConnectorState(StrEnum):
    """Whether a system, or one operation of it, may be used."""

    ACTIVE = "active"
    DISABLED = "disabled"
    RETIRED = "retired"


class SecretState(StrEnum):
    """What becomes of one version of a secret: the one that opens, the one before it for a while, gone for good."""

    IN_USE = "in_use"
    STANDS_IN = "stands_in"
    DESTROYED = "destroyed"


CONNECTOR_MOVES: Moves = {
    ConnectorState.ACTIVE: frozenset({ConnectorState.DISABLED, ConnectorState.RETIRED}),
    ConnectorState.DISABLED: frozenset({ConnectorState.ACTIVE, ConnectorState.RETIRED}),
    ConnectorState.RETIRED: frozenset({ConnectorState.ACTIVE}),
}


class OperationState(StrEnum):
    """Whether an operation may be used. ``quarantined``: its document says something else since; a person looks."""

    ACTIVE = "active"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


OPERATION_MOVES: Moves = {
    OperationState.ACTIVE: frozenset({OperationState.DISABLED, OperationState.QUARANTINED, OperationState.RETIRED}),
    OperationState.DISABLED: frozenset({OperationState.ACTIVE, OperationState.RETIRED}),
    OperationState.QUARANTINED: frozenset({OperationState.ACTIVE, OperationState.DISABLED, OperationState.RETIRED}),
    OperationState.RETIRED: frozenset({OperationState.ACTIVE}),
}


class EffectState(StrEnum):
    """Where one effect is. ``dispatched``: the request may have left; ``unknown``: nobody can say what it did.

    ``verified`` and ``mismatch``: the system of record was read back and shows what was meant, or something else.
    """

    PREPARED = "prepared"
    CLAIMED = "claimed"
    DISPATCHED = "dispatched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    VERIFIED = "verified"
    MISMATCH = "mismatch"
    COMPENSATED = "compensated"


UNSETTLED = (EffectState.PREPARED, EffectState.UNKNOWN, EffectState.CLAIMED, EffectState.DISPATCHED)
"""What somebody may still have to see to."""

EFFECT_MOVES: Moves = {
    EffectState.PREPARED: frozenset({EffectState.CLAIMED, EffectState.FAILED}),
    # Back to prepared: the worker died before it sent anything.
    # Succeeded at once: a test of a system without a test address.
    EffectState.CLAIMED: frozenset(
        {EffectState.DISPATCHED, EffectState.PREPARED, EffectState.FAILED, EffectState.SUCCEEDED}
    ),
    # Back to prepared: the system said "later" before it began.
    EffectState.DISPATCHED: frozenset(
        {EffectState.SUCCEEDED, EffectState.FAILED, EffectState.UNKNOWN, EffectState.PREPARED}
    ),
    # Claimed again: a repeat under the same key. Succeeded or failed: a person found out.
    EffectState.UNKNOWN: frozenset({EffectState.CLAIMED, EffectState.SUCCEEDED, EffectState.FAILED}),
    EffectState.SUCCEEDED: frozenset({EffectState.VERIFIED, EffectState.MISMATCH, EffectState.COMPENSATED}),
    EffectState.VERIFIED: frozenset({EffectState.COMPENSATED}),
    # Verified: a person looked, and it is in order.
    EffectState.MISMATCH: frozenset({EffectState.VERIFIED, EffectState.COMPENSATED}),
    EffectState.FAILED: frozenset(),
    EffectState.COMPENSATED: frozenset(),
}

SETTLED = frozenset({
    EffectState.SUCCEEDED, EffectState.VERIFIED, EffectState.MISMATCH, EffectState.FAILED, EffectState.COMPENSATED,
})  # fmt: skip
"""What nobody waits for any more: whether it was done is known."""

FINE, CLIENT_ERRORS, ERRORS = range(200, 300), range(400, 500), range(400, 600)
UNWELCOME = frozenset({401, 403, 407})
LATER = frozenset({429, 503})

NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({"type": "object", "additionalProperties": False})


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """How an operation is described; the defaults are those of its document."""

    name: str
    method: str
    path: str
    effect: str
    parameters: dict[str, Any] = field(default_factory=lambda: dict(NO_PARAMETERS))
    execution: str = ExecutedBy.PLANE
    amount: dict[str, str] | None = None
    target: str = ""
    consequence: str = ""
    idempotency: str = Idempotency.NONE
    timeout_s: int = 10
    compensation: dict[str, Any] | None = None
    on_file: dict[str, Any] | None = None
    dry_run: dict[str, str] | None = None
    verify: dict[str, Any] | None = None
    exclusive: str = ""
    on_conflict: str = OnConflict.QUEUE
    mail: dict[str, Any] | None = None
    query: str = ""
    tool: dict[str, Any] | None = None
    fee_minor: int = 0


REPEAT_AFTER_S = (30, 300, 1800)
"""When an unknown effect that is safe to repeat is tried again (governance.md 4)."""

DEFERRALS_MAX = 10
DEFERRAL_S_MAX = 3600


class CallEnd(StrEnum):
    """How a call ended, seen from the wire."""

    ANSWERED = "answered"
    BROKEN = "broken"
    SILENT = "silent"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    UNPREPARED = "unprepared"
    LOST = "lost"
    TURNED_AWAY = "turned_away"
    NOT_CALLED = "not_called"


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came back of one call, redacted. ``result`` counts only when ``end`` is ``answered`` and the status 2xx.

    ``stood_in``: the secret that was replaced was tried, because the system did not take the new one.
    """

    end: CallEnd
    status: int | None = None
    result: Any = None
    retry_after_s: int | None = None
    error: str = ""
    duration_ms: int = 0
    stood_in: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state an effect moves to, why in a stable code, and after how many seconds it is tried again, if at all."""

    state: EffectState
    code: str = ""
    retry_in_s: int | None = None


def outcome_of(call: CallResult, *, effect: str, idempotency: str, repeats: int, deferrals: int) -> Outcome:
    """Classify a call (governance.md 4).

    4xx failed; silence, a broken answer or 5xx: a write is unknown at once, a read failed; 429 and 503 with
    Retry-After: tried again, not begun. ``repeats`` and ``deferrals`` count what was already tried for each reason.
    """
    if call.end == CallEnd.NOT_CALLED:  # a test
        return Outcome(EffectState.SUCCEEDED)
    if code := NEVER_LEFT.get(call.end):
        return Outcome(EffectState.FAILED, code)
    if call.end == CallEnd.ANSWERED and call.status in FINE:
        return Outcome(EffectState.SUCCEEDED)
    is_mail = call.end == CallEnd.TURNED_AWAY  # a mail server said no, or "later": the mail did not go
    if is_mail or (call.end == CallEnd.ANSWERED and call.status is not None):
        if (is_mail or call.status in LATER) and call.retry_after_s is not None:
            return _deferred(call.retry_after_s, deferrals)
        if is_mail or call.status in CLIENT_ERRORS:
            return Outcome(EffectState.FAILED, "refused_by_system")
    return _doubtful(CODE_OF_END[call.end], effect=effect, idempotency=idempotency, repeats=repeats)


NEVER_LEFT = {
    CallEnd.UNREACHABLE: "unreachable",
    CallEnd.REFUSED: "egress_refused",
    CallEnd.UNPREPARED: "not_configured",
}

CODE_OF_END = {
    CallEnd.ANSWERED: "system_error",
    CallEnd.BROKEN: "broken_answer",
    CallEnd.SILENT: "no_answer",
    CallEnd.LOST: "worker_lost",
}


def in_trouble(call: CallResult, outcome: Outcome) -> bool:
    """Whether a call says something bad of the connector itself: a 4xx but 401 and 403 is about the request."""
    if outcome.state == EffectState.SUCCEEDED:
        return False
    return outcome.code != "refused_by_system" or call.status in UNWELCOME


def _deferred(retry_after_s: int, deferrals: int) -> Outcome:
    if deferrals >= DEFERRALS_MAX:
        return Outcome(EffectState.FAILED, "busy")
    return Outcome(EffectState.PREPARED, "busy", max(1, min(retry_after_s, DEFERRAL_S_MAX)))


def _doubtful(code: str, *, effect: str, idempotency: str, repeats: int) -> Outcome:
    if effect == EffectClass.READ:
        return Outcome(EffectState.FAILED, code)
    repeatable = idempotency in {Idempotency.HEADER, Idempotency.NATURAL} and repeats < len(REPEAT_AFTER_S)
    return Outcome(EffectState.UNKNOWN, code, REPEAT_AFTER_S[repeats] if repeatable else None)
