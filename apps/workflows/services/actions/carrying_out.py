"""Carrying out: claim and commit, call, record the outcome. What runs is exactly what was allowed, once."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState, EffectClass, Execution
from apps.agents.selectors import require_working, require_working_agent
from apps.agents.services import cancel_action
from apps.audit.services import advance
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import EffectState
from apps.connectors.services import (
    claim_effect,
    dispatch_effect,
    due_effects,
    prepare_effect,
    reconcile_effect,
    recover_effect,
    refuse_changed,
    require_permission,
    settle_effect,
)
from apps.connectors.services.effects import Due, DueEffect
from apps.connectors.services.exclusive import AGAIN_S, KeyHeldError, call_next, take_turns
from apps.connectors.services.waiting import drop_effect, give_up_repeating, postpone_effect, postpone_effects
from apps.core.errors import (
    ConflictError,
    DomainError,
    HaltedError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
)
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.queue import ring
from apps.core.rules import ValueProblem
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.halts.selectors import require_running, take_fence
from apps.oversight.rules import Kind, action_digest
from apps.oversight.selectors import is_answered_for
from apps.oversight.services import (
    cancel_escalations,
    consume_grant,
    open_review,
    revoke_grants,
)
from apps.oversight.services.unknowns import HAPPENED
from apps.workflows.selectors.stopped import within_halt
from apps.workflows.services.actions.conflicts import cancel_if_outdated, meet_conflict
from apps.workflows.services.actions.ending import ask_what_happened, fail_action, lock_action, scopes_of, tell_run
from apps.workflows.services.actions.reweighing import return_if_stricter
from apps.workflows.services.actions.room import lock_agent, require_room_for

AGENTS_FIRST = cycle((True, False))
LOOKED_AT = (20, 400)
"""So many of the longest due are looked at, and so many where none of them can be begun now."""
HALTED_AGAIN_S = 3
REFUSED_AGAIN_S = 30
log = structlog.get_logger(__name__)
RUNNABLE = frozenset({ActionState.APPROVED, ActionState.EXECUTING, ActionState.UNKNOWN})
ENDED = {EffectState.SUCCEEDED: ActionState.SUCCEEDED, EffectState.FAILED: ActionState.FAILED}


def perform_due() -> int:
    """Do one effect that is due; 1 when one was done. Rings for the others, so that workers share them.

    Every second time the longest due of what agents asked for goes first. While an agent waits its task's time runs:
    behind a thousand runs that come to their own steps all of them would lose their tasks, and do them again. Where
    none of the longest due can be begun now (all of one run that is held, say), more are looked at.
    """
    plane, agents_first = system_user("plane"), next(AGENTS_FIRST)
    stopped: set[str] = set()
    for most in LOOKED_AT:
        found = due_effects(most, agents_first=agents_first)
        if len(found) > 1:
            with transaction.atomic():
                ring("effects")
        if any(_see_to(plane, due, stopped) for due in found):
            return 1
        if len(found) < most:
            break
    return 0


def _see_to(plane: User, due: DueEffect, stopped: set[str]) -> bool:
    """Whether it was begun, or its turn is over. ``stopped``: the halts whose effects were put off in this look."""
    try:
        if due.due is Due.ABANDONED:
            _recover(plane, due)
        else:
            perform_action(plane, action_id=due.action_id)
    except HaltedError as halted:
        postpone_effect(effect_id=due.effect_id, seconds=HALTED_AGAIN_S)
        if (halt_id := str(halted.members["halt"])) not in stopped:
            postpone_effects(actions=within_halt(Halt.objects.get(pk=halt_id)), seconds=HALTED_AGAIN_S)
            stopped.add(halt_id)
        return False
    except KeyHeldError:
        postpone_effect(effect_id=due.effect_id, seconds=AGAIN_S, in_line=True)
        return True
    except ConflictError:
        return False  # somebody else has it
    except RateLimitedError as error:  # the system's own limits: its turn comes
        postpone_effect(effect_id=due.effect_id, seconds=int(str(error.members["retry_after_s"])))
        return True
    except DomainError as error:
        log.warning("effect_not_begun", action=str(due.action_id), code=error.code)
        postpone_effect(effect_id=due.effect_id, seconds=REFUSED_AGAIN_S)
        return False
    return True


@transaction.atomic
def _recover(plane: User, due: DueEffect) -> None:
    action = lock_action(due.action_id)
    effect = recover_effect(plane, effect_id=due.effect_id)
    _finish(plane, action, effect)


def perform_action(plane: User, *, action_id: UUID) -> None:
    """Carry out one action: claim, call, record. Raises HaltedError or ConflictError before anything was sent."""
    effect = _claim(plane, action_id)
    if effect is None:
        return
    call = dispatch_effect(plane, effect=effect)
    with transaction.atomic():
        action = lock_action(action_id)
        _finish(plane, action, settle_effect(plane, effect=effect, call=call))


@transaction.atomic
def _claim(plane: User, action_id: UUID) -> Effect | None:
    """The claimed effect, or None when the action ended or went back to the rules instead.

    Waits for nobody: all who carry out look at the same effects, and behind a lock they would stand in a row.
    """
    take_fence()
    action = lock_action(action_id, wait=False)
    if action.state not in RUNNABLE:
        raise ConflictError(state=action.state)
    require_running(**scopes_of(action))
    try:
        with transaction.atomic():
            _require_life(action)
            if action.state == ActionState.APPROVED:
                if _is_outdated(plane, action) or return_if_stricter(plane, action=action):
                    return None
                _use_approval(plane, action)
                require_room_for([action])
            effect = claim_effect(plane, action=action)
    except KeyHeldError as held:
        if not meet_conflict(plane, action, held.operation):
            raise
        return None
    except (NotAllowedError, NotFoundError, InvalidError) as error:
        _refuse(plane, action, code=str(error.members.get("why") or error.code), message=str(error.message))
        return None
    if action.state != ActionState.EXECUTING:
        advance(plane, action, ActionState.EXECUTING, payload={"attempt": effect.attempt})
    return effect


def _is_outdated(plane: User, action: Action) -> bool:
    """Whether a locked action was cancelled, because the same was asked for again since."""
    operation = Operation.objects.filter(slug=action.operation).first() if action.exclusive else None
    return operation is not None and cancel_if_outdated(plane, action, operation)


def _require_life(action: Action) -> None:
    if action.agent:
        lock_agent(action.agent)
        action.agent.environment = action.environment
        require_working(action.agent, tests=True)


def _use_approval(plane: User, action: Action) -> None:
    """What a person approved needs the grant, unused, in time, and bound to exactly these parameters."""
    if not _is_as_judged(action):
        raise NotAllowedError(_("The parameters are not the ones that were judged."), why="binding_mismatch")
    if action.verdict.get("effect") != "allow":
        try:
            consume_grant(plane, action=action, digest=action.digest)
        except ConflictError as error:
            raise NotAllowedError(str(error.message), why=error.code) from error


def _is_as_judged(action: Action) -> bool:
    try:
        return action_digest(action.operation, action.parameters) == action.digest
    except ValueProblem:
        return False  # what has no digest is not what was judged, and must not hold up what has one


def _refuse(plane: User, action: Action, *, code: str, message: str) -> None:
    """What may not be claimed any more: it never began and has failed, or nobody knows and a person must find out."""
    if action.state != ActionState.UNKNOWN:
        fail_action(plane, action, code=code, message=message)
        return
    give_up_repeating(plane, action=action, code=code, message=message)
    ask_what_happened(plane, action, {"code": code, "message": message})


def _finish(plane: User, action: Action, effect: Effect) -> None:
    """Carry a settled effect over to its action, and to the run that waits for it, in the same transaction."""
    if to := ENDED.get(EffectState(effect.state)):
        body = (effect.response or {}).get("body")
        advance(
            plane,
            action,
            to,
            payload={"fee_minor": effect.operation.fee_minor, "code": (effect.error or {}).get("code", "")},
            result=body,
            error=effect.error,
            finished_at=ClockTimestamp(),
        )
        if to == ActionState.SUCCEEDED:
            open_review(plane, action=action)
        tell_run(plane, action)
    elif effect.state == EffectState.UNKNOWN:
        if action.state == ActionState.EXECUTING:
            advance(plane, action, ActionState.UNKNOWN, payload={"retry_at": effect.retry_at}, error=effect.error)
        if effect.retry_at is None:
            ask_what_happened(plane, action, effect.error or {})


@transaction.atomic
def prepare_action(actor: User, *, action_id: UUID) -> None:
    """A person approved: what the plane carries out is prepared. What the agent carries out waits for its grant."""
    action = lock_action(action_id)
    if action.state != ActionState.APPROVED or action.execution != Execution.PLANE:
        return
    try:
        prepare_effect(actor, action=action)
    except InvalidError as error:  # the operation changed since: its address needs what the action does not have
        fail_action(actor, action, code="operation_changed", message=str(error.message))
        return
    ring("effects")


@transaction.atomic
def reconcile_action(actor: User, *, action_id: UUID, answer: str, reason: str) -> None:
    """What a person found out about an action whose effect was unknown: ``succeeded`` or anything else, failed."""
    action = lock_action(action_id)
    if action.state != ActionState.UNKNOWN:
        return  # the system, or the agent, answered after all
    succeeded = answer == HAPPENED
    found_out = reason or answer or "reconciled"
    if action.execution == Execution.AGENT:
        require_human(actor)
        _end_agents_own(actor, action, succeeded=succeeded, reason=found_out)
        return
    effect = Effect.objects.select_related("operation", "action__principal", "action__unit").get(action=action)
    _finish(actor, action, reconcile_effect(actor, effect=effect, succeeded=succeeded, reason=found_out))


def _end_agents_own(actor: User, action: Action, *, succeeded: bool, reason: str) -> None:
    """What a person found out about an action that its agent carried out and did not report."""
    told = {"reconciled": True, "reason": reason}
    error = None if succeeded else {"code": "reconciled", "message": reason}
    to = ActionState.SUCCEEDED if succeeded else ActionState.FAILED
    advance(actor, action, to, payload=told, error=error, finished_at=ClockTimestamp())
    if succeeded:
        open_review(system_user("plane"), action=action)
    tell_run(actor, action)


@transaction.atomic
def take_back_action(actor: User, *, action: Action, reason: str = "") -> Action:
    """Cancel an action that has not begun, and what waits for it: its item, its grant, its effect.

    Raises ConflictError when it is too late, NotAllowedError ``agent_inactive``.
    """
    require_working_agent(actor, tests=True)
    action = lock_action(action.pk)
    cancel_action(actor, action=action, reason=reason)
    cancel_escalations(actor, action_id=action.pk, reason="action_cancelled")
    revoke_grants(actor, action=action, why="cancelled")
    drop_effect(actor, action=action, code="cancelled", message="")
    return action


@transaction.atomic
def consume_action(actor: User, *, action: Action, digest: str) -> Action:
    """The agent claims its grant and carries out itself; the same is asked as before an effect of the plane.

    The action is ``executing`` then. Look at its state: where the rules became stricter it went back to them instead,
    where the operation is not the one that was judged any more it has failed, and where another holds its key it may
    have been denied or gone before people.
    Raises HaltedError, NotAllowedError, KeyHeldError, or ConflictError: ``already_consumed``, ``binding_mismatch``,
    ``expired``, ``invalid_state``; RateLimitedError ``too_many_at_once`` while it does as much as it may at once.
    """
    (taken,) = consume_actions(actor, wanted=[(action, digest)])
    return taken


@transaction.atomic
def consume_actions(actor: User, *, wanted: Sequence[tuple[Action, str]]) -> list[Action]:
    """Claim the grants of ``(action, digest)`` together, as ``consume_action`` does of one: all of them or none.

    Where one went back to the rules or failed instead, none is ``executing``, and that one's new state stays.
    """
    take_fence()
    locked = {pk: lock_action(pk) for pk in sorted(action.pk for action, _digest in wanted)}
    actions = [locked[action.pk] for action, _digest in wanted]
    for action in sorted(actions, key=lambda action: str(action.agent_id)):
        if action.agent:
            lock_agent(action.agent)  # as whoever takes a permission from it does
    stand = [_stands(actor, action) for action in actions]
    if all(stand):
        operations = Operation.objects.in_bulk([action.operation for action in actions], field_name="slug")
        try:
            with transaction.atomic():
                require_room_for([action for action in actions if action.state == ActionState.APPROVED])
                take_turns([(action, operations[action.operation]) for action in actions])
        except KeyHeldError as held:
            if len(actions) > 1 or not meet_conflict(actor, held.action, held.operation):
                raise  # of several none begins: they may only have met each other
            return actions
        for action, (_asked, digest) in zip(actions, wanted, strict=True):
            consume_grant(actor, action=action, digest=digest)
            advance(actor, action, ActionState.EXECUTING, payload={"by": "agent"})
    return actions


def _stands(actor: User, action: Action) -> bool:
    """Whether a locked action may be carried out by its agent now; else it has failed, or went back to the rules."""
    require_running(**scopes_of(action))
    _require_life(action)
    if action.execution != Execution.AGENT:
        raise ConflictError(_("The plane carries this action out."), state=action.state)
    operation = require_permission(action)
    try:
        refuse_changed(action, operation)
    except NotAllowedError as error:
        revoke_grants(actor, action=action, why=str(error.members["why"]))
        fail_action(actor, action, code=str(error.members["why"]), message=str(error.message))
        return False
    return not (action.state == ActionState.APPROVED and return_if_stricter(actor, action=action))


def _said(error: Any) -> Any:
    """An agent's error, marked as its own: its words for what went wrong are not the plane's."""
    return {**error, "by": "agent"} if isinstance(error, dict) else error


@transaction.atomic
def report_outcome(
    actor: User, *, action: Action, succeeded: bool, result: Any = None, error: Any = None,
    cost_minor: int | None = None, currency: str = "",
) -> Action:  # fmt: skip
    """What came of an action that the agent carried out itself. Once; again the same is refused as a conflict.

    That it failed is the agent's word, and nobody has looked: what it took of budgets counts as spent, and rules that
    count what was asked before count it. Whoever is late is heard too, as long as people have not found out what
    happened: then nobody need.

    Raises NotAllowedError ``agent_inactive``: the word of a suspended agent moves no run. Raises ConflictError where a
    person has said what happened, also while that is held or nobody has followed it yet.
    """
    require_working_agent(actor, tests=True)
    action = lock_action(action.pk)
    if action.execution != Execution.AGENT:
        raise ConflictError(_("The plane carries this action out and knows its outcome."), state=action.state)
    if action.state == ActionState.UNKNOWN:
        if is_answered_for(actor, action):
            raise ConflictError(_("A person has said what happened; that stands."), state=action.state)
        cancel_escalations(system_user("plane"), action_id=action.pk, kind=Kind.UNKNOWN, reason="reported")
    advance(
        actor,
        action,
        ActionState.SUCCEEDED if succeeded else ActionState.FAILED,
        payload={"reported_by": "agent", "cost_minor": cost_minor, "currency": currency},
        result=result if succeeded else None,
        error=None if succeeded else _said(error or {"code": "reported", "message": ""}),
        taken_at_word=not succeeded and action.effect != EffectClass.READ,
        finished_at=ClockTimestamp(),
    )
    if succeeded:
        open_review(system_user("plane"), action=action)
    call_next(action)
    tell_run(actor, action)
    return action
