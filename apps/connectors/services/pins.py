"""What a person makes of an imported operation: confirm it, take a change of its document, or keep what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import advance, record
from apps.connectors.models import Connector, Operation, OperationPin
from apps.connectors.rules import OperationSpec, OperationState
from apps.connectors.rules.pins import Review, Waiting, is_milder, pinned_of
from apps.connectors.selectors import MANAGE
from apps.connectors.services.operations import save_operation
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User

OWN = ("effect", "amount", "target", "consequence")
"""What a document does not say, so that the person who reviews it does."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """That a person takes a new operation into use, with this effect class; ``seen`` is its pin's as they saw it."""

    operation: str
    seen: str
    effect: str


@transaction.atomic
def review_operation(
    actor: User, *, operation: Operation, seen: str, verdict: str = Review.TAKE, reason: str = "", **own: Any
) -> Operation:
    """Confirm a new operation (it is in use then), take what the document says now, or keep what is there.

    ``seen`` is the pin's, so that nothing but what the person looked at is confirmed; ``own`` may correct ``effect``,
    ``amount``, ``target``, ``consequence``. An effect milder than the guess needs a reason. A person alone does this.
    Raises ConflictError where nothing waits or it changed since it was looked at.
    """
    require_manager(actor, operation.connector.unit, MANAGE)
    if not actor.is_human:
        raise NotAllowedError(_("A person confirms what was imported."))
    pin = _locked(operation)
    if pin is None or not pin.waiting:
        raise ConflictError(_("Nothing about this operation waits for a person."), state=operation.state)
    if pin.seen != seen:
        raise ConflictError(_("It changed since you looked: look at it again."), code="stale")
    _check(pin, verdict, reason, own)
    operation = pin.operation
    was = pin.waiting
    values = {**pin.taken, **own} if verdict == Review.TAKE else own
    spec = {name: getattr(operation, name) for name in OperationSpec.__dataclass_fields__}
    save_operation(actor, slug=operation.slug, connector=operation.connector, spec=OperationSpec(**{**spec, **values}))
    _settle(actor, pin, was)
    operation.refresh_from_db()
    payload = {
        "waiting": was, "verdict": verdict, "reason": reason.strip(), "effect": operation.effect, "guess": pin.guess,
        "document": pin.document, "digest": pin.digest,
    }  # fmt: skip
    record(actor, operation, "reviewed", payload=payload)
    if operation.state == OperationState.QUARANTINED or was == Waiting.NEW or pin.confirmed_at is None:
        advance(actor, operation, OperationState.ACTIVE, payload={"reason": reason.strip() or "reviewed"})
    return operation


def _locked(operation: Operation) -> OperationPin | None:
    rows = OperationPin.objects.select_for_update(of=("self", "operation")).select_related("operation__connector__unit")
    return rows.filter(operation=operation).first()


def _check(pin: OperationPin, verdict: str, reason: str, own: Mapping[str, Any]) -> None:
    errors: dict[str, list[str]] = {}
    if verdict not in list(Review):
        errors["verdict"] = [_("One of: %s.") % ", ".join(Review)]
    elif pin.waiting == Waiting.NEW and verdict != Review.TAKE:
        errors["verdict"] = [_("There is nothing to keep yet: confirm it, or retire it.")]
    elif pin.waiting == Waiting.REMOVED and verdict != Review.KEEP:
        errors["verdict"] = [_("Its document describes it no more: keep it, or retire it.")]
    if unknown := sorted(set(own) - set(OWN)):
        errors |= {name: [_("Unknown field.")] for name in unknown}
    effect, guess = own.get("effect", pin.operation.effect), pin.guess["effect"]
    is_settled = verdict == Review.KEEP and effect == pin.operation.effect
    if verdict == Review.KEEP and pin.waiting == Waiting.CHANGED and not reason.strip():
        errors["reason"] = [_("Say why the change of its system does not matter.")]
    if "effect" not in errors and not is_settled and _is_milder(effect, guess) and not reason.strip():
        errors["reason"] = [_("Say why it asks for less care than was guessed.")]
    if errors:
        raise InvalidError(errors=errors)


def _is_milder(effect: str, guess: str) -> bool:
    try:
        return is_milder(effect, guess)
    except ValueError:  # no effect class at all: saving the operation says so
        return False


