"""Open hours: a week of local times, holidays, a zone; and the arithmetic of time that counts only while open.

A local time means its first occurrence where the clock goes back, and the instant of the change where the clock jumps
over it: so a day of ``00:00-24:00`` has 23, 24 or 25 hours and days never overlap.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from holidays import country_holidays, list_supported_countries

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SLOT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
DAY_MINUTES = 24 * 60
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
HORIZON = timedelta(days=3653)
"""Ten years: what has not come to pass by then is due then."""

type Slot = tuple[int, int]
"""From and until, in minutes of the local day; 1440 is its end."""


@lru_cache(maxsize=512)
def public_holidays(region: str, year: int) -> Mapping[date, str]:
    """The public holidays of one year in a region with their names, as the ``holidays`` package knows them.

    None for a region that it knew once and knows no more: an item must be made all the same.
    """
    if not is_region(region):
        return {}
    country, _, part = region.partition("-")
    return dict(country_holidays(country, subdiv=part or None, years=year))


def is_region(region: str) -> bool:
    """Whether holidays are known for it: a country of ISO 3166, or a part of one (``DE``, ``DE-BY``)."""
    country, dash, part = region.partition("-")
    known = list_supported_countries(include_aliases=False)
    return country in known and (not dash or part in known[country])


@dataclass(frozen=True, slots=True)
class OpenHours:
    """When somebody is there: slots for each weekday from Monday, none on holidays, all in ``zone``.

    Holidays are the days named in ``holidays`` and, with a ``region``, its public ones.
    """

    zone: ZoneInfo
    week: tuple[tuple[Slot, ...], ...]
    holidays: frozenset[date] = frozenset()
    region: str = ""

    def add(self, start: datetime, open_time: timedelta) -> datetime:
        """The first instant by which so much open time has passed since ``start``; at most HORIZON after it."""
        start, left = start.astimezone(UTC), open_time  # in a zone of its own, Python would add by the wall clock
        if left <= timedelta(0):
            return start
        for begins, ends in self._slots_since(start):
            here = ends - max(begins, start)
            if here >= left:
                return max(begins, start) + left
            left -= here
        return start + HORIZON

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The open time from ``start`` until ``end``; none where that is not later. Looks as far as HORIZON."""
        start, end, found = start.astimezone(UTC), end.astimezone(UTC), timedelta(0)
        for begins, ends in self._slots_since(start):
            if max(begins, start) >= end:
                break
            found += min(ends, end) - max(begins, start)
        return found

    def is_open(self, at: datetime) -> bool:
        """Whether somebody is there at this instant."""
        begins = next((begins for begins, _ in self._slots_since(at)), None)
        return begins is not None and begins <= at

    def add_days(self, start: datetime, days: int) -> datetime:
        """The same time of day ``days`` working days later, within that day's open hours; at most HORIZON later.

        Before opening counts as opening; after closing, and on a day without hours, as the next opening.
        """
        start = start.astimezone(UTC)
        if days <= 0:
            return start
        day = start.astimezone(self.zone).date()
        today = self.slots_of(day)
        is_opening = not today or start <= today[0][0] or start >= today[-1][1]
        ahead = self._working_days(day + DAY if not today or start >= today[-1][1] else day)
        for place, target in enumerate(ahead):
            if place == days:
                slots = self.slots_of(target)
                return slots[0][0] if is_opening else self._within(slots, target, start)
        return start + HORIZON

    def add_weeks(self, start: datetime, weeks: int) -> datetime:
        """As many working days later as ``weeks`` weeks without holidays have."""
        return self.add_days(start, weeks * sum(bool(slots) for slots in self.week))

    def slots_of(self, day: date) -> list[tuple[datetime, datetime]]:
        """The open times of a local day as instants in UTC, in order; those that a clock change swallows are gone."""
        if day in self.holidays or (self.region and day in public_holidays(self.region, day.year)):
            return []
        found = [(self._instant(day, begins), self._instant(day, ends)) for begins, ends in self.week[day.weekday()]]
        return [(begins, ends) for begins, ends in found if begins < ends]

    def _slots_since(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The slots that end after ``start``, in order, for HORIZON."""
        first = start.astimezone(self.zone).date() - DAY
        for number in range(HORIZON.days + 2):
            for begins, ends in self.slots_of(first + number * DAY):
                if ends > start:
                    yield begins, ends

    def _working_days(self, first: date) -> Iterator[date]:
        for number in range(HORIZON.days):
            if self.slots_of(day := first + number * DAY):
                yield day

    def _within(self, slots: Sequence[tuple[datetime, datetime]], day: date, like: datetime) -> datetime:
        """The instant of ``day`` with the local time of ``like``; in a break or after closing, the last open one."""
        local = like.astimezone(self.zone)
        wanted = instant_of(datetime.combine(day, local.time()), self.zone)
        found = slots[0][0]
        for begins, ends in slots:
            if wanted >= begins:
                found = min(wanted, ends)
        return found

    def _instant(self, day: date, minute: int) -> datetime:
        return instant_of(datetime.combine(day, time()) + timedelta(minutes=minute), self.zone)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which clocks in ``zone`` show ``wall``; where they jump over it, that of the jump."""
    late = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == wall:
        return late
    early = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while late - early > SECOND:
        middle = early + (late - early) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)


