"""What else a system has, and what waits for it."""

from uuid import UUID

from apps.agents.models import Action
from apps.agents.rules import ActionState, EffectClass, Environment
from apps.connectors.models import Operation
from apps.core.models import User


def writes_beside(connector_id: UUID, operation: Operation | None = None) -> list[tuple[str, str]]:
    """Method and path of everything in a system that does more than read; a retired one may do it all the same."""
    rows = Operation.objects.filter(connector=connector_id).exclude(effect=EffectClass.READ)
    found = list(rows.values_list("method", "path"))
    return [*found, (operation.method, operation.path)] if operation else found


def begun_before_for(actor: User, **where: str) -> int:
    """How many live actions of a ``connector`` or an ``operation`` wait for people or to begin.

    All of them, also what the actor does not see: what is changed acts on all. The actor manages the system.
    """
    assert actor.is_active
    waiting = (ActionState.PENDING_APPROVAL, ActionState.APPROVED)
    return Action.objects.filter(**where, state__in=waiting, environment=Environment.LIVE).count()
