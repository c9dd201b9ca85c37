"""Breakers: looked at every second, by counts of what the database has. What is too much is stopped, once."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.connectors.models import Connector
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.core.services import system_user
from apps.halts.models import Breaker, Halt
from apps.halts.rules import PACE_MINUTES, PROBATION_S, BreakerKind, FailureCause, HaltScope, Measured, threshold_of
from apps.halts.services import open_breaker
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.selectors.history import oldest_id
from apps.workflows.rules.causes import CODES

TARGETS = {
    HaltScope.AGENT: "g.slug",
    HaltScope.VERSION: "g.slug || '@' || v.number",
    HaltScope.CONNECTOR: "a.connector",
}
ENDED = {
    BreakerKind.DENIED: [ActionState.DENIED],
    BreakerKind.REJECTED: [ActionState.REJECTED],
    BreakerKind.FAILED: [ActionState.FAILED],
}
WRONG = """
    a.state = ANY(%(states)s) AND a.finished_at > statement_timestamp() - %(window)s * interval '1 second'
    AND a.finished_at > {since} AND a.state IN ('denied', 'rejected', 'failed')
    OR %(unknown)s AND a.state = 'unknown' AND a.created_at > {since}
"""
MISMATCHED = """
    a.id = ANY(ARRAY(SELECT e.action_id FROM connectors_effect e WHERE e.state = 'mismatch'
                     AND e.read_back_at > statement_timestamp() - %(window)s * interval '1 second'))
    AND EXISTS (SELECT 1 FROM connectors_effect e WHERE e.action_id = a.id AND e.read_back_at > {since})
"""
"""An array, so that the few are found by their key and not by looking at every action each second."""
ASKED = "a.id >= %(oldest)s AND a.created_at > {since}"
SPENT = f"""{ASKED} AND a.currency = %(currency)s
    AND (a.state NOT IN ('denied', 'rejected', 'changes_requested', 'expired', 'cancelled', 'failed')
         OR a.taken_at_word)
"""
WHICH = {BreakerKind.SPEND: SPENT, BreakerKind.MISMATCH: MISMATCHED}
BY_PLANE = "coalesce(a.error ->> 'by', '') <> 'agent'"
CODED = f"a.error ->> 'code' = ANY(%(codes)s) AND {BY_PLANE}"
FAILED_BY = {
    **dict.fromkeys(FailureCause, CODED),
    FailureCause.PLANE: f"NOT coalesce(a.error ->> 'code' = ANY(%(known)s), false) AND {BY_PLANE}",
    FailureCause.REPORTED: "a.error ->> 'by' = 'agent'",
    FailureCause.UNKNOWN: "a.state = 'unknown'",
}
"""What agents say of their own actions is no word of a system, whatever code they send."""
ONE_JOB = """
    coalesce((SELECT j.job_id FROM oversight_escalation e JOIN oversight_jobitem j ON j.escalation_id = e.id
              WHERE e.action_id = a.id AND j.state = 'done' LIMIT 1), a.id)
"""
"""Whoever rejects many at once says one thing; and the rest of them is not to be held up by the first."""
ROWS = """
    agents_action a
    LEFT JOIN agents_agent g ON g.id = a.agent_id LEFT JOIN agents_agentversion v ON v.id = a.version_id
    LEFT JOIN LATERAL (SELECT max(h.lifted_at) AS lifted_at FROM halts_halt h
                       WHERE h.scope = %(scope)s AND h.target = {target}) l ON true
    WHERE a.environment = 'live' AND {target} IS NOT NULL AND (%(target)s = '' OR {target} = %(target)s)
      AND ({which}) AND ({cause})
