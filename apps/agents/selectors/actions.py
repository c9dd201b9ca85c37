"""Actions."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from apps.agents.models import Action
from apps.agents.rules import ActionState, Environment
from apps.audit.selectors import entries_for
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User


def actions_for(actor: User) -> QuerySet[Action]:
    """Actions that ``actor`` may see, newest first; an agent sees its own, those of its key's environment."""
    rows = Action.objects.select_related("agent", "unit", "principal", "on_behalf_of", "version").order_by("-id")
    if actor.is_agent:
        return rows.filter(principal=actor, environment=actor.agent.environment)
    return visible(actor, "agents.view_agent", rows)


def tried_trails_for(actor: User, trails: Iterable[UUID]) -> set[UUID]:
    """Those of ``trails`` on which an agent only tried something with a test key: nothing outside was called.

    Whoever reads entries of a trail is told, without the right to see its agent: a trial must not look real.
    """
    asked = list(trails)
    read = entries_for(actor).filter(trail_id__in=asked).order_by().values("trail_id")
    rows = Action.objects.filter(pk__in=asked, environment=Environment.TEST).filter(pk__in=read)
    return set(rows.values_list("pk", flat=True))


def taken_back_by(actor: User, action: Action) -> UUID | None:
    """The action that took ``action`` back; None where nothing did, or a person by hand. One query where it is so."""
    if action.state != ActionState.COMPENSATED:
        return None
    rows = actions_for(actor).filter(compensates=action.pk, state=ActionState.SUCCEEDED)
    return rows.values_list("pk", flat=True).first()


def action_for(actor: User, action_id: UUID) -> Action:
    """One action that ``actor`` may see. Raises NotFoundError."""
    if found := actions_for(actor).filter(pk=action_id).first():
        return found
    raise NotFoundError
