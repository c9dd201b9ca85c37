"""Changes to agents that wait for a second person."""

from uuid import UUID

from django.db.models import QuerySet

from apps.access.models import BusinessUnit
from apps.access.selectors import holders_for
from apps.agents.models import Agent, ChangeRequest
from apps.agents.rules import ChangeKind
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User

MANAGE = "agents.manage_agent"

LOWER = "policies.lower_enforcement"


def changes_for(actor: User, agent: Agent) -> QuerySet[ChangeRequest]:
    """What somebody asked to change of an agent and what became of it, newest first: of agents one may see."""
    rows = visible(actor, "agents.view_agent", ChangeRequest.objects.filter(agent=agent))
    return rows.select_related("agent__unit", "agent__owner", "asked_by", "ended_by").order_by("-id")


def open_changes_for(actor: User, agent: Agent) -> QuerySet[ChangeRequest]:
    """Those that wait for somebody else."""
    return changes_for(actor, agent).filter(ChangeRequest.open())


def change_for(actor: User, agent: Agent, change_id: UUID) -> ChangeRequest:
    """One of them. Raises NotFoundError."""
    if found := changes_for(actor, agent).filter(pk=change_id).first():
        return found
    raise NotFoundError


def who_could_agree(actor: User, change: ChangeRequest) -> list[User]:
    """The people other than who asked who may make this change; of a move, who may lower enforcement too, in both."""
    people = holders_for(actor, MANAGE, change.agent.unit_id).exclude(pk=change.asked_by_id)
    if change.kind == ChangeKind.UNIT and (unit := BusinessUnit.objects.filter(slug=change.to).first()):
        for perm, place in ((MANAGE, unit.pk), (LOWER, unit.pk), (LOWER, change.agent.unit_id)):
            people = people.filter(pk__in=holders_for(actor, perm, place).values("pk"))
    return list(people)
