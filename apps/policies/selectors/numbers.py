"""What rules did lately: read from the days' counts that the ledger was folded into."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import TruncDate

from apps.core.models import ClockTimestamp, User
from apps.policies.models import Policy, RuleDay
from apps.policies.rules import Finding
from apps.policies.rules.numbers import COLUMNS

IDLE_DAYS = 90


@dataclass(frozen=True, slots=True)
class RuleNumbers:
    """Actions that a rule matched, by what became of them on the days of the window.

    ``allowed`` + ``asked`` + ``denied`` is ``matched``; the others are what people, or nobody, made of those asked,
    also of such as were asked before the window.
    """

    allowed: int = 0
    asked: int = 0
    denied: int = 0
    approved: int = 0
    rejected: int = 0
    changes_requested: int = 0
    expired: int = 0
    shadow_seen: int = 0
    shadow_matched: int = 0

    @property
    def matched(self) -> int:
        """How often the rule had its say."""
        return self.allowed + self.asked + self.denied

    @property
    def approval_share(self) -> float | None:
        """Share of what people decided that they approved, 0..1; None where they decided nothing."""
        decided = self.approved + self.rejected + self.changes_requested
        return self.approved / decided if decided else None


def rule_numbers_for(actor: User, policy: Policy, *, window_days: int = 30) -> dict[str, RuleNumbers]:
    """Numbers of the last days by rule slug, over all versions; rules that matched nothing are absent."""
    rows = _window(window_days).filter(policy=policy.slug).exclude(rule="")
    return _sums(rows, "rule")


def idle_rules_for(actor: User, policy: Policy) -> list[Finding]:
    """A warning for each rule of a version that is in force for ``IDLE_DAYS`` and matched nothing in them."""
    version = policy.in_force
    if version is None:
        return []
    since = Policy.objects.filter(pk=policy.pk, in_force__created_at__lt=ClockTimestamp() - timedelta(days=IDLE_DAYS))
    if not since.exists():
        return []
    numbers = rule_numbers_for(actor, policy, window_days=IDLE_DAYS)
    said = f"It matched nothing in {IDLE_DAYS} days: take it out, or find out why what it is for does not come."
    return [
        Finding(f"rules.{place}", said, str(rule["slug"]), is_warning=True)
        for place, rule in enumerate(version.rules)
        if not (found := numbers.get(rule["slug"], RuleNumbers())).matched + found.shadow_matched
    ]


def policy_numbers_for(actor: User, *, window_days: int = 30) -> dict[str, RuleNumbers]:
    """Numbers of the last days by policy slug: each action once, however many of its rules matched."""
    return _sums(_window(window_days).filter(rule=""), "policy")


def _window(days: int) -> QuerySet[RuleDay]:
    return RuleDay.objects.filter(day__gt=TruncDate(ClockTimestamp() - timedelta(days=days)))


def _sums(rows: QuerySet[RuleDay], name: str) -> dict[str, RuleNumbers]:
    sums: dict[str, Any] = {f"{column}_sum": Sum(F(column)) for column in COLUMNS}
    return {
        row[name]: RuleNumbers(**{column: row[f"{column}_sum"] for column in COLUMNS})
        for row in rows.values(name).annotate(**sums)
    }
