"""When a weekly report leaves, and about which week."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
AROUND = range(-2, 3)
"""A week's report may leave up to a day late, and zones are up to a day apart: two weeks to either side suffice."""


@dataclass(frozen=True, slots=True, order=True)
class Issue:
    """One report: when it leaves (UTC), and the Monday of the ISO week that it is about."""

    leaves_at: datetime
    monday: date


def issues_around(now: datetime, *, weekday: int, hour: int, zone: tzinfo, reporting: tzinfo) -> tuple[Issue, Issue]:
    """The last report due at ``now`` and the next one, of somebody who wants it on this day and hour of their zone.

    It is about the week before the one in which it leaves, and never leaves before that week is over where figures
    are reported: it then leaves at that moment.
    """
    today = now.astimezone(zone).date()
    this_monday = today - DAY * today.weekday()
    issues = [_issue(this_monday + WEEK * k, weekday, hour, zone, reporting) for k in AROUND]
    return max(one for one in issues if one.leaves_at <= now), min(one for one in issues if one.leaves_at > now)


def _issue(monday: date, weekday: int, hour: int, zone: tzinfo, reporting: tzinfo) -> Issue:
    wanted = datetime.combine(monday + DAY * weekday, time(hour), zone).astimezone(UTC)
    over = datetime.combine(monday, time(), reporting).astimezone(UTC)
    return Issue(max(wanted, over), monday - WEEK)
