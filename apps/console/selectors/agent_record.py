"""What an agent did, cost, and was told: beside what it may."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, Sum

from apps.agents.models import Agent
from apps.agents.rules import GATE_DAYS, Environment
from apps.console.selectors.agents import OperationInWords
from apps.core.gate import holds, visible
from apps.core.models import ClockTimestamp, User
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import halts_for
from apps.kpis.models import CostItem
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.formats import micro_per_minor
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Judgement, Kind
from apps.policies.selectors import RuleCard
from apps.workflows.models import Attempt, Run
from apps.workflows.selectors import runs_for

SHOWN = 5
COST, ITEMS = "kpis.view_kpi", "oversight.view_escalation"
HALTS = ("halts.engage_halt", "halts.lift_halt")


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """The last ``GATE_DAYS``, of what the reader may see. ``cost_minor``: None where they see no costs.

    ``sees_items``, ``sees_halts``: whether they may see what people decided of it, and halts that are over.
    """

    runs: list[Run]
    cost_minor: float | None
    currency: str
    decided: dict[str, int]
    judged: dict[str, int]
    halts: list[Halt]
    sees_items: bool
    sees_halts: bool


def record_for(actor: User, agent: Agent) -> AgentRecord:
    """Runs, costs, what people decided and judged, when it was stopped: of an agent that ``agent_for`` gave."""
    since = ClockTimestamp() - timedelta(days=GATE_DAYS)
    mine = Q(started_by=agent.user_id) | Q(pk__in=Attempt.objects.filter(agent=agent).values("run"))
    spent = CostItem.objects.filter(agent=agent.slug, incurred_at__gt=since, simulated=False)
    items = visible(actor, ITEMS, Escalation.objects.filter(agent=agent, ended_at__gt=since))
    items = items.exclude(action__environment=Environment.TEST)
    decided = items.aggregate(
        approved=Count("pk", filter=Q(kind=Kind.ACTION, state=EscalationState.APPROVED, edited=False)),
        edited=Count("pk", filter=Q(kind=Kind.ACTION, state=EscalationState.APPROVED, edited=True)),
        rejected=Count("pk", filter=Q(kind=Kind.ACTION, state=EscalationState.REJECTED)),
    )
    reviews = Q(kind=Kind.REVIEW, state=EscalationState.ANSWERED)
    judged = items.aggregate(
        **{word.value: Count("pk", filter=reviews & Q(answer__verdict=word.value)) for word in Judgement}
    )
    versions = [f"{agent.slug}@{number}" for number in agent.versions.values_list("number", flat=True)]
    stops = Q(scope=HaltScope.AGENT, target=agent.slug) | Q(scope=HaltScope.VERSION, target__in=versions)
    micro = spent.aggregate(sum=Sum("amount_micro"))["sum"] or 0
    return AgentRecord(
        runs=list(runs_for(actor).filter(mine)[:SHOWN]),
        cost_minor=micro / micro_per_minor(reporting_currency()) if holds(actor, COST, agent.unit) else None,
        currency=reporting_currency(),
        decided=decided,
        judged=judged,
        halts=list(halts_for(actor).filter(stops, created_at__gt=since)[:SHOWN]),
        sees_items=holds(actor, ITEMS, agent.unit) or items.exists(),
        sees_halts=any(holds(actor, perm) for perm in HALTS),
    )


def rules_of(words: Sequence[OperationInWords]) -> list[RuleCard]:
    """Each rule that concerns what it was granted, once, in the order of its operations."""
    cards = (card for word in words for card in (*word.may, *word.must_ask, *word.never))
    return list({(card.policy, card.slug): card for card in cards}.values())
