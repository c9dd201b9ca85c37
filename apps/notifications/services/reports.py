"""The weekly report by mail: who wants it, and that it is due."""

from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.gate import refuse_emergency, refuse_limited, require, require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import system_user
from apps.notifications.models import ReportSubscription
from apps.notifications.rules import Issue, issues_around
from apps.notifications.selectors.reports import VIEW_KPI

AT_ONCE = 500
DAYS, HOURS = range(7), range(24)


@transaction.atomic
def save_subscription(
    actor: User, *, is_on: bool, unit: BusinessUnit | None, weekday: int, hour: int, timezone: str
) -> ReportSubscription:
    """Have the weekly report mailed to ``actor``, or no more. The first one is about the week that ends next.

    Raises NotAllowedError where ``actor`` may not see the figures of ``unit`` (of any, without one).
    """
    require_human(actor)
    refuse_limited(actor)
    refuse_emergency(actor)
    if is_on:
        require(actor, VIEW_KPI, unit)
    _check(weekday, hour, timezone)
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    found = ReportSubscription.objects.filter(user=actor).first()
    row = found or ReportSubscription(user=actor)
    row.is_on, row.unit, row.weekday, row.hour, row.timezone = is_on, unit, weekday, hour, timezone
    last, coming = _issues(row)
    row.next_at, row.last_week = coming.leaves_at, max(found.last_week, last.monday) if found else last.monday
    row.save(force_insert=found is None)
    told = {"unit": unit.slug if unit else "", "weekday": weekday, "hour": hour, "timezone": timezone}
    record(actor, row, "on" if is_on else "off", payload=told)
    return row


@transaction.atomic
def end_subscription(actor: User) -> None:
    """Have it mailed no more; what was chosen stays for the next time."""
    require_human(actor)
    found = ReportSubscription.objects.select_related("unit").filter(user=actor, is_on=True).first()
    if found is None:
        return
    save_subscription(
        actor, is_on=False, unit=found.unit, weekday=found.weekday, hour=found.hour, timezone=found.timezone
    )


def issue_reports() -> int:
    """Say of each report that is due that it is, once per person and week; how many.

    What was due while nothing ran is made up for by the newest one alone.
    """
    due = ReportSubscription.objects.filter(is_on=True, user__is_active=True, next_at__lte=ClockTimestamp())
    return sum(_issue(row) for row in due.order_by("next_at")[:AT_ONCE])


@transaction.atomic
def _issue(row: ReportSubscription) -> bool:
    if row.is_of_removed_unit:
        if ReportSubscription.objects.filter(pk=row.pk, is_on=True).update(is_on=False, unit=None):
            record(system_user("plane"), row, "off", payload={"why": "unit_removed"})
        return False
    last, coming = _issues(row)
    mine = ReportSubscription.objects.filter(pk=row.pk, is_on=True, next_at=row.next_at)
    if not mine.update(next_at=coming.leaves_at, last_week=max(last.monday, row.last_week)):
        return False
    if last.monday <= row.last_week:
        return False
    record(system_user("plane"), row, "due", payload={"week": last.monday.isoformat()})
    return True


def _issues(row: ReportSubscription) -> tuple[Issue, Issue]:
    zones = {"zone": ZoneInfo(row.timezone), "reporting": ZoneInfo(settings.ACP_REPORTING_TZ)}
    return issues_around(database_now(), weekday=row.weekday, hour=row.hour, **zones)


def _check(weekday: int, hour: int, timezone: str) -> None:
    wrong = {
        "weekday": [_("A day of the week.")] if weekday not in DAYS else [],
        "hour": [_("A full hour from 0 to 23.")] if hour not in HOURS else [],
        "timezone": [_("A zone such as Europe/Berlin.")] if timezone not in available_timezones() else [],
    }
    if errors := {name: problems for name, problems in wrong.items() if problems}:
        raise InvalidError(errors=errors)
