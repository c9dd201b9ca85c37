"""Effects: prepared, claimed, dispatched, settled. ``workflows.perform_action`` composes these pieces.

Claim and commit, call without a transaction, record the outcome: whatever dies in between leaves a row that says how
far it came, and ``due_effects`` finds it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agents.models import Action
from apps.agents.rules import EffectClass, Environment
from apps.audit.services import advance, record
from apps.connectors.adapters.http import send
from apps.connectors.adapters.mcp import call_tool
from apps.connectors.adapters.postgres import ask
from apps.connectors.adapters.smtp import post
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import (
    CallEnd,
    CallResult,
    EffectState,
    in_trouble,
    is_within_limit,
    outcome_of,
    refused_paths,
    split_parameters,
)
from apps.connectors.rules.health import Purpose
from apps.connectors.rules.mails import EMAIL
from apps.connectors.rules.queries import SQL
from apps.connectors.rules.tools import MCP
from apps.connectors.selectors import permitted_operation_for
from apps.connectors.selectors.pins import refuse_quarantined
from apps.connectors.services.calls import NotConfiguredError, call_of, target_of_call
from apps.connectors.services.exclusive import call_next, note_key, take_turns
from apps.connectors.services.mails import mail_of
from apps.connectors.services.noting import note_call, require_room
from apps.connectors.services.queries import question_of
from apps.connectors.services.tools import tool_call_of
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds
from apps.core.models import ClockTimestamp, User
from apps.core.rules import ValueProblem, digest_of

LEASE_MARGIN_S = 30
"""How long beyond its own timeout a call may be under way before it counts as lost."""
CHANGED = gettext_lazy("The operation is not the one that was judged any more.")

DUE = """
SELECT e.id, e.action_id, e.state FROM connectors_effect e JOIN agents_action a ON a.id = e.action_id
WHERE coalesce(e.retry_at, e.lease_until, e.created_at) <= statement_timestamp()
  AND ((e.state = 'prepared' AND a.state IN ('approved', 'executing'))
    OR (e.state = 'unknown' AND e.retry_at IS NOT NULL AND a.state IN ('unknown', 'executing'))
    OR (e.state IN ('claimed', 'dispatched') AND e.lease_until <= statement_timestamp()))
  AND e.state IN ('prepared', 'unknown', 'claimed', 'dispatched')
  {whose}
ORDER BY coalesce(e.retry_at, e.lease_until, e.created_at), e.id
LIMIT %s FOR UPDATE OF e SKIP LOCKED
"""
"""In the order of an index, from the longest due on, however many wait. At ``clock_timestamp()`` none would begin."""

DUE_OF_ANY = DUE.format(whose="")
DUE_OF_AGENTS = DUE.format(whose="AND (a.run_id IS NULL OR a.task_id IS NOT NULL)")


class Due(StrEnum):
    """Why an effect is due: to begin, to repeat under its key, or because whoever claimed it is gone."""

    BEGIN = "begin"
    REPEAT = "repeat"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class DueEffect:
    """One effect that somebody should see to."""

    effect_id: UUID
    action_id: UUID
    due: Due


@transaction.atomic
def prepare_effect(actor: User, *, action: Action, idempotency_key: str = "") -> Effect:
    """Write down what is going to be done; the same effect again, due at once, when it was prepared before.

    ``idempotency_key`` defaults to the action's id; a step gives ``run:step:round:item``. Raises NotFoundError when the
    operation is gone, InvalidError when the parameters make no request.
    """
    if found := _effects().filter(action=action).first():
        Effect.objects.filter(pk=found.pk, state=EffectState.PREPARED).update(retry_at=None)
        return found
    operation = Operation.objects.select_related("connector").filter(slug=action.operation).first()
    if operation is None:
        raise NotFoundError(_("The operation is gone."))
    try:
        split = split_parameters(operation.method, operation.path, action.parameters)
    except ValueProblem as problem:
        raise InvalidError(errors={f"parameters.{problem.path}": [str(problem)]}) from problem
    note_key(action, operation)
    effect = Effect.objects.create(
        action=action,
        operation=operation,
        connector=operation.connector,
        idempotency_key=idempotency_key or str(action.pk),
        request={
            "method": operation.method,
            "target": target_of_call("", split),
            "body_digest": None if split.body is None else digest_of(split.body),
            "operation_version": operation.version,
        },
    )
    record(actor, effect, EffectState.PREPARED, payload={"operation": operation.slug, "key": effect.idempotency_key})
    return effect


@transaction.atomic
def claim_effect(actor: User, *, action: Action) -> Effect:
    """Take the prepared (or repeatable and due) effect of an action under a lease. Call inside the claim's transaction.

    Raises NotAllowedError when the principal may no longer use the operation with these parameters or it is not the
    one that was judged, ConflictError when somebody else has it or it is not due, KeyHeldError while another action
    with its key is under way, RateLimitedError while the system's limits leave no room.
    """
    effect = _effects().filter(action=action).first()
    if effect is None:
        raise NotFoundError
    require_permission(action)
    refuse_changed(action, effect.operation)  # the very rows that the call is made of
    take_turns([(action, effect.operation)])
    require_room(effect.connector, environment=action.environment)
    is_repeat = effect.state == EffectState.UNKNOWN
    is_due = Q(retry_at__lte=ClockTimestamp())
    return advance(
        actor,
        effect,
        EffectState.CLAIMED,
        where=is_due if is_repeat else is_due | Q(retry_at=None),
        payload={"attempt": effect.attempt + 1, "operation": effect.operation.slug},
        lease_until=ClockTimestamp() + timedelta(seconds=effect.operation.timeout_s + LEASE_MARGIN_S),
        attempt=F("attempt") + 1,
        repeats=F("repeats") + int(is_repeat),
        retry_at=None,
        in_line=False,
    )


def require_permission(action: Action) -> Operation:
    """The operation. Raises NotAllowedError unless the action's principal, and whom it acts for, may use it now."""
    try:
        permitted = permitted_operation_for(action.principal, action.operation)
    except NotFoundError as error:
        refuse_quarantined(action.principal, action.operation)
        raise NotAllowedError(_("The permission to use this operation is gone."), why="permission") from error
    if refused_paths(action.parameters, permitted.fields, permitted.operation.path):
        raise NotAllowedError(_("The permission no longer covers these parameters."), why="fields")
    try:
        money = permitted.money(action.parameters)
    except ValueProblem as problem:  # what says the amount is another parameter since
        raise NotAllowedError(CHANGED, why="operation_changed") from problem
    if not is_within_limit(money, permitted.limit):
        raise NotAllowedError(_("The permission no longer covers this amount."), why="limit")
    person = action.on_behalf_of
    if person is not None and not holds(person, "connectors.use_operation", permitted.operation):
        raise NotAllowedError(_("%s may no longer use this operation.") % person.username, why="permission")
    return permitted.operation