"""
COUNTED = """
SELECT f.target, f.measured, coalesce(p.p99, 0), f.is_half_open FROM (
    SELECT c.target, {measure} AS measured,
           bool_or(c.lifted_at > statement_timestamp() - %(probation)s * interval '1 second') AS is_half_open
    FROM (
        SELECT {target} AS target, a.amount_minor, {act} AS act, l.lifted_at FROM {rows}
    ) c GROUP BY c.target
) f LEFT JOIN halts_pace p ON p.agent = f.target AND p.minutes >= %(minutes)s
WHERE NOT EXISTS (SELECT 1 FROM halts_halt h WHERE h.scope = %(scope)s AND h.target = f.target AND h.lifted_at IS NULL)
"""
BEHIND = "SELECT a.id FROM {rows} ORDER BY a.id DESC LIMIT %(shown)s"
"""The last of what was counted of one target."""
DENIED_BY = "a.verdict -> 'rules' @> ANY (%(rules)s::jsonb[])"
"""By one rule, or by any confidential one of a policy."""
SHOWN = 50
SINCE = "greatest(statement_timestamp() - %(window)s * interval '1 second', coalesce(l.lifted_at, '-infinity'))"
"""What happened before a person looked says nothing of after."""
PACES = """
INSERT INTO halts_pace (agent, p99, minutes, computed_at)
SELECT slug, percentile_disc(0.99) WITHIN GROUP (ORDER BY n), count(*), clock_timestamp() FROM (
    SELECT g.slug, count(*) AS n FROM agents_action a JOIN agents_agent g ON g.id = a.agent_id
    WHERE a.id >= %s AND a.created_at > statement_timestamp() - interval '7 days' AND a.environment = 'live'
      AND a.created_at < statement_timestamp() - interval '10 minutes'
    GROUP BY g.slug, date_trunc('minute', a.created_at)
) minutes GROUP BY slug
ON CONFLICT (agent) DO UPDATE SET p99 = excluded.p99, minutes = excluded.minutes, computed_at = excluded.computed_at
"""
WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Finding:
    """One target that a breaker stops."""

    target: str
    measured: int
    threshold: int


def check_breakers() -> int:
    """Open the breakers that found too much; how many halts came of it."""
    plane = system_user("plane")
    rows = Breaker.objects.filter(ended_at=None).select_related("unit").order_by("slug")
    return sum(_open(plane, breaker, found) for breaker in rows for found in _findings(breaker))


def _query(breaker: Breaker, text: str) -> str:
    """``text`` with what this breaker counts in its places."""
    kind = BreakerKind(breaker.kind)
    which = WRONG if kind in ENDED else WHICH.get(kind, ASKED)
    places = {
        "target": TARGETS[HaltScope(breaker.scope)],
        "measure": "coalesce(sum(c.amount_minor), 0)" if kind == BreakerKind.SPEND else "count(DISTINCT c.act)",
        "act": ONE_JOB if kind == BreakerKind.REJECTED else "a.id",
        "which": which.format(since=SINCE),
        "cause": _condition_of(kind, breaker.cause),
    }
    return text.format(rows=ROWS.format(**places), **places)


def _condition_of(kind: BreakerKind, cause: str) -> str:
    """What of an action says that it came about by ``cause``; its values are those of ``_values``."""
    if not cause:
        return "true"
    if kind == BreakerKind.DENIED:
        return DENIED_BY if "/" in cause else "a.verdict ->> 'reason' = %(cause)s"
    return FAILED_BY[FailureCause(cause)]


def _named(rule: str) -> list[dict[str, Any]]:
    """What a verdict says of a rule of this name; ``confidential`` names every one that is."""
    return [{"rule": rule}, *([{CONFIDENTIAL: True}] if rule == CONFIDENTIAL else [])]


def _values(breaker: Breaker) -> dict[str, Any]:
    kind = BreakerKind(breaker.kind)
    policy, _slash, rule = breaker.cause.partition("/")
    return {
        "cause": breaker.cause,
        "rules": [json.dumps([{"policy": policy, "effect": "deny", **which}]) for which in _named(rule)],
        "codes": sorted(CODES.get(breaker.cause, ())),
        "known": sorted(code for codes in CODES.values() for code in codes),
        "scope": breaker.scope,
        "target": breaker.target,
        "window": breaker.window_s,
        "currency": breaker.currency,
        "states": [state.value for state in ENDED.get(kind, [])],
        "unknown": kind == BreakerKind.FAILED,
        "oldest": oldest_id(breaker.window_s),
        "probation": PROBATION_S,
        "minutes": PACE_MINUTES,
        "shown": SHOWN,
    }


def _findings(breaker: Breaker) -> Iterator[Finding]:
    kind = BreakerKind(breaker.kind)
    with connection.cursor() as cursor:
        cursor.execute(_query(breaker, COUNTED), _values(breaker))
        rows = cursor.fetchall()
    for target, measured, p99, is_half_open in rows:
        threshold = threshold_of(kind, breaker.threshold, is_half_open=bool(is_half_open))
        if kind == BreakerKind.VOLUME:
            threshold = -(-threshold * p99 * breaker.window_s // 60) if p99 else MAX_INTEGER
        if measured >= threshold:
            yield Finding(target, int(measured), threshold)


@transaction.atomic
def _open(plane: User, breaker: Breaker, found: Finding) -> bool:
    unit = UNITS[HaltScope(breaker.scope)](found.target)
    flying = _in_flight(breaker.scope, found.target)
    told = Measured(found.measured, found.threshold, flying, _behind(breaker, found.target))
    halt: Halt | None = open_breaker(plane, breaker=breaker, target=found.target, unit=unit, told=told)
    return halt is not None


def _behind(breaker: Breaker, target: str) -> tuple[UUID, ...]:
    """The last actions of ``target`` that the breaker counts."""
    with connection.cursor() as cursor:
        cursor.execute(_query(breaker, BEHIND), {**_values(breaker), "target": target})
        return tuple(row[0] for row in cursor.fetchall())


def _in_flight(scope: str, target: str) -> int:
    """How many actions there were allowed or wait for people, and have not ended: what the halt holds up."""
    slug, _at, number = target.partition("@")
    which = {"connector": target} if scope == HaltScope.CONNECTOR else {"agent__slug": slug}
    if scope == HaltScope.VERSION:
        which["version__number"] = number
    flying = (ActionState.PENDING_APPROVAL, ActionState.APPROVED, ActionState.EXECUTING)
    return Action.objects.filter(state__in=flying, **which).count()


def _unit_of_agent(target: str) -> BusinessUnit | None:
    return Agent.objects.select_related("unit").get(slug=target.partition("@")[0]).unit


def _unit_of_connector(target: str) -> BusinessUnit | None:
    found = Connector.objects.select_related("unit").filter(slug=target).first()
    return found.unit if found else None


UNITS: dict[HaltScope, Callable[[str], BusinessUnit | None]] = {
    HaltScope.AGENT: _unit_of_agent,
    HaltScope.VERSION: _unit_of_agent,
    HaltScope.CONNECTOR: _unit_of_connector,
}


@transaction.atomic
def measure_paces() -> int:
    """Say anew what is usual for each agent; of how many."""
    with connection.cursor() as cursor:
        cursor.execute(PACES, [oldest_id(WEEK_S)])
        return int(cursor.rowcount)
