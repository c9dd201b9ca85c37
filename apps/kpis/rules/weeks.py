"""ISO weeks, as reports are about: named 2026-W47, Monday to Sunday in one zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import Period, day_period, local_day
from apps.kpis.rules.weekly import first_day_of
from apps.kpis.rules.weekly import week_of as name_of

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """The ISO week that begins on ``monday``."""

    monday: date

    def __str__(self) -> str:
        return name_of(self.monday)

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    def moved(self, weeks: int) -> "Week":
        """The week so many later; earlier ones by negative numbers."""
        return Week(self.monday + WEEK * weeks)

    def period(self, zone: ZoneInfo) -> Period:
        """From its Monday's midnight to the next one's."""
        return day_period(self.monday, self.sunday, zone)


def week_of(day: date) -> Week:
    """The week in which ``day`` lies."""
    return Week(day - timedelta(days=day.weekday()))


def ended_week(now: datetime, zone: ZoneInfo) -> Week:
    """The last week that is over at ``now``."""
    return week_of(local_day(now, zone)).moved(-1)


def week_named(text: str) -> Week:
    """The week of this name. Raises ValueError where there is none."""
    monday = first_day_of(text)
    if monday is None:
        raise ValueError(text)
    return Week(monday)