def refuse_changed(action: Action, operation: Operation) -> None:
    """Raise NotAllowedError unless ``operation``, its connector with it, is what it was when the action was judged.

    Before that, unless the connector is cleared for what the action carries.
    """
    if lacking := operation.not_cleared(action.classed):
        said = _("%(system)s is not cleared for the data classes that these parameters carry: %(classes)s.")
        raise NotAllowedError(said % {"system": operation.connector, "classes": ", ".join(lacking)}, why="not_cleared")
    if operation.definition_digest != action.definition_digest:
        raise NotAllowedError(CHANGED, why="operation_changed")


def dispatch_effect(actor: User, *, effect: Effect) -> CallResult:
    """Make the call of a claimed effect. Never inside a transaction: what it did cannot be rolled back.

    Raises ConflictError when the lease was lost. What the network or the system does is in the result. A test is called
    at the test address; where there is none nothing is called, and no secret opened.
    """
    if effect.connector.place(effect.action.environment) is None:
        return CallResult(CallEnd.NOT_CALLED)
    try:
        carry = _carried_by(effect)
    except NotConfiguredError as problem:
        return CallResult(CallEnd.UNPREPARED, error=str(problem.message))
    except ValueProblem as problem:
        return CallResult(CallEnd.UNPREPARED, error=f"{problem.path}: {problem}")
    with transaction.atomic():
        advance(
            actor,
            effect,
            EffectState.DISPATCHED,
            where=Q(attempt=effect.attempt, lease_until__gt=ClockTimestamp()),
            payload={"attempt": effect.attempt, "key": effect.idempotency_key},
        )
    return carry()


def _carried_by(effect: Effect) -> Callable[[], CallResult]:
    """What reaches out. Raises NotConfiguredError, ValueProblem."""
    if effect.connector.adapter == EMAIL:
        return partial(post, mail_of(effect))
    if effect.connector.adapter == SQL:
        return partial(ask, question_of(effect))
    if effect.connector.adapter == MCP:
        return partial(call_tool, tool_call_of(effect))
    return partial(send, call_of(effect))


