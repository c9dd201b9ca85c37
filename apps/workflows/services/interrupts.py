"""Interrupts of agent frameworks: asked for as actions in one transaction, and resumed once all are decided."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState, Execution
from apps.agents.selectors import require_live
from apps.agents.services import note_repetition
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.core.models import ClockTimestamp, User
from apps.halts.selectors import take_fence
from apps.oversight.rules import action_digest
from apps.workflows.models import Interrupt, InterruptCall
from apps.workflows.rules.interrupts import (
    Call,
    InterruptState,
    Progress,
    Shape,
    ShapeError,
    Verdict,
    read_interrupt,
    resume_value,
)
from apps.workflows.selectors.interrupts import answered_for
from apps.workflows.services.actions import Ask, Place, consume_actions, submit_action
from apps.workflows.services.actions.pipeline import OUTSIDE


@transaction.atomic
def ask_interrupt(
    actor: User,
    *,
    payload: Any,
    response_schema: Mapping[str, Any] | None = None,
    operations: Mapping[str, str] | None = None,
    reference: str = "",
    goal: str = "",
    on_behalf_of: str = "",
    place: Place = OUTSIDE,
) -> Interrupt:
    """Ask for every call of a framework's interrupt as an action that the agent itself carries out; all or none.

    ``operations``: tool -> operation where the names differ. ``reference``: asking again under it finds the same
    actions, and with them the same interrupt. What people rejected before is not asked again: it is answered so.
    Raises what ``submit_action`` raises, with the place of the call in ``errors``.
    """
    try:
        shape, calls = read_interrupt(payload, response_schema)
    except ShapeError as problem:
        raise InvalidError(errors=problem.errors) from problem
    if actor.is_agent:
        require_live(actor.agent)
    take_fence()
    if len(calls) > 1:
        _take_turn(actor)
    asks = [
        Ask(
            operation=(operations or {}).get(call.name, call.name),
            parameters=call.args,
            goal=goal,
            reasoning=call.description,
            reference=f"{reference}/{at}" if reference else "",
            on_behalf_of=on_behalf_of,
            execution=Execution.AGENT,
            cannot_take=sorted(call.cannot_take),
            together=True,
        )
        for at, call in enumerate(calls)
    ]
    in_turn = sorted(range(len(calls)), key=lambda at: asks[at].operation)  # all take the locks of rules in one order
    done = {at: _submit(actor, calls[at], asks[at], place) for at in in_turn}
    actions = [done[at] for at in range(len(calls))]
    return _asked_before(actor, shape, actions) or _write(actor, shape, calls, asks, actions, place.run_id)


def _take_turn(actor: User) -> None:
    """One interrupt of several calls at a time per agent.

    Each call that was approved in advance keeps that approval until the end, and two interrupts may need the same ones
    in another order. What asks for one thing alone need not wait here.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", [f"interrupts.{actor.pk}"])


def _submit(actor: User, call: Call, ask: Ask, place: Place) -> Action:
    """The action of one call; the one that people rejected where it is that again."""
    try:
        with transaction.atomic():
            action = submit_action(actor, ask=ask, place=place)
    except ConflictError as error:
        if error.code != "previously_rejected":
            _raise_at(call, error)
        rejected = UUID(str(error.members["action"]))
        note_repetition(actor, rejected_id=rejected)
        return Action.objects.get(pk=rejected)
    except DomainError as error:
        _raise_at(call, error)
    if (action.execution, action.cannot_take) != (ask.execution, ask.cannot_take):
        text = _("It was asked for in another way under this reference; use another reference.")
        raise ConflictError(text, errors={call.where: [text]}, state=action.state)
    return action


def _raise_at(call: Call, error: DomainError) -> NoReturn:
    """The same refusal, saying of which call: what is wrong with parameters is wrong with its arguments."""
    found: dict[str, list[str]] = {}
    for path, texts in (error.errors or {"": [str(error.message)]}).items():
        head, dot, rest = path.partition(".")
        place = {"parameters": f"{call.args_at}{dot}{rest}", "on_behalf_of": path}.get(head, call.where)
        found.setdefault(place, []).extend(texts)
    error.errors = found
    raise error


def _asked_before(actor: User, shape: Shape, actions: Sequence[Action]) -> Interrupt | None:
    """The interrupt that already asked for exactly these actions."""
    rows = Interrupt.objects.filter(principal=actor, shape=shape, calls__action=actions[0], calls__position=0)
    wanted = [action.pk for action in actions]
    for found in rows.order_by("-id"):
        if list(found.calls.order_by("position").values_list("action", flat=True)) == wanted:
            return found
    return None


def _write(
    actor: User,
    shape: Shape,
    calls: Sequence[Call],
    asks: Sequence[Ask],
    actions: Sequence[Action],
    run_id: UUID | None,
) -> Interrupt:
    row = Interrupt.objects.create(principal=actor, unit=actions[0].unit, shape=shape, run_id=run_id)
    InterruptCall.objects.bulk_create(
        InterruptCall(
            interrupt=row,
            position=at,
            name=call.name,
            action=action,
            digest=action_digest(ask.operation, call.args),
        )
        for at, (call, ask, action) in enumerate(zip(calls, asks, actions, strict=True))
    )
    row.refresh_from_db(fields=["created_at"])
    record(
        actor, row, InterruptState.OPEN, payload={"shape": shape.value, "actions": [action.pk for action in actions]}
    )
    return row


@transaction.atomic
def resume_interrupt(actor: User, *, interrupt: Interrupt) -> Any:
    """What the framework resumes with, in its own shape. What is approved is claimed with it: handed over once.

    None where the plane found that something may not run as it was allowed: nothing was claimed, and the interrupt
    waits again or says no. Where everything is refused nothing is claimed, so that the answer can be asked for again.
    Raises ConflictError ``invalid_state`` while something is undecided, ``already_consumed`` when it was handed over,
    and whatever ``consume_action`` raises.
    """
    if actor.is_agent:
        require_live(actor.agent)
    take_fence()
    interrupt = Interrupt.objects.select_for_update().get(pk=interrupt.pk)
    if interrupt.state == InterruptState.RESUMED:
        raise ConflictError(_("It was handed over already; what it allowed may have run."), code="already_consumed")
    answered = answered_for(actor, interrupt)
    if left := sum(one.verdict is None for one in answered):
        raise ConflictError(_("Not decided yet: %d of %d.") % (left, len(answered)), state=Progress.WAITING)
    wanted = [one for one in answered if one.verdict != Verdict.REFUSE]
    if wanted:
        taken = consume_actions(actor, wanted=[(one.action, one.action.digest) for one in wanted])
        if any(action.state != ActionState.EXECUTING for action in taken):
            return None
        advance(actor, interrupt, InterruptState.RESUMED, resumed_at=ClockTimestamp())
    return resume_value(Shape(interrupt.shape), [one.as_answer() for one in answered])
