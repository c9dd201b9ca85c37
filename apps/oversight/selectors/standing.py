"""Approvals in advance: whose they are, what they let run, whether they still stand."""

from uuid import UUID

from django.db.models import Prefetch, QuerySet

from apps.agents.models import Action
from apps.agents.rules import WORKING
from apps.core.errors import NotFoundError
from apps.core.gate import refuse_agents
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.halts.selectors import Scopes, halt_since
from apps.oversight.models import Escalation, Grant, StandingApproval, StandingUse
from apps.oversight.rules import HARMLESS_ENDS, EscalationState, GrantState, StandingState
from apps.oversight.selectors.eligibility import standing_for
from apps.oversight.selectors.escalations import require_visible
from apps.oversight.selectors.judged import changed_since_judged

USES_SHOWN = 20
REFUSED = frozenset({EscalationState.REJECTED, EscalationState.CHANGES_REQUESTED, EscalationState.INVALIDATED})
"""Ends of the item on which an approval in advance was given that take it along."""
PARTS = (
    "maker",
    "ended_by",
    "agent__owner",
    "agent__user",
    "item__unit",
    "item__agent__owner",
    "item__action__agent",
    "item__action__version",
    "item__action__principal",
    "item__action__on_behalf_of",
)


def standing_approvals_for(actor: User) -> QuerySet[StandingApproval]:
    """What ``actor`` approved in advance, newest first, each with the latest actions that it let run."""
    refuse_agents(actor)
    uses = StandingUse.objects.select_related("action").order_by("-number")[:USES_SHOWN]
    rows = StandingApproval.objects.select_related(*PARTS).filter(maker=actor)
    return rows.prefetch_related(Prefetch("uses", uses, to_attr="shown_uses")).order_by("-id")


def standing_approvals_of(actor: User, item: Escalation) -> list[StandingApproval]:
    """What was approved in advance because of an item that ``actor`` may see, newest first."""
    assert actor.is_active
    if "standing" not in (item.verdict.get("obligations") or {}):
        return []
    return list(StandingApproval.objects.select_related("maker", "ended_by").filter(item=item).order_by("-id"))


def standing_approval_for(actor: User, approval_id: UUID) -> StandingApproval:
    """One whose item ``actor`` may see. Raises NotFoundError."""
    found = StandingApproval.objects.select_related(*PARTS).filter(pk=approval_id).first()
    if found is None:
        raise NotFoundError
    if found.maker_id != actor.pk:
        require_visible(actor, found.item_id)
    return found


_live = Prepared(
    lambda: (
        StandingApproval.objects.select_related(*PARTS)
        .filter(StandingApproval.usable(), agent=Slot("agent"), operation=Slot("operation"))
        .order_by("until", "id")
    )
)


def live_standing_approvals(agent_id: UUID, operation: str) -> list[StandingApproval]:
    """What might let an agent's use of an operation run, the one that ends first before the others."""
    return _live(agent=agent_id, operation=operation)


def why_fallen(approval: StandingApproval) -> str:
    """Why an approval in advance holds no more, whatever the rules say now; empty if nothing speaks against it."""
    item = approval.item
    action = item.action
    if action is None or item.erased_at is not None:
        return "erased"
    if item.state in REFUSED:
        return "item_refused"
    if approval.agent.state not in WORKING:
        return "agent_inactive"
    if why := standing_for(approval.maker).why_not_alone(item):
        return why
    if halt_since(approval.created_at, **scopes_of_item(item)):
        return "halted"
    return changed_since_judged(action)


def scopes_of_item(item: Escalation) -> Scopes:
    """What a halt must name to cover an item: its unit, workflow, agent, version, connector or operation."""
    agent, action = item.agent, item.action
    version = action.version if action else agent.version if agent else None
    return {
        "units": {item.unit_id, item.run_unit_id or item.unit_id},
        "workflow": item.workflow,
        "agent": agent.slug if agent else "",
        "version": f"{agent.slug}@{version.number}" if agent and version else "",
        "connector": action.connector if action else "",
        "operation": action.operation if action else "",
    }


def has_standing_fallen(actor: User, action: Action) -> bool:
    """Whether what let an action run, and has not begun, was approved in advance by what holds no more."""
    assert actor.is_active
    grants = Grant.objects.filter(action=action, state=GrantState.LIVE, standing__isnull=False)
    grant = grants.select_related(*(f"standing__{part}" for part in PARTS)).order_by("-id").first()
    approval = grant.standing if grant else None
    if approval is None:
        return False
    if approval.state == StandingState.ENDED and approval.end_why not in HARMLESS_ENDS:
        return True
    return bool(why_fallen(approval))


def was_approved_in_advance(actor: User, action: Action) -> bool:
    """Whether what lets an action run now was approved in advance."""
    assert actor.is_active
    return Grant.objects.filter(action=action, state=GrantState.LIVE, standing__isnull=False).exists()
