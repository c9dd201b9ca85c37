"""What agents were flagged for."""

from uuid import UUID

from django.db.models import Q, QuerySet

from apps.agents.models import Agent, Repetition
from apps.agents.rules import FlagState
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User

VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"


def flags_for(actor: User, *, agent: str = "", state: str = "") -> QuerySet[Repetition]:
    """What agents kept asking for although people rejected it, newest first: of those one may see, owns or is.

    ``agent``: the slug of one; ``state``: only those that stand (``open``) or were ``dismissed``.
    """
    rows = Repetition.objects.filter(flagged_at__isnull=False, agent__in=held_or_own_for(actor, perm=VIEW))
    if agent:
        rows = rows.filter(agent__slug=agent)
    if state:
        rows = rows.filter(Repetition.open() if state == FlagState.OPEN else Q(dismissed_at__isnull=False))
    rows = rows.select_related("rejected", "agent__unit", "agent__owner", "dismissed_by")
    return rows.order_by("-flagged_at", "-id")


def flag_for(actor: User, flag_id: UUID) -> Repetition:
    """One of them. Raises NotFoundError."""
    if found := flags_for(actor).filter(pk=flag_id).first():
        return found
    raise NotFoundError


def dismissible_for(actor: User) -> frozenset[UUID]:
    """The agents whose flags ``actor`` may dismiss: those that they own, or may suspend. No agent dismisses any."""
    if not actor.is_human:
        return frozenset()
    return frozenset(
        held_or_own_for(actor, perm=MANAGE).filter(repetitions__flagged_at__isnull=False).values_list("pk", flat=True)
    )


def held_or_own_for(actor: User, *, perm: str) -> QuerySet[Agent]:
    """Agents on which ``actor`` holds ``perm``, and those that they own; for an agent, itself."""
    if not actor.is_active:
        return Agent.objects.none()
    if actor.is_agent:
        return Agent.objects.filter(user=actor)
    held = visible(actor, perm, Agent.objects.all()).values("pk")
    return Agent.objects.filter(Q(owner=actor) | Q(pk__in=held))
