"""Asking for what takes an action back, outside a run: the same pipeline, rules and people as any action."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import MAY_STILL_COUNT, ActionState
from apps.agents.selectors import require_working_agent
from apps.audit.services import record
from apps.connectors.services import way_back_of
from apps.core.errors import ConflictError, DomainError, InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.services.untaken import AGAIN, BY_HAND, open_untaken_escalation
from apps.workflows.models import Run
from apps.workflows.rules.states import RUN_FINAL
from apps.workflows.selectors.places import Place
from apps.workflows.services.actions.asking import submit_action
from apps.workflows.services.actions.ending import lock_action
from apps.workflows.services.actions.pipeline import Ask
from apps.workflows.services.actions.taken_back import mark_taken_back

OF_AGENT, OF_WORKFLOW = "agents.manage_agent", "workflows.operate_run"


def may_compensate(actor: User, action: Action) -> bool:
    """Whether ``actor`` may ask: the agent of its own, people of what their agents and workflows did."""
    if actor.is_agent:
        return action.principal_id == actor.pk
    return actor.is_human and holds(actor, OF_AGENT if action.agent_id else OF_WORKFLOW, action)


@transaction.atomic
def compensate_action(actor: User, *, action: Action, reason: str) -> Action:
    """Ask for the operation that takes ``action`` back, in the name of whoever did it; the new action.

    Permission, rules and people are asked as for any other; budgets are not. Raises NotAllowedError, InvalidError
    without a reason, ConflictError: it does not stand, there is no way back, one is under way, its run is not over.
    """
    if actor.is_agent:
        require_working_agent(actor, tests=True)
    if not may_compensate(actor, action):
        raise NotAllowedError
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    original = lock_action(action.pk)
    _require_standing(original)
    back = way_back_of(original)
    if back is None:
        raise ConflictError(_("%s names nothing that takes it back.") % original.operation, code="no_way_back")
    if back.problem:
        raise ConflictError(back.problem, code="no_way_back")
    principal = original.principal
    if principal.is_agent:
        principal.agent.environment = original.environment
    place = Place(
        unit=original.unit,
        started_by=actor.username,
        purpose="compensate",
        compensates=original.pk,
        risk=original.agent.risk if original.agent else "medium",
    )
    taking = submit_action(
        principal,
        ask=Ask(operation=back.operation, parameters=back.parameters, execution=back.execution),
        place=place,
    )
    told = {"action": taking.pk, "operation": back.operation, "reason": reason.strip()}
    record(actor, original, "action.compensation_asked", payload=told)
    return taking


def _require_standing(original: Action) -> None:
    if original.state != ActionState.SUCCEEDED:
        raise ConflictError(_("Only what was done, and stands, can be taken back."), state=original.state)
    if original.compensations.filter(state__in=MAY_STILL_COUNT).exists():
        raise ConflictError(_("It is being taken back already."), state=original.state)
    if original.run_id and not Run.objects.filter(pk=original.run_id, state__in=RUN_FINAL).exists():
        said = _("Its run is not over: cancel the run, which takes back what it did.")
        raise ConflictError(said, state=original.state, run=str(original.run_id))


@transaction.atomic
def follow_untaken(actor: User, *, action_id: UUID, next_: str, remark: str) -> None:
    """How a person goes on with what could not be taken back: once more, or they did it by hand, or it stays.

    What cannot be asked for again goes before people again, with the reason.
    """
    action = lock_action(action_id)
    if action.state != ActionState.SUCCEEDED:
        return  # it was taken back meanwhile
    if next_ == BY_HAND:
        mark_taken_back(actor, action, by=None, reason=remark)
    elif next_ == AGAIN:
        try:
            with transaction.atomic():
                compensate_action(actor, action=action, reason=remark or next_)
        except DomainError as error:
            told = {"code": error.code, "message": str(error.message)}
            open_untaken_escalation(system_user("plane"), action=action, error=told)
