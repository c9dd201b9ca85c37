"""Commands on rotas."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Rota
from apps.access.rules import rota_errors
from apps.access.services.units import require_manager, write_if_changed
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User


@transaction.atomic
def save_rota(
    actor: User,
    *,
    slug: str,
    unit: BusinessUnit,
    timezone: str,
    starts: date,
    people: Sequence[str],
    name: str = "",
    at: str = "09:00",
    days: int = 7,
    exceptions: Sequence[Mapping[str, Any]] | None = (),
) -> tuple[Rota, str]:
    """Make or change a rota; ``exceptions`` None: those that it has stay.

    Being on duty gives nobody a right: who may not decide an item is passed over. Raises InvalidError at the field.
    """
    require_manager(actor, unit)
    found = Rota.objects.select_for_update(of=("self",)).select_related("unit").filter(slug=slug).first()
    if exceptions is None:
        exceptions = found.exceptions if found else ()
    errors = rota_errors(timezone=timezone, starts=starts, at=at, days=days, people=people, exceptions=exceptions)
    errors = errors or _strangers(people, exceptions)
    if errors:
        raise InvalidError(errors=errors)
    if found:
        require_manager(actor, found.unit)
    rota = found or Rota(slug=slug)
    values = {
        "name": name or slug.replace("-", " ").capitalize(),
        "unit": unit,
        "timezone": timezone,
        "starts": starts,
        "at": at,
        "days": days,
        "people": list(people),
        "exceptions": [dict(one) for one in exceptions],
    }
    return rota, write_if_changed(actor, rota, is_new=found is None, values=values)


@transaction.atomic
def swap_duty(actor: User, *, rota: Rota, begins: datetime, ends: datetime, user: User) -> Rota:
    """Put somebody on duty from ``begins`` until ``ends``, whatever the turns say and earlier swaps said."""
    rota = _locked(rota)
    swapped = {"from": begins.isoformat(), "until": ends.isoformat(), "user": user.username}
    return _with_exceptions(actor, rota, [*rota.exceptions, swapped])


@transaction.atomic
def unswap_duty(actor: User, *, rota: Rota, begins: str, ends: str, username: str) -> Rota:
    """Take a swap back, named by its words in the rota. Raises ConflictError where it is gone already."""
    rota = _locked(rota)
    gone = {"from": begins, "until": ends, "user": username}
    if gone not in rota.exceptions:
        raise ConflictError(_("This swap is gone already."))
    return _with_exceptions(actor, rota, [one for one in rota.exceptions if one != gone])


def _locked(rota: Rota) -> Rota:
    return Rota.objects.select_for_update(of=("self",)).select_related("unit").get(pk=rota.pk)


def _with_exceptions(actor: User, rota: Rota, exceptions: list[Mapping[str, Any]]) -> Rota:
    """Save the rota as it is but for these exceptions. People of it who left meanwhile are no obstacle."""
    require_manager(actor, rota.unit)
    added = [one for one in exceptions if one not in rota.exceptions]
    errors = rota_errors(
        timezone=rota.timezone,
        starts=rota.starts,
        at=rota.at,
        days=rota.days,
        people=rota.people,
        exceptions=exceptions,
    )
    if errors := errors or _strangers((), added):
        raise InvalidError(errors=errors)
    write_if_changed(actor, rota, is_new=False, values={"exceptions": [dict(one) for one in exceptions]})
    return rota


def _strangers(people: Sequence[str], exceptions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Who is no active person, by path."""
    asked = {f"people.{place}": str(name) for place, name in enumerate(people)}
    asked |= {f"exceptions.{place}.user": str(one["user"]) for place, one in enumerate(exceptions)}
    active = User.objects.filter(username__in=set(asked.values()), kind="human", is_active=True)
    known = set(active.values_list("username", flat=True))
    return {
        path: [_("There is no active person called %s.") % name] for path, name in asked.items() if name not in known
    }
