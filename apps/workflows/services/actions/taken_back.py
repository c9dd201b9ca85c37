"""What the end of an action means for the one that it takes back: undone, or still there and before people."""

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance
from apps.connectors.services import mark_compensated
from apps.core.models import User
from apps.oversight.services.untaken import open_untaken_escalation


def follow_end(actor: User, action: Action) -> None:
    """``action`` has ended: what it takes back is ``compensated`` with it, in the same transaction.

    Where it failed people hear of it; within a run the run asks them itself, and may try again.
    """
    if action.compensates_id is None:
        return
    if action.state == ActionState.SUCCEEDED:
        mark_taken_back(actor, original_of(action), by=action)
    elif action.state == ActionState.FAILED and action.run_id is None:
        open_untaken_escalation(actor, action=original_of(action), error=action.error or {})


def original_of(action: Action) -> Action:
    """What ``action`` takes back, locked: only what takes it back moves it from here on."""
    rows = Action.objects.select_for_update(of=("self",)).select_related("agent__owner", "unit")
    return rows.get(compensations=action.pk)


def mark_taken_back(actor: User, action: Action, *, by: Action | None, reason: str = "") -> None:
    """A locked action, and its effect, is ``compensated``. Raises ConflictError where it does not stand any more."""
    mark_compensated(actor, action=action, by=by, reason=reason)
    told = {"action": by.pk if by else None, "operation": by.operation if by else "", "by_hand": by is None}
    advance(actor, action, ActionState.COMPENSATED, payload={**told, "reason": reason})
