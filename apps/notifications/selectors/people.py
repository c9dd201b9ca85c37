"""Who is told of what: read when it is told, by queries whose number does not grow with the people."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from apps.access.models import EmergencyAccess, RoleGrant
from apps.access.selectors import ancestors_for, holders_for, live_grants
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.connectors.models import Connector
from apps.core.models import User
from apps.core.services import system_user
from apps.halts.models import BreakerChange, Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import breaker_releasers_of
from apps.notifications.models import Notice, ReportSubscription
from apps.notifications.rules import ASKING, RECIPIENTS_MAX, Event
from apps.oversight.models import AccessReview, Comment, Escalation
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import eligible_for
from apps.oversight.selectors.access_reviews import reviewers_of
from apps.policies.models import Budget, BudgetChange, Proposal, RuleFault, RuleFlag, Waiver
from apps.policies.rules import ProposalState
from apps.policies.selectors.budgets import releasers_of
from apps.policies.selectors.waivers import approvers_of
from apps.workflows.models import ErasureRequest, Workflow
from apps.workflows.selectors.erasing import who_is_asked_to_agree

LIFT, MANAGE, PUBLISH = "halts.lift_halt", "agents.manage_agent", "policies.publish_policy"
CONNECT = "connectors.manage_connector"


def recipients_of(notice: Notice) -> list[User]:
    """The people whom a notice concerns now, at most ``RECIPIENTS_MAX``; but for whoever caused it, mostly."""
    people = {person.pk: person for person in _concerned(notice) if person.is_active and person.is_human}
    if notice.event != Event.SIGN_IN:  # whoever does it in their name is not they
        people.pop(notice.entry.actor_id, None)
    return sorted(people.values(), key=lambda person: person.username)[:RECIPIENTS_MAX]


def _concerned(notice: Notice) -> list[User]:
    return CONCERNED[notice.about](notice, getattr(notice, notice.about))


def _of_connector(notice: Notice, connector: Connector) -> list[User]:
    """Whoever manages the system, while something of it is quarantined."""
    return [] if notice.is_over else list(holders_for(system_user("plane"), CONNECT, connector.unit_id))


def _of_review(notice: Notice, review: AccessReview) -> list[User]:
    """Those for whom rights wait; of its end, whoever opened it."""
    if notice.event == Event.REVIEWED:
        return [review.opened_by]
    return reviewers_of(review) if review.closed_at is None else []


def _of_budget(notice: Notice, budget: Budget) -> list[User]:
    """Its owner; of a change that waits, who may release it."""
    if notice.event != Event.PROPOSAL:
        return [budget.owner]
    change = BudgetChange.objects.select_related("budget").get(pk=notice.entry.subject_id)
    return releasers_of(system_user("plane"), change) if change.state == ProposalState.OPEN else []


def _of_breaker_change(notice: Notice, change: BreakerChange) -> list[User]:
    """Who may release it, while it waits."""
    return [] if notice.is_over else breaker_releasers_of(system_user("plane"), change)


def _of_waiver(notice: Notice, waiver: Waiver) -> list[User]:
    """Who may approve it, while it waits; of what became of it, and that it ends soon, who asked for it."""
    if notice.is_over:
        return []
    is_asked = notice.event == Event.WAIVER
    return approvers_of(system_user("plane"), waiver, most=RECIPIENTS_MAX) if is_asked else [waiver.maker]


def _of_emergency(notice: Notice, opened: EmergencyAccess) -> list[User]:
    """Whoever manages access anywhere; of its opening, the owners of agents that work as well, as far as they fit."""
    grants = RoleGrant.objects.filter(live_grants(), role__permissions__contains=["access.manage_access"])
    found = list(User.objects.filter(pk__in=grants.values("user"), is_active=True).order_by("username"))
    if notice.entry.name != "emergencyaccess.opened":
        return found
    working = Agent.objects.filter(state__in=(AgentState.PILOT, AgentState.ACTIVE)).values("owner")
    owners = User.objects.filter(pk__in=working, is_active=True).exclude(pk__in=grants.values("user"))
    return found + list(owners.order_by("username")[: max(0, RECIPIENTS_MAX - len(found))])


def _of_report(notice: Notice, wanted: ReportSubscription) -> list[User]:
    """Who wanted it, and still does."""
    return [wanted.user] if wanted.is_on else []


def _of_erasure(notice: Notice, asked: ErasureRequest) -> list[User]:
    """Who may agree with it."""
    return who_is_asked_to_agree(asked, most=RECIPIENTS_MAX)


def _of_proposal(notice: Notice, proposal: Proposal) -> list[User]:
    """Who may release or decline it, while it waits."""
    if proposal.state != ProposalState.OPEN:
        return []
    return list(holders_for(system_user("plane"), PUBLISH, proposal.policy.unit_id))


def _of_agent(notice: Notice, agent: Agent) -> list[User]:
    """Its owner; of what its unit has to see to, who manages agents there; of a misused key or a request, both."""
    if notice.event in {Event.KEY, Event.ACCESS}:
        return [agent.owner, *holders_for(system_user("plane"), MANAGE, agent.unit_id)]
    if notice.event in {Event.OWNERLESS, Event.AGREEMENT}:
        return list(holders_for(system_user("plane"), MANAGE, agent.unit_id))
    return [agent.owner]


def _of_item(notice: Notice, item: Escalation) -> list[User]:
    """Who is asked; of what became of it, the agent's owner; of a reply, who wrote."""
    if notice.event == Event.ASSIGNED:
        return list(User.objects.filter(username=notice.entry.payload.get("to", "")))
    if notice.event in ASKING:
        is_open = item.state == EscalationState.PENDING
        eligible = eligible_for(system_user("plane"), item) if is_open else {}
        return [person for key, people in eligible.items() if _is_meant(notice, key) for person in people]
    if notice.event == Event.REPLIED:
        return list(_who_asked(item)) if notice.entry.actor.is_agent else []
    is_news = item.agent and notice.event != Event.CLOSED and item.agent.owner_id != item.decided_by_id
    return [item.agent.owner] if item.agent and is_news else []


