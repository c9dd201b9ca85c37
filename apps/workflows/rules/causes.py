"""Why an action was denied, rejected or failed, by what is written down of it."""

from collections.abc import Mapping
from typing import Any

from apps.halts.rules import FailureCause

CODES: Mapping[str, frozenset[str]] = {
    FailureCause.TIMEOUT: frozenset({"no_answer", "worker_lost"}),
    FailureCause.SERVER_ERROR: frozenset({"system_error", "broken_answer"}),
    FailureCause.REFUSED: frozenset({"refused_by_system", "busy"}),
    FailureCause.UNREACHABLE: frozenset({"unreachable", "egress_refused", "not_configured"}),
}
"""The codes of ended calls, by cause. Every other code is the plane's: what was allowed could not run as judged."""


def failure_cause(error: Mapping[str, Any] | None) -> FailureCause:
    """By what an action failed, or became unknown."""
    told = error or {}
    if told.get("by") == "agent":
        return FailureCause.REPORTED
    return next(
        (FailureCause(cause) for cause, codes in CODES.items() if told.get("code") in codes), FailureCause.PLANE
    )


def denial_causes(verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """The rules that denied an action, as ``policy/rule``; else the reason that is no rule."""
    rules = [rule for rule in verdict.get("rules", ()) if rule.get("effect") == "deny"]
    return tuple(f"{rule['policy']}/{rule['rule']}" for rule in rules) or (str(verdict.get("reason") or ""),)


def causes_of(state: str, *, error: Mapping[str, Any] | None, verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """What a breaker would count an action of this state under; empty where it went well."""
    if state == "denied":
        return denial_causes(verdict)
    if state in {"failed", "unknown"}:
        also = (FailureCause.UNKNOWN.value,) if state == "unknown" else ()
        return (failure_cause(error).value, *also)
    return ("people",) if state == "rejected" else ()