@transaction.atomic
def settle_effect(actor: User, *, effect: Effect, call: CallResult) -> Effect:
    """Record how a call ended: ``succeeded``, ``failed``, ``unknown``, or ``prepared`` again because it never began.

    ``retry_at`` says when it is due again; an ``unknown`` effect without one needs a person. An answer that arrives
    after the lease was given up still settles an unknown effect, never a settled one. Raises ConflictError then.
    """
    fresh = _effects().select_for_update(of=("self",)).get(pk=effect.pk)
    if fresh.attempt != effect.attempt:
        raise ConflictError(_("Another attempt is under way."), state=fresh.state)
    is_test = fresh.action.environment == Environment.TEST
    outcome = outcome_of(
        call,
        effect=EffectClass.READ if is_test else fresh.operation.effect,  # nobody is asked what a test did
        idempotency=fresh.operation.idempotency,
        repeats=fresh.repeats,
        deferrals=fresh.deferrals,
    )
    note_call(
        fresh.connector, purpose=Purpose.EFFECT, call=call, operation=fresh.operation, outcome=outcome,
        action_id=fresh.action_id, environment=fresh.action.environment,
    )  # fmt: skip
    deferred = outcome.state == EffectState.PREPARED
    failed = outcome.state != EffectState.SUCCEEDED
    error = {"code": outcome.code, "message": call.error, "status": call.status} if failed else None
    settled = advance(
        actor,
        fresh,
        outcome.state,
        where=Q(attempt=effect.attempt),
        payload={
            "operation": fresh.operation.slug,
            "attempt": fresh.attempt,
            "status": call.status,
            "code": outcome.code,
            "retry_in_s": outcome.retry_in_s,
            "duration_ms": call.duration_ms,
        },
        response={"status": call.status, "body": call.result} if not failed else None,
        error=error,
        in_trouble=in_trouble(call, outcome),
        duration_ms=call.duration_ms,
        deferrals=F("deferrals") + int(deferred),
        lease_until=None,
        settled_at=ClockTimestamp(),
        retry_at=None if outcome.retry_in_s is None else ClockTimestamp() + timedelta(seconds=outcome.retry_in_s),
        verify_at=None if failed else _verify_at(fresh),
    )
    if outcome.state != EffectState.UNKNOWN or outcome.retry_in_s is None:
        call_next(fresh.action)
    return settled


def _verify_at(effect: Effect) -> ClockTimestamp | None:
    """When the system is read back to see what was done: at once. None for a test, which did nothing."""
    is_live = effect.action.environment == Environment.LIVE
    return ClockTimestamp() if is_live and effect.operation.verify else None


@transaction.atomic
def recover_effect(actor: User, *, effect_id: UUID) -> Effect:
    """See to an effect whose claimer is gone: nothing was sent, so it is prepared again; or nobody knows, so unknown.

    Raises ConflictError when it is not abandoned.
    """
    effect = _effects().select_for_update(of=("self",)).filter(pk=effect_id).first()
    if effect is None:
        raise NotFoundError
    abandoned = Q(lease_until__lte=ClockTimestamp())
    if effect.state == EffectState.CLAIMED:
        payload = {"attempt": effect.attempt, "code": "worker_lost"}
        return advance(actor, effect, EffectState.PREPARED, where=abandoned, payload=payload, lease_until=None)
    if effect.state != EffectState.DISPATCHED or not Effect.objects.filter(abandoned, pk=effect.pk).exists():
        raise ConflictError(state=effect.state)
    lost = CallResult(CallEnd.LOST, error=str(_("The worker was gone before the answer came.")))
    return settle_effect(actor, effect=effect, call=lost)


@transaction.atomic
def reconcile_effect(
    actor: User, *, effect: Effect, succeeded: bool, reason: str, result: dict[str, Any] | None = None
) -> Effect:
    """What a person found out about an unknown effect. Raises ConflictError when it is not unknown any more."""
    if not actor.is_human:  # who left since has found it out all the same
        raise NotAllowedError
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say how you know.")]})
    return advance(
        actor,
        effect,
        EffectState.SUCCEEDED if succeeded else EffectState.FAILED,
        payload={"reason": reason.strip(), "reconciled": True},
        retry_at=None,
        verify_at=_verify_at(effect) if succeeded else None,
        response={"status": None, "body": result} if succeeded else None,
        error=None if succeeded else {"code": "reconciled", "message": reason.strip(), "status": None},
    )


@transaction.atomic
def due_effects(limit: int = 50, *, agents_first: bool = False) -> list[DueEffect]:
    """What should be begun, repeated or recovered now, longest due first. Claiming decides who does it.

    ``agents_first``: what agents asked for before what runs come to by themselves, however long that is due.
    """
    reasons = {"prepared": Due.BEGIN, "unknown": Due.REPEAT}
    found: dict[UUID, DueEffect] = {}
    with connection.cursor() as cursor:
        for statement in (DUE_OF_AGENTS, DUE_OF_ANY) if agents_first else (DUE_OF_ANY,):
            if len(found) < limit:
                cursor.execute(statement, [limit])
                rows = cursor.fetchall()
                found |= {row[0]: DueEffect(row[0], row[1], reasons.get(row[2], Due.ABANDONED)) for row in rows}
    return list(found.values())[:limit]


def _effects() -> QuerySet[Effect]:
    return Effect.objects.select_related("action__principal", "action__unit", "operation__connector__unit", "connector")
