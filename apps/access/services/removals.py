"""Commands that remove what nothing refers to any more."""

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Calendar, Queue, Role, RoleGrant, Rota
from apps.access.rules import ADMINISTRATOR
from apps.access.selectors import live_grants, names_asking_rota, names_using_calendar
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.core.models import Record, User


@transaction.atomic
def remove_unit(actor: User, *, unit: BusinessUnit) -> BusinessUnit:
    """Remove a unit that owns nothing. Raises ConflictError that says what it still owns."""
    require_manager(actor, unit.parent)
    return _remove(actor, unit)


@transaction.atomic
def remove_role(actor: User, *, role: Role) -> Role:
    """Remove a role that nobody holds and no queue asks for; who held it once is in the ledger."""
    require_manager(actor, None)
    if role.slug == ADMINISTRATOR:
        raise ConflictError(_("The built-in role stays."))
    if holders := RoleGrant.objects.filter(live_grants(), role=role).count():
        raise ConflictError(_("%d people still hold it.") % holders)
    RoleGrant.objects.filter(role=role).delete()
    return _remove(actor, role)


@transaction.atomic
def remove_queue(actor: User, *, queue: Queue) -> Queue:
    """Remove a queue in which nothing ever waited. Raises ConflictError otherwise."""
    require_manager(actor, queue.unit)
    return _remove(actor, queue)


@transaction.atomic
def remove_calendar(actor: User, *, calendar: Calendar) -> Calendar:
    """Remove a calendar by which nothing counts. Raises ConflictError that names what still does."""
    require_manager(actor, None)
    if using := names_using_calendar(calendar):
        raise ConflictError(_("These still count by it: %s.") % ", ".join(using))
    return _remove(actor, calendar)


@transaction.atomic
def remove_rota(actor: User, *, rota: Rota) -> Rota:
    """Remove a rota that no queue's level asks. Raises ConflictError that names those that do."""
    require_manager(actor, rota.unit)
    if using := names_asking_rota(rota):
        raise ConflictError(_("These queues still ask it: %s.") % ", ".join(using))
    return _remove(actor, rota)


def _remove[R: Record](actor: User, row: R) -> R:
    record(actor, row, "removed", payload={"slug": getattr(row, "slug", "")})
    try:
        with transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).delete()
    except ProtectedError as error:
        kinds = sorted({str(found._meta.verbose_name) for found in error.protected_objects})
        raise ConflictError(_("It is still in use (%s).") % ", ".join(kinds)) from error
    return row
