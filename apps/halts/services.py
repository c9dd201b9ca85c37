"""Engaging and lifting halts."""

from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.queue import announce
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import FENCE, halt_for


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
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FENCE])
    try:
        with transaction.atomic():
            halt = Halt.objects.create(scope=scope, target=target, unit=unit, reason=reason.strip(), engaged_by=actor)
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
