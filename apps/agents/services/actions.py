"""Commands on actions that belong to this floor: writing them down, and taking them back."""

from typing import Any

from django.db import transaction

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.audit.services import advance, record
from apps.core.models import ClockTimestamp, User


@transaction.atomic(savepoint=False)
def propose_action(actor: User, *, agent: Agent | None, unit: BusinessUnit, **facts: Any) -> Action:
    """Write down what is asked, before anybody judges it. ``facts`` are columns of Action."""
    action = Action.objects.create(
        principal=actor, agent=agent, version=agent.version if agent else None, unit=unit, **facts
    )
    record(
        actor,
        action,
        ActionState.PROPOSED,
        on_behalf_of=action.on_behalf_of,
        payload={
            "operation": action.operation,
            "digest": action.digest,
            "amount_minor": action.amount_minor,
            "currency": action.currency,
            "target": action.target,
            "reference": action.reference,
            "step": action.step,
            "workflow": action.workflow,
        },
    )
    return action


@transaction.atomic
def cancel_action(actor: User, *, action: Action, reason: str = "") -> Action:
    """Take an action back before it executes. Raises ConflictError when it is too late."""
    return advance(actor, action, ActionState.CANCELLED, payload={"reason": reason}, finished_at=ClockTimestamp())
