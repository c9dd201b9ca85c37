"""Commands on rotas."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Rota
from apps.access.rules import rota_errors
from apps.access.services.units import require_manager, write_if_changed
from apps.core.errors import InvalidError
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
    exceptions: Sequence[Mapping[str, Any]] = (),
) -> tuple[Rota, str]:
    """Make or change a rota. Whom it called already stays called; the next level asks who is on duty then.

    Being on duty gives nobody a right: who may not decide an item is passed over. Raises InvalidError at the field.
    """
    require_manager(actor, unit)
    errors = rota_errors(timezone=timezone, starts=starts, at=at, days=days, people=people, exceptions=exceptions)
    errors = errors or _strangers(people, exceptions)
    if errors:
        raise InvalidError(errors=errors)
    found = Rota.objects.select_for_update(of=("self",)).select_related("unit").filter(slug=slug).first()
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


def _strangers(people: Sequence[str], exceptions: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Who is no active person, by path."""
    asked = {f"people.{place}": str(name) for place, name in enumerate(people)}
    asked |= {f"exceptions.{place}.user": str(one["user"]) for place, one in enumerate(exceptions)}
    active = User.objects.filter(username__in=set(asked.values()), kind="human", is_active=True)
    known = set(active.values_list("username", flat=True))
    return {
        path: [_("There is no active person called %s.") % name] for path, name in asked.items() if name not in known
    }
