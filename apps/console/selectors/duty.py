"""Who is on duty now, next and later; when nobody is there; what counts by it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from apps.access.models import BusinessUnit, Calendar, Queue, Rota
from apps.access.rules import WEEKDAYS, Shift
from apps.access.selectors import away_now, queues_for, rota_for, rotas_for, units_for
from apps.core.models import User, database_now

WEEKS_AHEAD = timedelta(days=28)
YEAR = timedelta(days=365)
SHIFTS_MAX = 60


@dataclass(frozen=True, slots=True)
class Duty:
    """One person's duty; ``person`` is None for a name that nobody has."""

    shift: Shift
    person: User | None

    @property
    def name(self) -> str:
        """What the person is called."""
        return str(self.person) if self.person else self.shift.person

    @property
    def has_left(self) -> bool:
        """Whether nobody is reached by it."""
        return self.person is None or not self.person.is_active


@dataclass(frozen=True, slots=True)
class Swap:
    """An exception as it stands in the rota, and as it reads."""

    begins: datetime
    ends: datetime
    person: str
    words: dict[str, str]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Roster:
    """A rota with the duties of the coming weeks; ``stands_in``: for who is away now; ``asked_by``: queues' levels."""

    rota: Rota
    now: Duty | None
    later: list[Duty]
    is_away: bool = False
    stands_in: User | None = None
    swaps: list[Swap] = field(default_factory=list)
    asked_by: list[Queue] = field(default_factory=list)

    @property
    def following(self) -> Duty | None:
        """Who comes next."""
        return self.later[0] if self.later else None


def rosters_for(actor: User) -> list[Roster]:
    """The rotas that ``actor`` manages, each with who is on duty now and next. Three queries."""
    return _rosters(rotas_for(actor), database_now())


def roster_for(actor: User, slug: str) -> Roster:
    """One of them, with its swaps and the queues that ask it. Raises NotFoundError."""
    rota, now = rota_for(actor, slug), database_now()
    found = _rosters([rota], now)[0]
    people = {
        user.username: user for user in User.objects.filter(username__in=[one["user"] for one in rota.exceptions])
    }
    for one in reversed(rota.exceptions):
        begins, ends = datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["until"])
        found.swaps.append(Swap(begins, ends, str(people.get(one["user"], one["user"])), one, ends <= now))
    found.swaps.sort(key=lambda swap: swap.begins, reverse=True)
    found.asked_by.extend(queues_for(actor).filter(escalation__contains=[{"to": {"rota": rota.slug}}]))
    return found


def _rosters(rotas: Iterable[Rota], now: datetime) -> list[Roster]:
    shifts = {rota: _shifts(rota, now) for rota in rotas}
    names = {shift.person for found in shifts.values() for shift in found}
    people = {user.username: user for user in User.objects.filter(username__in=names)}
    away = away_now()
    rosters = []
    for rota, found in shifts.items():
        duties = [Duty(shift, people.get(shift.person)) for shift in found]
        begun = [duty for duty in duties if duty.shift.begins <= now]
        on_duty = begun[0] if begun else None
        person = on_duty.person if on_duty else None
        rosters.append(
            Roster(
                rota,
                on_duty,
                [duty for duty in duties if duty.shift.begins > now],
                is_away=person in away,
                stands_in=away.get(person) if person else None,
            )
        )
    return rosters


def _shifts(rota: Rota, now: datetime) -> list[Shift]:
    """Everybody's next turn, and four weeks at least."""
    ahead = min(max(timedelta(days=rota.days * (len(rota.people) + 1)), WEEKS_AHEAD), YEAR)
    begins = datetime.combine(rota.starts, datetime.min.time(), tzinfo=ZoneInfo(rota.timezone))
    return rota.turns().shifts(now, max(now, begins) + ahead)[:SHIFTS_MAX]


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A day on which nobody is there; ``is_public``: by the region, not by the calendar's own list."""

    day: date
    name: str
    is_public: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """A calendar: whether it is open now, its week, the holidays of a year, what counts by it."""

    calendar: Calendar
    is_open: bool
    week: list[tuple[str, list[str]]]
    closed: list[ClosedDay]
    queues: list[Queue]
    units: list[BusinessUnit]


def sheet_for(actor: User, calendar: Calendar) -> Sheet:
    """What is to be known of a calendar that was fetched through ``calendar_for``, for the year that begins today."""
    now = database_now()
    today = now.astimezone(ZoneInfo(calendar.timezone)).date()
    closed = calendar.closed_days(today, today + YEAR)
    return Sheet(
        calendar=calendar,
        is_open=calendar.open_hours().is_open(now),
        week=[(name, calendar.hours.get(name, [])) for name in WEEKDAYS],
        closed=[ClosedDay(day, name, is_public) for day, (name, is_public) in closed.items()],
        queues=list(queues_for(actor).filter(calendar=calendar)),
        units=list(units_for(actor).filter(calendar=calendar)),
    )


def open_now_for(actor: User, calendars: Iterable[Calendar]) -> dict[Calendar, bool]:
    """Which of these calendars are open at this moment."""
    assert actor.is_active
    now = database_now()
    return {calendar: calendar.open_hours().is_open(now) for calendar in calendars}
