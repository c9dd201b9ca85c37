"""Rotas: who is on duty. People take turns by days, handing over at a local time; exceptions stand first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from apps.access.rules.calendars import instant_of

MAX_PEOPLE = 50
MAX_DAYS = 366
MAX_EXCEPTIONS = 200


@dataclass(frozen=True, slots=True)
class Exceptional:
    """Somebody else's duty from one instant until another, the end not included."""

    begins: datetime
    ends: datetime
    person: str


@dataclass(frozen=True, slots=True)
class Shift:
    """One person's duty from one instant until another. ``is_swapped``: by an exception, not by the turns."""

    begins: datetime
    ends: datetime
    person: str
    is_swapped: bool = False


@dataclass(frozen=True, slots=True)
class Turns:
    """The people in their order, each for ``days`` days, the first from ``starts`` on; ``at``: when they hand over."""

    zone: ZoneInfo
    starts: date
    at: timedelta
    days: int
    people: tuple[str, ...]
    exceptions: tuple[Exceptional, ...] = ()

    def on_duty(self, at: datetime) -> str | None:
        """Who is on duty at this instant; None before the first turn. Of two exceptions the later written one holds.

        By the wall clock: a turn in which the clocks change is an hour shorter or longer.
        """
        for exception in reversed(self.exceptions):
            if exception.begins <= at < exception.ends:
                return exception.person
        turn = self._turn(at)
        return self.people[turn % len(self.people)] if turn >= 0 else None

    def shifts(self, since: datetime, until: datetime) -> list[Shift]:
        """Who is on duty from ``since`` until ``until``, in order, without gaps but before the first turn.

        The first may have begun before, the last goes on after: each is told whole.
        """
        first, last = max(self._turn(since), 0), self._turn(until)
        edges = {self._begins(turn) for turn in range(first, max(last, first) + 2)}
        base, reach = min(edges), max(edges)  # the turn at ``since`` may have begun under an exception that ended
        near = [one for one in self.exceptions if one.ends > base and one.begins < reach]
        edges |= {min(edge, reach) for one in near for edge in (one.begins, one.ends)}
        ordered, found = sorted(edges), list[Shift]()
        for begins, ends in pairwise(ordered):
            person = self.on_duty(begins)
            is_swapped = any(one.begins <= begins < one.ends for one in self.exceptions)
            if found and is_swapped and found[-1].is_swapped and found[-1].person == person:
                found[-1] = replace(found[-1], ends=ends)
            elif person is not None:
                found.append(Shift(begins, ends, person, is_swapped))
        return [shift for shift in found if since < shift.ends and shift.begins < until]

    def _turn(self, at: datetime) -> int:
        """The number of the turn at this instant, from 0; negative before the first."""
        wall = at.astimezone(self.zone).replace(tzinfo=None) - self.at
        turn = (wall.date() - self.starts).days // self.days
        return turn + 1 if self._begins(turn + 1) <= at else turn

    def _begins(self, turn: int) -> datetime:
        """When a turn begins: where the clock goes back over the hour, the first time; where it jumps, at the jump."""
        day = self.starts + timedelta(days=turn * self.days)
        return instant_of(datetime.combine(day, time()) + self.at, self.zone)


def handover(text: str) -> timedelta:
    """``09:00`` as time since midnight. Raises ValueError."""
    moment = time.fromisoformat(text)
    if f"{moment:%H:%M}" != text:
        raise ValueError(text)
    return timedelta(hours=moment.hour, minutes=moment.minute)


def turns_of(
    *, timezone: str, starts: date, at: str, days: int, people: Sequence[str], exceptions: Sequence[Mapping[str, Any]]
) -> Turns:
    """A stored rota ready to be asked; ``exceptions`` are ``{from, until, user}`` with RFC 3339 instants."""
    found = [Exceptional(_instant(one["from"]), _instant(one["until"]), str(one["user"])) for one in exceptions]
    return Turns(ZoneInfo(timezone), starts, handover(at), days, tuple(people), tuple(found))


def rota_errors(
    *, timezone: str, starts: Any, at: str, days: Any, people: Sequence[Any], exceptions: Sequence[Any]
) -> dict[str, list[str]]:
    """What is wrong with a rota, by path; whether the people exist is another question."""
    errors: dict[str, list[str]] = {}
    if timezone not in available_timezones():
        errors["timezone"] = [f"There is no zone {timezone!r}; Europe/Berlin is one."]
    if not isinstance(starts, date) or isinstance(starts, datetime):
        errors["starts"] = ["A day such as 2027-01-31 is wanted."]
    try:
        handover(at)
    except (TypeError, ValueError):
        errors["at"] = ["A time of day such as 09:00 is wanted."]
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        errors["days"] = [f"Whole days from 1 to {MAX_DAYS}."]
    if not 1 <= len(set(people)) == len(people) <= MAX_PEOPLE:
        errors["people"] = [f"From 1 to {MAX_PEOPLE} people, nobody twice."]
    return errors | _exception_errors(exceptions)


def _exception_errors(exceptions: Sequence[Any]) -> dict[str, list[str]]:
    if len(exceptions) > MAX_EXCEPTIONS:
        return {"exceptions": [f"At most {MAX_EXCEPTIONS}."]}
    found = {f"exceptions.{place}": _exception_error(exception) for place, exception in enumerate(exceptions)}
    return {path: [problem] for path, problem in found.items() if problem}


def _exception_error(exception: Any) -> str:
    if not isinstance(exception, Mapping) or set(exception) != {"from", "until", "user"}:
        return "An exception is {from, until, user}."
    try:
        begins, ends = _instant(exception["from"]), _instant(exception["until"])
    except (TypeError, ValueError):
        return "Times with an offset are wanted, such as 2027-01-31T09:00:00+01:00."
    return "" if begins < ends else "It ends before it begins."


def _instant(text: Any) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found