def _settle(actor: User, pin: OperationPin, was: str) -> None:
    """Nothing waits any more. A document that does not describe it is not asked again."""
    pin.definition = pin.definition if pin.proposed is None else pin.proposed
    pin.proposed, pin.waiting = None, ""
    if was == Waiting.REMOVED:
        pin.document = ""
    if pin.confirmed_at is None:
        pin.confirmed_at, pin.confirmed_by = ClockTimestamp(), actor
    pin.save()
    pin.refresh_from_db()


def note_quarantine(actor: User, connector: Connector, *, slugs: Sequence[str], document: str) -> None:
    """Leave one entry of what was stopped together, of which whoever manages the system is told; none of nothing."""
    if slugs:
        record(actor, connector, "quarantined", payload={"document": document, "operations": sorted(slugs)})


@transaction.atomic
def confirm_operations(
    actor: User, *, connector: Connector, wanted: Sequence[Confirmation], reason: str = ""
) -> list[Operation]:
    """Take operations of a system into use that were imported and that nobody confirmed yet: all of them or none.

    ``reason``: of every one whose effect asks for less care than was guessed. Raises InvalidError with what does not
    fit, by the operation's slug; ConflictError where one is no new one any more, or changed since it was looked at.
    """
    require_manager(actor, connector.unit, MANAGE)
    rows = Operation.objects.select_related("connector__unit", "pin").filter(connector=connector)
    found = {operation.slug: operation for operation in rows.filter(slug__in=[one.operation for one in wanted])}
    errors: dict[str, list[str]] = {}
    for one in sorted(wanted, key=lambda one: one.operation):
        operation = found.get(one.operation)
        if operation is None or getattr(operation, "pin", None) is None or operation.pin.waiting != Waiting.NEW:
            raise ConflictError(_("%s is no new one any more: look again.") % one.operation, code="stale")
        milder = _is_milder(one.effect, operation.pin.guess["effect"])
        try:
            review_operation(
                actor, operation=operation, seen=one.seen, reason=reason if milder else "", effect=one.effect
            )
        except InvalidError as error:
            errors[one.operation] = [text for texts in error.errors.values() for text in texts]
    if errors:
        raise InvalidError(errors=errors)
    return [found[one.operation] for one in wanted]


@transaction.atomic
def set_pin(actor: User, *, operation: Operation, described: Mapping[str, Any] | None) -> str:
    """Write down where an operation was imported from, as a document says; ``created``, ``changed``, ``unchanged``.

    None leaves what is there. Raises ConflictError where a person should look and the document says that nobody need.
    """
    require_manager(actor, operation.connector.unit, MANAGE)
    pin = _locked(operation)
    if described is None:
        return "unchanged"
    waiting = described.get("waiting", "")
    if pin is not None and pin.waiting and not waiting:
        raise ConflictError(_("What its document says of it waits for a person: review it first."))
    values = {
        "key": described["key"], "document": described.get("document", ""), "digest": described["digest"],
        "definition": pinned_of(described["definition"]), "waiting": waiting,
        "proposed": described.get("proposed"), "guess": described["guess"],
    }  # fmt: skip
    if (values["proposed"] is not None) != (waiting == Waiting.CHANGED):
        raise InvalidError(errors={"pinned.proposed": [_("Given where waiting is changed, and nowhere else.")]})
    if pin is not None and all(getattr(pin, name) == value for name, value in values.items()):
        return "unchanged"
    made = pin or OperationPin(operation=operation)
    for name, value in values.items():
        setattr(made, name, value)
    if waiting != Waiting.NEW and made.confirmed_at is None:
        made.confirmed_at, made.confirmed_by = ClockTimestamp(), actor
    made.save(force_insert=pin is None)
    record(actor, operation, "pinned", payload={"document": made.document, "digest": made.digest, "waiting": waiting})
    _stop_waiting(actor, operation, made)
    return "changed" if pin else "created"


def _stop_waiting(actor: User, operation: Operation, pin: OperationPin) -> None:
    """Take out of use what a person should look at first."""
    if not pin.waiting or operation.state != OperationState.ACTIVE:
        return
    to = OperationState.DISABLED if pin.waiting == Waiting.NEW else OperationState.QUARANTINED
    advance(actor, operation, to, payload={"reason": "pinned"})
    if to == OperationState.QUARANTINED:
        note_quarantine(actor, operation.connector, slugs=[operation.slug], document=pin.document)