WORKING_DAYS, WORKING_WEEKS = "d", "w"


def due_after(start: datetime, hours: OpenHours | None, seconds: int, unit: str = "") -> datetime:
    """``seconds`` of open time after ``start``; elapsed time without ``hours``.

    ``unit`` says how the duration was written: whole days (``d``) are then working days, weeks (``w``) working weeks.
    """
    if hours is None:
        return start + timedelta(seconds=seconds)
    if unit == WORKING_DAYS:
        return hours.add_days(start, seconds // 86_400)
    if unit == WORKING_WEEKS:
        return hours.add_weeks(start, seconds // 604_800)
    return hours.add(start, timedelta(seconds=seconds))


def part_of(start: datetime, due: datetime, hours: OpenHours | None, share: float) -> datetime:
    """The instant at which this share of the (open) time from ``start`` until ``due`` has passed.

    Where nothing is open until then, because what ends at night is due at its end, elapsed time counts: a share of
    nothing would be over at once.
    """
    opened = hours.between(start, due) if hours is not None else timedelta()
    if hours is None or not opened:
        return start + (due - start) * share
    return hours.add(start, opened * share)


def moved_on(moment: datetime, stopped: datetime, now: datetime, hours: OpenHours | None) -> datetime:
    """Where ``moment`` lies once a clock that stood from ``stopped`` until ``now`` goes on: as far ahead as it was.

    Where nothing is open until then, elapsed time counts, as in ``part_of``: no open time ahead would be now.
    """
    opened = hours.between(stopped, moment) if hours is not None else timedelta()
    if hours is None or not opened:
        return moment + (now - stopped)
    return hours.add(now, opened)


def open_hours(
    *, timezone: str, hours: Mapping[str, Iterable[str]], holidays: Iterable[str] = (), region: str = ""
) -> OpenHours:
    """The open hours that a calendar describes. ``hours_errors`` said before that it can be read."""
    week = tuple(tuple(sorted(_slot(text) for text in hours.get(name, ()))) for name in WEEKDAYS)
    return OpenHours(ZoneInfo(timezone), week, frozenset(date.fromisoformat(day) for day in holidays), region)


def _place_errors(timezone: str, region: str) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if region and not is_region(region):
        errors["region"] = [f"No holidays are known for {region!r}; DE and DE-BY are regions."]
    if timezone not in available_timezones():
        errors["timezone"] = [f"There is no zone {timezone!r}; Europe/Berlin is one."]
    return errors


def hours_errors(*, timezone: str, hours: Mapping[str, Sequence[str]], region: str = "") -> dict[str, list[str]]:
    """What is wrong with a calendar's zone, week and region, by path; empty when it can be used."""
    errors = _place_errors(timezone, region)
    for name, slots in hours.items():
        if name not in WEEKDAYS:
            errors[f"hours.{name}"] = [f"Weekdays are {', '.join(WEEKDAYS)}."]
            continue
        ends_before = 0
        for place, text in enumerate(slots):
            found = _slot(text) if SLOT.fullmatch(text) else (0, 0)
            if found[0] >= found[1] or found[1] > DAY_MINUTES:
                errors[f"hours.{name}.{place}"] = [
                    "From and until within one day, such as 09:00-17:00; split what goes past midnight at 24:00."
                ]
            elif found[0] < ends_before:
                errors[f"hours.{name}.{place}"] = ["Later times after earlier ones, without overlap."]
            ends_before = max(ends_before, found[1])
    if not errors and not any(hours.values()):
        errors["hours"] = ["Name at least one time at which somebody is there."]
    return errors


def _slot(text: str) -> Slot:
    numbers = SLOT.fullmatch(text)
    assert numbers, "checked by hours_errors"
    from_hour, from_minute, to_hour, to_minute = map(int, numbers.groups())
    return from_hour * 60 + from_minute, to_hour * 60 + to_minute
