"""What each rule did lately: counted from the verdicts that actions keep."""

import time
from dataclasses import dataclass, fields
from uuid import UUID

from django.db import connection

from apps.core.models import User
from apps.policies.models import Policy
from apps.policies.rules import Effect

COUNT = """
SELECT matched->>'rule', a.verdict->>'effect', a.state, count(*)
FROM agents_action a CROSS JOIN LATERAL jsonb_array_elements(a.verdict->'rules') AS matched
WHERE a.id >= %s AND a.created_at >= clock_timestamp() - make_interval(days => %s) AND matched->>'policy' = %s
GROUP BY 1, 2, 3
"""
COUNT_POLICIES = """
SELECT policy, count(*), count(*) FILTER (WHERE effect = 'allow'), count(*) FILTER (WHERE effect = 'require_approval'),
       count(*) FILTER (WHERE effect = 'deny')
FROM (SELECT DISTINCT a.id, a.verdict->>'effect' AS effect, matched->>'policy' AS policy
      FROM agents_action a CROSS JOIN LATERAL jsonb_array_elements(a.verdict->'rules') AS matched
      WHERE a.id >= %s AND a.created_at >= clock_timestamp() - make_interval(days => %s)) AS told
GROUP BY policy
"""
_DAY_MS = 86_400_000
_RAN = frozenset({"approved", "executing", "succeeded", "failed", "unknown", "compensated"})


@dataclass(slots=True)
class RuleNumbers:
    """Actions that a rule matched, by what became of them.

    ``allowed`` + ``asked`` + ``denied`` is ``matched``; the others are parts of ``asked``, where people had their say.
    """

    matched: int = 0
    allowed: int = 0
    asked: int = 0
    denied: int = 0
    approved: int = 0
    rejected: int = 0
    changes_requested: int = 0
    expired: int = 0
    waiting: int = 0

    def add(self, effect: str, state: str, count: int) -> None:
        """Count ``count`` actions with this verdict in this state."""
        self.matched += count
        if effect == Effect.DENY:
            self.denied += count
        elif effect == Effect.ALLOW:
            self.allowed += count
        else:
            self.asked += count
            self._decide(state, count)

    def _decide(self, state: str, count: int) -> None:
        name = "approved" if state in _RAN else "waiting" if state == "pending_approval" else state
        if name in _PARTS:
            setattr(self, name, getattr(self, name) + count)

    @property
    def approval_share(self) -> float | None:
        """Share of what people decided that they approved, 0..1; None where they decided nothing."""
        decided = self.approved + self.rejected + self.changes_requested
        return self.approved / decided if decided else None


_PARTS = frozenset(part.name for part in fields(RuleNumbers)) - {"matched", "allowed", "asked", "denied"}


def rule_numbers_for(actor: User, policy: Policy, *, window_days: int = 30) -> dict[str, RuleNumbers]:
    """Numbers of the last days by rule slug, over all versions; rules that matched nothing are absent."""
    found: dict[str, RuleNumbers] = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [_oldest_id(window_days + 1), window_days, policy.slug])
        for rule, effect, state, count in cursor.fetchall():
            found.setdefault(rule, RuleNumbers()).add(effect, state, count)
    return found


def policy_numbers_for(actor: User, *, window_days: int = 30) -> dict[str, RuleNumbers]:
    """Numbers of the last days by policy slug: each action once, however many of its rules matched."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_POLICIES, [_oldest_id(window_days + 1), window_days])
        return {
            policy: RuleNumbers(matched=matched, allowed=allowed, asked=asked, denied=denied)
            for policy, matched, allowed, asked, denied in cursor.fetchall()
        }


def _oldest_id(days: int) -> UUID:
    """A lower bound for the ids of that many days: ids begin with their time, so the primary key finds them."""
    return UUID(int=(int(time.time() * 1000) - days * _DAY_MS) << 80)
