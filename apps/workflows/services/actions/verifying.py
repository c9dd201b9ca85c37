"""Looking whether what was done is there: the system is read back, and people hear where it shows something else."""

from typing import Any
from uuid import UUID

from django.db import transaction

from apps.agents.models import Action
from apps.audit.services import record
from apps.connectors.models import Effect
from apps.connectors.rules import EffectState
from apps.connectors.services import accept_mismatch, read_back, settle_check, take_check
from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.services.mismatches import IN_ORDER, open_mismatch_escalation
from apps.workflows.services.actions.ending import lock_action


def verify_due() -> int:
    """Read one system back that is due; 1 when one was looked at."""
    plane = system_user("plane")
    effect = take_check()
    if effect is None:
        return 0
    seen = read_back(effect)
    with transaction.atomic():
        action = lock_action(effect.action_id)
        checked = settle_check(plane, effect=effect, seen=seen)
        if checked and checked.state == EffectState.MISMATCH:
            _tell(plane, action, checked)
    return 1


def _tell(plane: User, action: Action, effect: Effect) -> None:
    open_mismatch_escalation(plane, action=action, read_back=effect.read_back or {})
    if action.agent:
        told = {"action": action.pk, "operation": action.operation, "run_id": action.run_id}
        record(plane, action.agent, "agent.mismatched", trail=action.trail, payload=told)


@transaction.atomic
def follow_mismatch(actor: User, *, action_id: UUID, answer: Any) -> None:
    """What a person found out about an effect that its system shows otherwise: in order after all, or mended."""
    effect = Effect.objects.select_related("operation", "action").filter(action=action_id).first()
    told = answer if isinstance(answer, dict) else {}
    if effect is None or effect.state != EffectState.MISMATCH or told.get("found") != IN_ORDER:
        return  # what was mended was wrong: it stays a mismatch
    accept_mismatch(actor, effect=effect, reason=str(told.get("remark") or IN_ORDER))
