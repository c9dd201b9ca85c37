"""What every way through an action's life shares: locking it in order, how it fails, and who is told."""

from typing import Any
from uuid import UUID

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance
from apps.connectors.services.waiting import drop_effect
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp, User
from apps.halts.selectors import Scopes
from apps.oversight.services import open_unknown_escalation
from apps.workflows.models import Run
from apps.workflows.services.actions.taken_back import follow_end
from apps.workflows.services.engine import complete_operation_step


def lock_action(action_id: UUID, *, wait: bool = True) -> Action:
    """The action, locked after its run: whoever locks both takes the run first.

    Raises ConflictError where not to ``wait`` and another transaction has locked one of them; one that writes what
    points at them, such as a task of the run, is in nobody's way then.
    """
    run_id = Action.objects.values_list("run_id", flat=True).get(pk=action_id)
    how: dict[str, Any] = {"of": ("self",), "skip_locked": not wait, "no_key": not wait}
    if run_id is not None:
        run = Run.objects.select_for_update(**how).filter(pk=run_id).first()
        if run is None and not wait:
            raise ConflictError
    action = (
        Action.objects.select_for_update(**how)
        .select_related("agent__user", "agent__unit", "agent__owner", "agent__version", "principal", "unit")
        .filter(pk=action_id)
        .first()
    )
    if action is None:
        raise ConflictError
    return action


def scopes_of(action: Action) -> Scopes:
    """What a halt must name to stop this action."""
    now_in = action.agent.unit_id if action.agent else action.unit_id  # it may have moved since it asked
    return {
        "units": {action.unit_id, now_in, _run_unit_id(action) or action.unit_id},
        "workflow": action.workflow,
        "agent": action.agent.slug if action.agent else "",
        "version": f"{action.agent.slug}@{action.version.number}" if action.agent and action.version else "",
        "connector": action.connector,
        "operation": action.operation,
    }


def _run_unit_id(action: Action) -> UUID | None:
    """Where the action's run was started; None outside one."""
    if action.run_id is None:
        return None
    return Run.objects.filter(pk=action.run_id).values_list("unit_id", flat=True).first()


def fail_action(plane: User, action: Action, *, code: str, message: str) -> None:
    """End a locked action that never began: its effect is dropped, its run goes on without it."""
    drop_effect(plane, action=action, code=code, message=message)
    advance(
        plane,
        action,
        ActionState.FAILED,
        payload={"code": code},
        error={"code": code, "message": message},
        finished_at=ClockTimestamp(),
    )
    tell_run(plane, action)


def ask_what_happened(plane: User, action: Action, error: dict[str, Any]) -> None:
    """Nobody knows what the action did: people find out."""
    open_unknown_escalation(plane, action=action, effect_error=error, run_unit_id=_run_unit_id(action))


def tell_run(plane: User, action: Action) -> None:
    """Take the end of an action to the run that asked for it, and to what it takes back, in the same transaction."""
    follow_end(plane, action)
    if action.run_id is not None:
        complete_operation_step(plane, action=action)