def _is_meant(notice: Notice, key: str) -> bool:
    """Whether a group is meant: of a stage whose turn has come, only those who are asked now."""
    is_stage = notice.entry.name == "escalation.asked"
    return not is_stage or key.partition("/")[0] in notice.entry.payload.get("queues", ())


def _who_asked(item: Escalation) -> QuerySet[User]:
    """The people who wrote below an item or look at it: an agent's reply is for them."""
    wrote = Comment.objects.filter(escalation=item, author__kind="human").values("author")
    return User.objects.filter(Q(pk__in=wrote) | Q(pk=item.claimed_by_id))


def _of_halt(notice: Notice, halt: Halt) -> list[User]:
    """The owner of what is stopped, and who may lift the halt."""
    above = ancestors_for(None, halt.unit_id) if halt.unit_id else []
    grants = RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=above))
    lifters = User.objects.filter(pk__in=grants.filter(role__permissions__contains=[LIFT]).values("user"))
    slug = halt.target.partition("@")[0] if halt.scope in {HaltScope.AGENT, HaltScope.VERSION} else ""
    return [agent.owner for agent in Agent.objects.filter(slug=slug).select_related("owner")] + list(lifters)


def _of_workflow(_notice: Notice, workflow: Workflow) -> list[User]:
    """Its owner, if it has one."""
    return [workflow.owner] if workflow.owner else []


def _of_rule_flag(_notice: Notice, flag: RuleFlag) -> list[User]:
    """The owner of the agent that was flagged."""
    return [flag.agent.owner]


def _of_rule_fault(_notice: Notice, fault: RuleFault) -> list[User]:
    """Who may write and release the policy."""
    return list(holders_for(system_user("plane"), PUBLISH, fault.policy.unit_id))


def _of_person(notice: Notice, person: User) -> list[User]:
    """They themselves; of a first password nobody, who has not signed in yet."""
    is_first = notice.entry.name == "user.password_set" and person.last_login is None
    return [] if is_first else [person]


CONCERNED: Mapping[str, Callable[[Notice, Any], list[User]]] = {
    "escalation": _of_item,
    "halt": _of_halt,
    "agent": _of_agent,
    "erasure": _of_erasure,
    "budget": _of_budget,
    "proposal": _of_proposal,
    "review": _of_review,
    "connector": _of_connector,
    "waiver": _of_waiver,
    "emergency": _of_emergency,
    "report": _of_report,
    "workflow": _of_workflow,
    "breaker_change": _of_breaker_change,
    "person": _of_person,
    "rule_flag": _of_rule_flag,
    "rule_fault": _of_rule_fault,
}
"""What a notice is about -> whom it concerns."""
