"""Commands on calendars."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Calendar
from apps.access.rules import hours_errors
from apps.access.services.units import require_manager, write_if_changed
from apps.core.errors import InvalidError
from apps.core.models import User

MAX_HOLIDAYS = 500


@transaction.atomic
def save_calendar(
    actor: User,
    *,
    slug: str,
    name: str,
    timezone: str,
    hours: Mapping[str, Sequence[str]],
    holidays: Sequence[Any] = (),
    region: str = "",
) -> tuple[Calendar, str]:
    """Make or change a calendar: ``hours`` ``{mon: ["09:00-17:00"]}``, ``holidays`` days or ``{date, name}``.

    ``region``: ``DE`` or ``DE-BY``, whose public holidays are closed too; the ``holidays`` package knows them.
    Several units count by one calendar, so only an admin of everything may. What is due already keeps its time.
    """
    require_manager(actor, None)
    errors = hours_errors(timezone=timezone, hours=hours, region=region)
    days = _holidays(holidays, errors)
    if errors:
        raise InvalidError(errors=errors)
    found = Calendar.objects.select_for_update().filter(slug=slug).first()
    calendar = found or Calendar(slug=slug)
    values = {
        "name": name,
        "timezone": timezone,
        "hours": {day: sorted(slots) for day, slots in hours.items() if slots},
        "holidays": days,
        "region": region,
    }
    return calendar, write_if_changed(actor, calendar, is_new=found is None, values=values)


def _holidays(holidays: Sequence[Any], errors: dict[str, list[str]]) -> list[dict[str, str]]:
    """In order of date, each with its name where it has one; what is no day goes into ``errors``."""
    found: dict[str, dict[str, str]] = {}
    if len(holidays) > MAX_HOLIDAYS:
        errors["holidays"] = [_("At most %d.") % MAX_HOLIDAYS]
    for place, holiday in enumerate(holidays):
        given = holiday if isinstance(holiday, Mapping) else {"date": holiday}
        text = str(given.get("date", ""))
        try:
            day = date.fromisoformat(text).isoformat()
        except ValueError:
            day = ""
        if day != text:
            errors[f"holidays.{place}"] = [_("A day such as 2027-01-31 is wanted.")]
        elif text in found:
            errors[f"holidays.{place}"] = [_("This day is there twice.")]
        else:
            found[text] = {"date": text, **({"name": str(given["name"])} if given.get("name") else {})}
    return [found[day] for day in sorted(found)]
