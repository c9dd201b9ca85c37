"""What would keep an action from running, if people approved it as things stand."""

from copy import copy

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.selectors import require_working
from apps.connectors.models import Operation
from apps.connectors.rules import ConnectorState, OperationState
from apps.connectors.services import refuse_changed, require_permission
from apps.core.errors import NotAllowedError
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Kind

GONE = "permission"


def hindrance_for(actor: User, item: Escalation, operation: Operation | None) -> str:
    """Why the action of an item that still waits would fail at its claim; empty where nothing is in its way now.

    Asked of the very code that claims, and no promise: whatever changes after this is found there. ``operation``: the
    one that would run, as the page shows it, whatever its state.
    """
    assert actor.is_active
    action = item.action
    waits = item.state in {EscalationState.PENDING, EscalationState.HELD} and item.kind == Kind.ACTION
    if action is None or not waits or item.is_drill or action.erased_at is not None:
        return ""
    try:
        _require_life(item, action)
        refuse_changed(action, require_permission(action))
    except NotAllowedError as error:
        return _off(operation) if error.members.get("why") == GONE else str(error.message)
    return ""


def _require_life(item: Escalation, action: Action) -> None:
    if item.agent is not None:
        agent = copy(item.agent)
        agent.environment = action.environment
        if agent.user_id == action.principal_id:
            agent.user = action.principal
        require_working(agent, tests=True)


def _off(operation: Operation | None) -> str:
    """Nobody may use what is not in use; else it is the permission that is gone."""
    if operation is None or operation.connector.state != ConnectorState.ACTIVE:
        return _("The system is not in use.")
    if operation.state != OperationState.ACTIVE:
        return _("The operation is not in use.")
    return _("The permission to use this operation is gone.")
