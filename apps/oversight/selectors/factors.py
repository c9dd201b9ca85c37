"""What makes an item grave or ordinary: the agent's own past, the way back, what waits meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.selectors import target_names
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import EffectState, money_text
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Pace, percentile
from apps.oversight.selectors.pace import pace_for
from apps.policies.selectors import RuleCard, matched_rules_for

LOOKED_AT = 500
UNDONE_CAP = 100


@dataclass(frozen=True, slots=True)
class History:
    """What the same agent did with the same operation among its last 500 actions; amounts in the item's currency."""

    total: int = 0
    same_target: int = 0
    p95_minor: int | None = None
    currency: str = ""

    def times(self, amount_minor: int | None) -> float | None:
        """How many times the 95th percentile of its amounts so far; None without amounts."""
        return amount_minor / self.p95_minor if amount_minor and self.p95_minor else None

    @property
    def p95(self) -> str:
        """That percentile as money."""
        return money_text(self.p95_minor, self.currency) if self.p95_minor is not None else ""


def history_of(item: Escalation) -> History:
    """One query, over at most 500 rows of one index."""
    action = item.action
    if action is None or action.agent_id is None:
        return History()
    done = Action.objects.filter(agent=action.agent_id, operation=action.operation, state=ActionState.SUCCEEDED)
    rows = done.exclude(pk=action.pk).order_by("-id")
    last = list(rows.values_list("target", "erased_target", "amount_minor", "currency")[:LOOKED_AT])
    amounts = [minor for _, _, minor, currency in last if minor is not None and currency == action.currency]
    names = target_names(action)
    return History(
        total=len(last),
        same_target=sum((target or erased) in names for target, erased, _, _ in last),
        p95_minor=percentile(amounts),
        currency=action.currency,
    )


@dataclass(frozen=True, slots=True)
class WayBack:
    """What would undo the action. ``undone``: how often it did so far (at most 100 are counted), ``last`` when."""

    operation: str
    name: str
    undone: int
    last: datetime | None

    @property
    def is_capped(self) -> bool:
        """Whether there may be more."""
        return self.undone == UNDONE_CAP


def way_back_of(operation: Operation | None) -> WayBack | None:
    """The operation's compensation, and whether it was ever exercised; None where it has none. One query.

    ``operation`` as ``sheet_for`` fetches it, with the name of what undoes it.
    """
    if operation is None or not operation.compensation:
        return None
    slug = str(operation.compensation.get("operation", ""))
    name = getattr(operation, "undone_by", None)
    rows = Effect.objects.filter(operation=operation, state=EffectState.COMPENSATED).order_by("-id")
    moments = list(rows.values_list("settled_at", flat=True)[:UNDONE_CAP])
    return WayBack(slug, name or slug, len(moments), moments[0] if moments else None)


@dataclass(frozen=True, slots=True)
class Cost:
    """What carrying out, waiting and deciding cost. ``beside``: other items of the same run that wait too."""

    fee_minor: int
    currency: str
    hourly_minor: int
    waiting_since: datetime
    blocks_run: bool
    beside: int
    pace: Pace

    @property
    def deciding_minor(self) -> int:
        """What the person's time costs at the unit's hourly rate, in minor units of its currency."""
        return round(self.pace.seconds * self.hourly_minor / 3600)


def cost_for(actor: User, item: Escalation, operation: Operation | None) -> Cost:
    """At most three queries."""
    siblings = Escalation.objects.filter(run_id=item.run_id, state=EscalationState.PENDING).exclude(pk=item.pk)
    return Cost(
        fee_minor=operation.fee_minor if operation else 0,
        currency=item.unit.currency,
        hourly_minor=item.unit.hourly_rate_minor,
        waiting_since=item.created_at,
        blocks_run=item.run_id is not None,
        beside=len(siblings.values_list("pk")[:UNDONE_CAP]) if item.run_id else 0,
        pace=pace_for(actor),
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """A rule that asked or matched, the values it looked at, and why it could not be judged, where it could not."""

    card: RuleCard
    values: list[tuple[str, Any]]
    error: str = ""


def grounds_for(actor: User, item: Escalation) -> list[Ground]:
    """The matched rules in words with the facts that their conditions name, strictest first."""
    if not item.verdict.get("rules"):
        return []
    facts = item.verdict.get("facts") or {}
    queues = {group.queue.slug: group.queue.name for group in item.group_list()}
    unjudged = {(rule["policy"], rule["rule"]): str(rule.get("error", "")) for rule in item.verdict["rules"]}
    return [
        Ground(card, named_in(card.when, facts), unjudged.get((card.policy, card.slug), ""))
        for card in matched_rules_for(actor, item.verdict, queues)
    ]


def named_in(expression: str, facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The facts that an expression names, in its order."""
    found = [(expression.find(name), name) for name in facts if _is_named(name, expression)]
    return [(name, facts[name]) for _, name in sorted(found)]


def _is_named(name: str, expression: str) -> bool:
    before, found, after = expression.partition(name)
    edges = f"{before[-1:]}{after[:1]}"
    return bool(found) and not any(char.isalnum() or char in "_." for char in edges)
