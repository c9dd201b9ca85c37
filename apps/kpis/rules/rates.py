"""Rates from a day on: people's time, agents' work, calls of systems, what is paid each month, other currencies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum


class RateKind(StrEnum):
    """What a rate is about."""

    PEOPLE = "people"
    AGENT = "agent"
    OPERATION = "operation"
    FIXED = "fixed"
    CURRENCY = "currency"


class Per(StrEnum):
    """What costs that much each time."""

    HOUR = "hour"
    TASK = "task"
    MINUTE = "minute"
    SUCCESS = "success"
    CALL = "call"
    MONTH = "month"
    UNIT = "unit"


KIND_OF = {
    Per.HOUR: RateKind.PEOPLE,
    Per.TASK: RateKind.AGENT,
    Per.MINUTE: RateKind.AGENT,
    Per.SUCCESS: RateKind.OPERATION,
    Per.CALL: RateKind.OPERATION,
    Per.MONTH: RateKind.FIXED,
    Per.UNIT: RateKind.CURRENCY,
}
"""A rate's ``per`` says what it is about."""
ABOUT = {
    RateKind.PEOPLE: ("unit", "role"),
    RateKind.AGENT: ("agent",),
    RateKind.OPERATION: ("operation",),
    RateKind.FIXED: ("unit", "workflow"),
    RateKind.CURRENCY: ("of_currency",),
}
"""What a rate of a kind may name; agents', operations' and currencies' have to."""
THINGS = ("unit", "role", "agent", "operation", "workflow")
"""What has a slug of its own."""
NAMED = (*THINGS, "of_currency")

MS_PER_HOUR, MS_PER_MINUTE = 3_600_000, 60_000
MICRO = 10**6
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
"""Digits enough that only the last step of a conversion rounds."""

type Subject = tuple[str, ...]
"""A rate's kind and what it names: a later one of the same subject ends an earlier one."""


@dataclass(frozen=True, slots=True)
class RateSeen:
    """A rate: ``minor`` minor units of ``currency`` for each ``per``, since then; a ``unit`` of ``of_currency``."""

    per: str
    since: datetime
    minor: Decimal
    currency: str
    unit: str = ""
    role: str = ""
    agent: str = ""
    operation: str = ""
    workflow: str = ""
    of_currency: str = ""

    @property
    def kind(self) -> RateKind:
        """What it is about."""
        return KIND_OF[Per(self.per)]

    @property
    def subject(self) -> Subject:
        """What it is the rate of."""
        return (self.kind, *(getattr(self, name) for name in NAMED))


class RateBook:
    """Every rate, asked for the one that holds at a moment."""

    def __init__(self, rates: Iterable[RateSeen]) -> None:
        self.rates = list(rates)
        self._of: dict[Subject, list[RateSeen]] = {}
        for one in sorted(self.rates, key=lambda rate: rate.since, reverse=True):
            self._of.setdefault(one.subject, []).append(one)
        self.kinds = {one.kind for one in self.rates}
        self.has_roles = any(one.role and one.kind == RateKind.PEOPLE for one in self.rates)

    def having(self, rate: RateSeen) -> "RateBook":
        """The book with one rate more, in the place of the one of its subject that begins when it does."""
        rest = [one for one in self.rates if (one.subject, one.since) != (rate.subject, rate.since)]
        return RateBook([*rest, rate])

    def until(self, rate: RateSeen) -> datetime | None:
        """When the next rate of the same subject begins; None: none is known."""
        later = [one.since for one in self._of.get(rate.subject, []) if one.since > rate.since]
        return min(later, default=None)

    def of_people(self, units: Sequence[str], roles: Sequence[str], at: datetime) -> RateSeen | None:
        """A role's rate, else a unit's: of the first of ``units`` that has one, the nearest first; "" is everywhere."""
        for role in (*roles, ""):
            for unit in units:
                if found := self._at(RateKind.PEOPLE, at, unit=unit, role=role):
                    return found
        return None

    def of_agent(self, agent: str, at: datetime) -> RateSeen | None:
        """What an agent's work costs."""
        return self._at(RateKind.AGENT, at, agent=agent)

    def of_operation(self, operation: str, at: datetime) -> RateSeen | None:
        """What a call of an operation costs."""
        return self._at(RateKind.OPERATION, at, operation=operation)

    def of_currency(self, currency: str, at: datetime) -> RateSeen | None:
        """What a whole unit of another currency is worth."""
        return self._at(RateKind.CURRENCY, at, of_currency=currency)

    def is_abroad(self, rate: RateSeen, currency: str) -> bool:
        """Whether a rate, as it begins, is in another currency, of which nobody knows what it is worth in this one."""
        found = self.of_currency(rate.currency, rate.since)
        return bool(rate.minor) and rate.currency != currency and (found is None or found.currency != currency)

    def _at(self, kind: RateKind, at: datetime, **about: str) -> RateSeen | None:
        subject = (kind, *(about.get(name, "") for name in NAMED))
        return next((one for one in self._of.get(subject, ()) if one.since <= at), None)


def rated_micro(rate: RateSeen, quantity: int, micro_per_minor: int) -> Decimal:
    """What a quantity costs at a rate, in millionths of its currency: of milliseconds, or of times."""
    by = {Per.HOUR: MS_PER_HOUR, Per.MINUTE: MS_PER_MINUTE}.get(Per(rate.per), 1)
    return EXACT.divide(EXACT.multiply(Decimal(quantity * micro_per_minor), rate.minor), Decimal(by))


def exchanged(micro: Decimal, rate: RateSeen, micro_per_minor: int) -> Decimal:
    """Millionths of the rate's ``of_currency`` in millionths of its currency, of which a minor unit has so many."""
    worth = EXACT.multiply(rate.minor, Decimal(micro_per_minor))
    return EXACT.divide(EXACT.multiply(micro, worth), Decimal(MICRO))


def half_up(micro: Decimal) -> int:
    """Whole millionths; the only step of an amount that rounds."""
    return int(micro.quantize(Decimal(1), context=EXACT))
