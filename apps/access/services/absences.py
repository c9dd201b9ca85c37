"""Commands on absences: who is away from when until when, and who decides for them meanwhile."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Absence
from apps.access.rules import closes_circle
from apps.access.selectors import delegates_for
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import refuse_limited
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import system_user

MAX_AHEAD = 20
"""So many absences may lie ahead of one person."""


@transaction.atomic
def plan_absence(
    actor: User, *, user: User, starts_at: datetime, ends_at: datetime, delegate: User | None = None
) -> Absence:
    """Say that ``user`` is away from ``starts_at`` until just before ``ends_at``; ``delegate`` decides for them then.

    People say so of themselves, an admin of everything of anybody. Raises InvalidError at the field.
    """
    _require_own(actor, user)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two tabs at once
    errors: dict[str, list[str]] = {}
    if ends_at <= starts_at or ends_at <= database_now():
        errors["ends_at"] = [_("The end comes after the beginning, and after now.")]
    ahead = Absence.objects.filter(user=user, ends_at__gt=ClockTimestamp())
    if other := ahead.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).first():
        errors["starts_at"] = [_("There is an absence from %s already; end it first.") % other.starts_at.isoformat()]
    if ahead.count() >= MAX_AHEAD:
        errors["starts_at"] = [_("At most %d lie ahead.") % MAX_AHEAD]
    if delegate is not None and (problem := _delegate_problem(user, delegate, starts_at, ends_at)):
        errors["delegate"] = [problem]
    if errors:
        raise InvalidError(errors=errors)
    found = Absence.objects.create(user=user, starts_at=starts_at, ends_at=ends_at, delegate=delegate, planned_by=actor)
    record(actor, found, "absence.planned", payload=_told(found))
    return found


def _require_own(actor: User, user: User) -> None:
    refuse_limited(actor)
    if not user.is_human:
        raise NotAllowedError
    if actor.pk != user.pk:
        require_manager(actor, None)


def _delegate_problem(user: User, delegate: User, starts_at: datetime, ends_at: datetime) -> str:
    """Why this person cannot decide for ``user`` then. One sentence for all who may not, so that nobody learns more."""
    if delegate.pk == user.pk:
        return _("Name somebody else.")
    if not delegates_for(user).filter(pk=delegate.pk).exists():
        return _("Nobody of this name may decide where they do.")
    then = Absence.objects.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).exclude(delegate=None)
    handed: dict[object, set[object]] = {}
    for giver, taker in then.values_list("user_id", "delegate_id"):
        handed.setdefault(giver, set()).add(taker)
    if closes_circle(handed, user.pk, delegate.pk):
        return _("They are away then too, and it would come back to whom it came from.")
    return ""


@transaction.atomic
def end_absence(actor: User, *, absence: Absence) -> None:
    """Back early, or not away at all: from now on nobody decides for them. Again: nothing more happens."""
    _require_own(actor, absence.user)
    ahead = Absence.objects.filter(pk=absence.pk, starts_at__gt=ClockTimestamp())
    if ahead.exists():
        record(actor, absence, "absence.cancelled", payload=_told(absence))
        ahead.delete()
        return
    if Absence.objects.filter(pk=absence.pk, ends_at__gt=ClockTimestamp()).update(ends_at=ClockTimestamp()):
        record(actor, absence, "absence.ended", payload=_told(absence))


@transaction.atomic
def sweep_absences() -> int:
    """Each second: note once that an absence began or is over, for what follows from it; how many."""
    plane = system_user("plane")
    rows = Absence.objects.select_for_update(of=("self",), skip_locked=True).select_related("user", "delegate")
    over = list(rows.filter(closed_at=None, ends_at__lte=ClockTimestamp()))
    begun = list(rows.filter(Absence.now(), opened_at=None))
    Absence.objects.filter(pk__in=[row.pk for row in over]).update(closed_at=ClockTimestamp())
    Absence.objects.filter(pk__in=[row.pk for row in begun]).update(opened_at=ClockTimestamp())
    for row in over:
        record(plane, row, "absence.closed", payload=_told(row))
    for row in begun:
        record(plane, row, "absence.opened", payload=_told(row))
    return len(over) + len(begun)


def _told(absence: Absence) -> dict[str, object]:
    return {
        "user": absence.user.username,
        "delegate": absence.delegate.username if absence.delegate else None,
        "from": absence.starts_at,
        "until": absence.ends_at,
    }
