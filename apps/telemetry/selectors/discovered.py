"""Names under which agents send and that belong to no agent that is known."""

from uuid import UUID

from django.db.models import Prefetch, QuerySet

from apps.agents.models import Agent
from apps.agents.selectors import held_or_own_for
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.telemetry.models import DiscoveredAgent
from apps.telemetry.selectors.spans import VIEW

MANAGE = "agents.manage_agent"


def discovered_for(actor: User, *, agent: str = "", state: str = "") -> QuerySet[DiscoveredAgent]:
    """Discovered agents of senders that a person may see or owns, those that came last first; an agent sees none."""
    rows = DiscoveredAgent.objects.select_related("sender__unit", "sender__owner", "decided_by")
    if not actor.is_human:
        return rows.none()
    seen = Prefetch("adopted_as", visible(actor, VIEW, Agent.objects.all()))  # None of a unit that one does not see
    rows = rows.prefetch_related(seen)
    rows = rows.filter(sender__in=held_or_own_for(actor, perm=VIEW))
    if agent:
        rows = rows.filter(sender__slug=agent)
    if state:
        rows = rows.filter(state=state)
    return rows.order_by("-last_at", "-id")


def one_discovered_for(actor: User, discovered_id: UUID) -> DiscoveredAgent:
    """One of them. Raises NotFoundError."""
    if found := discovered_for(actor).filter(pk=discovered_id).first():
        return found
    raise NotFoundError


def decidable_for(actor: User) -> frozenset[UUID]:
    """The senders of whose discovered agents ``actor`` may decide: those that they manage. No agent does."""
    if not actor.is_human:
        return frozenset()
    senders = DiscoveredAgent.objects.values("sender")
    return frozenset(visible(actor, MANAGE, Agent.objects.filter(pk__in=senders)).values_list("pk", flat=True))
