"""Time ranges and buckets: half-open local days, ISO weeks and months, converted to UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

MAX_BUCKETS = 400
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class BucketSize(StrEnum):
    """How wide one point of a series is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class RangeName(StrEnum):
    """The ranges that the dashboard offers."""

    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_30 = "30d"
    WEEKS_12 = "12w"
    QUARTER = "quarter"
    CUSTOM = "custom"


RANGE_DAYS = {RangeName.DAYS_7: 7, RangeName.DAYS_30: 30}
"""Whole local days, today included."""

RANGE_WEEKS = {RangeName.WEEKS_12: 12, RangeName.QUARTER: 13}
"""Whole ISO weeks, this one included: half a week at the edge would look like a fall."""

LONGEST_DAYS = {BucketSize.HOUR: 2, BucketSize.DAY: 45, BucketSize.WEEK: 800}
"""Up to how many days a period is shown in buckets of this size, unless somebody asks otherwise."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start`` until just before ``end``, both UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Real time between the ends: a day in spring may have 23 hours."""
        return self.end - self.start

    def days_until(self, now: datetime) -> float:
        """Days of this period that have passed at ``now``; at least one hour, so that rates stay finite."""
        return max((min(self.end, now) - self.start) / DAY, 1 / 24)


@dataclass(frozen=True, slots=True)
class Bucket(Period):
    """One point of a series: ``label`` is the local day, ISO week, month or hour."""

    label: str


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC. Where the clocks skip midnight, the instant at which they skip."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def weeks_of(period: Period, zone: ZoneInfo) -> Period:
    """The whole ISO weeks in which a period lies."""
    first = first_day(local_day(period.start, zone), BucketSize.WEEK)
    last = first_day(local_day(period.end - timedelta(microseconds=1), zone), BucketSize.WEEK)
    return day_period(first, last + DAY * 6, zone)


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The local day in which an instant lies."""
    return instant.astimezone(zone).date()


def day_period(first: date, last: date, zone: ZoneInfo) -> Period:
    """The local days ``first`` to ``last``, both whole."""
    return Period(local_midnight(first, zone), local_midnight(last + DAY, zone))


def named_period(name: RangeName, now: datetime, zone: ZoneInfo) -> Period:
    """A named range that ends with today; 24 hours ends with the current hour."""
    if name == RangeName.HOURS_24:
        end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
        return Period(end - DAY, end)
    today = local_day(now, zone)
    if name in RANGE_WEEKS:
        return day_period(first_day(today, BucketSize.WEEK) - DAY * 7 * (RANGE_WEEKS[name] - 1), today, zone)
    return day_period(today - DAY * (RANGE_DAYS.get(name, 30) - 1), today, zone)


def previous_period(period: Period, zone: ZoneInfo) -> Period:
    """The equally long period just before: as many local days, or as many hours."""
    if is_whole_days(period, zone):
        days = local_day(period.end, zone) - local_day(period.start, zone)
        return Period(local_midnight(local_day(period.start, zone) - days, zone), period.start)
    return Period(period.start - period.length, period.start)


def next_period(period: Period, zone: ZoneInfo) -> Period:
    """The equally long period just after."""
    if is_whole_days(period, zone):
        days = local_day(period.end, zone) - local_day(period.start, zone)
        return Period(period.end, local_midnight(local_day(period.end, zone) + days, zone))
    return Period(period.end, period.end + period.length)


def is_whole_days(period: Period, zone: ZoneInfo) -> bool:
    """Whether both ends are local midnights."""
    return all(end == local_midnight(local_day(end, zone), zone) for end in (period.start, period.end))


def size_for(period: Period) -> BucketSize:
    """The bucket that gives a readable number of points."""
    days = period.length / DAY
    return next((size for size, longest in LONGEST_DAYS.items() if days <= longest), BucketSize.MONTH)


def fits(period: Period, size: BucketSize) -> bool:
    """Whether the series stays below 400 points."""
    hours = {BucketSize.HOUR: 1, BucketSize.DAY: 24, BucketSize.WEEK: 168, BucketSize.MONTH: 700}[size]
    return period.length / HOUR / hours <= MAX_BUCKETS - 2


def buckets_of(period: Period, size: BucketSize, zone: ZoneInfo) -> list[Bucket]:
    """The buckets that cover the period without gap or overlap; the first and last are cut off at its ends."""
    starts = _hours(period) if size == BucketSize.HOUR else _days(period, size, zone)
    edges = [*(max(start, period.start) for start in starts), period.end]
    return [Bucket(start, end, label_of(start, size, zone)) for start, end in pairwise(edges) if start < end]


def label_of(instant: datetime, size: BucketSize, zone: ZoneInfo) -> str:
    """What the bucket that holds ``instant`` is called: 2026-03-29, 2026-W13, 2026-03, 2026-03-29T01:00+01:00."""
    local = instant.astimezone(zone)
    if size == BucketSize.HOUR:
        return local.isoformat(timespec="minutes")
    if size == BucketSize.WEEK:
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02}"
    return local.strftime("%Y-%m") if size == BucketSize.MONTH else local.date().isoformat()


def first_day(day: date, size: BucketSize) -> date:
    """The first day of the bucket in which ``day`` lies."""
    if size == BucketSize.WEEK:
        return day - DAY * day.weekday()
    return day.replace(day=1) if size == BucketSize.MONTH else day


def _days(period: Period, size: BucketSize, zone: ZoneInfo) -> Iterator[datetime]:
    day = first_day(local_day(period.start, zone), size)
    while (start := local_midnight(day, zone)) < period.end:
        yield start
        day = _following(day, size)


def _following(day: date, size: BucketSize) -> date:
    if size == BucketSize.MONTH:
        return (day.replace(day=1) + DAY * 32).replace(day=1)
    return day + DAY * (7 if size == BucketSize.WEEK else 1)


def _hours(period: Period) -> Iterator[datetime]:
    start = period.start.replace(minute=0, second=0, microsecond=0)
    while start < period.end:
        yield start
        start += HOUR
