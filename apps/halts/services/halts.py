"""Engaging and lifting halts, and the breakers that engage them by themselves."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.formats import money
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.queue import announce
from apps.halts.models import Breaker, Halt, Trip
from apps.halts.rules import BreakerKind, HaltScope, Measured
from apps.halts.selectors import FENCE, halt_for
from apps.halts.services.fence import close_fence


@transaction.atomic
def engage_halt(actor: User, *, scope: str, target: str = "", unit: BusinessUnit | None = None, reason: str) -> Halt:
    """Stop what ``scope`` and ``target`` name. When this has committed nothing new starts within it.

    ``unit`` is the unit that the target belongs to (looked up by the door): ``actor`` needs halts.engage_halt there,
    or everywhere for ``everything``. Raises ConflictError when it is engaged already.
    """
    if scope not in list(HaltScope):
        raise InvalidError(errors={"scope": [_("One of: %s.") % ", ".join(HaltScope)]})
    if (scope == HaltScope.EVERYTHING) != (not target):
        raise InvalidError(errors={"target": [_("Name the target; “everything” has none.")]})
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    require_manager(actor, unit, "halts.engage_halt")
    return _engage(actor, scope=scope, target=target, unit=unit, reason=reason.strip())


def _engage(actor: User, *, scope: str, target: str, unit: BusinessUnit | None, reason: str) -> Halt:
    close_fence(FENCE)
    try:
        with transaction.atomic():
            halt = Halt.objects.create(scope=scope, target=target, unit=unit, reason=reason, engaged_by=actor)
    except IntegrityError as error:
        raise ConflictError(_("This is halted already.")) from error
    record(
        actor,
        halt,
        "halt.engaged",
        unit=unit.pk if unit else None,
        payload={"scope": scope, "target": target, "reason": halt.reason},
    )
    announce()
    return halt


@transaction.atomic
def lift_halt(actor: User, *, halt_id: UUID, reason: str) -> Halt:
    """Lift a halt that somebody else engaged. People only."""
    require_human(actor)
    halt = halt_for(actor, halt_id)
    require_manager(actor, halt.unit, "halts.lift_halt")
    if halt.engaged_by_id == actor.pk:
        raise NotAllowedError(_("Somebody else must lift it: you engaged it."))
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    lifted = Halt.objects.filter(pk=halt.pk, lifted_at=None).update(
        lifted_by=actor, lifted_at=ClockTimestamp(), lift_reason=reason.strip()
    )
    if lifted != 1:
        raise ConflictError(_("It was lifted already."))
    halt.refresh_from_db()
    record(actor, halt, "halt.lifted", payload={"scope": halt.scope, "target": halt.target, "reason": reason.strip()})
    announce()
    return halt


@transaction.atomic
def open_breaker(
    plane: User, *, breaker: Breaker, target: str, unit: BusinessUnit | None, told: Measured
) -> Halt | None:
    """Stop what a breaker found, once; None where it is stopped already. Whoever it concerns is told by the halt."""
    try:
        with transaction.atomic():
            reason = _reason_of(breaker, told)
            halt = _engage(plane, scope=breaker.scope, target=target, unit=unit, reason=reason)
    except ConflictError:
        return None
    Trip.objects.create(
        breaker=breaker,
        halt=halt,
        measured=told.measured,
        threshold=told.threshold,
        in_flight=told.in_flight,
        cause=breaker.cause,
        actions=[str(pk) for pk in told.actions],
    )
    payload: dict[str, object] = {"name": breaker.slug, "kind": breaker.kind, "target": target}
    payload |= {"measured": told.measured, "cause": breaker.cause, "actions": [str(pk) for pk in told.actions]}
    record(plane, breaker, "breaker.opened", unit=unit.pk if unit else None, payload=payload)
    return halt


def _reason_of(breaker: Breaker, told: Measured) -> str:
    """What a breaker counted, in words: amounts as people write them, and the cause where it names one."""
    is_money = breaker.kind == BreakerKind.SPEND
    words = {
        "name": breaker.name,
        "measured": money(told.measured, breaker.currency) if is_money else told.measured,
        "limit": money(told.threshold, breaker.currency) if is_money else told.threshold,
        "seconds": breaker.window_s,
        "flying": told.in_flight,
        "cause": breaker.cause,
    }
    if breaker.cause:
        text = _(
            "Breaker “%(name)s”: %(measured)s with the cause %(cause)s in %(seconds)s s, from %(limit)s on it opens."
        )
    else:
        text = _("Breaker “%(name)s”: %(measured)s in %(seconds)s s, from %(limit)s on it opens.")
    return f"{text} {_('Under way or waiting for people: %(flying)s.')}" % words
