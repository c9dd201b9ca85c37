"""Commands on actions that belong to this floor: writing them down, and taking them back."""

from typing import Any

from django.db import transaction

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.agents.rules import FINAL_ACTIONS, ActionState
from apps.audit.services import Change, advance, record_many
from apps.core.models import ClockTimestamp, User


@transaction.atomic(savepoint=False)
def propose_action(
    actor: User, *, agent: Agent | None, unit: BusinessUnit, state: str, told: dict[str, Any], **facts: Any
) -> Action:
    """Write down what is asked, in the state that the verdict led to: one row, an entry for each of the two.

    ``facts`` are columns of Action, ``told`` is what the entry of the verdict says.
    """
    action = Action.objects.create(
        principal=actor, agent=agent, version=agent.version if agent else None, unit=unit, state=state, **facts
    )
    if state in FINAL_ACTIONS:
        action.refresh_from_db(fields=["finished_at"])  # the database's clock wrote it
    asked = {
        "operation": action.operation,
        "digest": action.digest,
        "amount_minor": action.amount_minor,
        "currency": action.currency,
        "target": action.marked_target,
        "reference": action.marked_reference,
        "step": action.step,
        "workflow": action.workflow,
    }
    judged = {"from": ActionState.PROPOSED.value, "to": str(state), **told}
    changes = [Change(action, ActionState.PROPOSED, asked), Change(action, state, judged)]
    record_many(actor, changes, on_behalf_of=action.on_behalf_of)
    return action


@transaction.atomic
def cancel_action(actor: User, *, action: Action, reason: str = "") -> Action:
    """Take an action back before it executes. Raises ConflictError when it is too late."""
    return advance(actor, action, ActionState.CANCELLED, payload={"reason": reason}, finished_at=ClockTimestamp())
