"""Rates from a day on: people's time, agents' work, calls of systems, and what is paid each month."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum


class RateKind(StrEnum):
    """What a rate is about."""

    PEOPLE = "people"
    AGENT = "agent"
    OPERATION = "operation"
    FIXED = "fixed"


class Per(StrEnum):
    """What costs that much each time."""

    HOUR = "hour"
    TASK = "task"
    MINUTE = "minute"
    SUCCESS = "success"
    CALL = "call"
    MONTH = "month"


KIND_OF = {
    Per.HOUR: RateKind.PEOPLE,
    Per.TASK: RateKind.AGENT,
    Per.MINUTE: RateKind.AGENT,
    Per.SUCCESS: RateKind.OPERATION,
    Per.CALL: RateKind.OPERATION,
    Per.MONTH: RateKind.FIXED,
}
"""A rate's ``per`` says what it is about."""
ABOUT = {
    RateKind.PEOPLE: ("unit", "role"),
    RateKind.AGENT: ("agent",),
    RateKind.OPERATION: ("operation",),
    RateKind.FIXED: ("unit", "workflow"),
}
"""What a rate of a kind may name; agents' and operations' have to."""
NAMED = ("unit", "role", "agent", "operation", "workflow")

MS_PER_HOUR, MS_PER_MINUTE = 3_600_000, 60_000

type Subject = tuple[str, ...]
"""A rate's kind and what it names: a later one of the same subject ends an earlier one."""


@dataclass(frozen=True, slots=True)
class RateSeen:
    """A rate: ``minor`` minor units of ``currency`` for each ``per``, from ``since`` on."""

    per: str
    since: datetime
    minor: Decimal
    currency: str
    unit: str = ""
    role: str = ""
    agent: str = ""
    operation: str = ""
    workflow: str = ""

    @property
    def kind(self) -> RateKind:
        """What it is about."""
        return KIND_OF[Per(self.per)]

    @property
    def subject(self) -> Subject:
        """What it is the rate of."""
        return (self.kind, self.unit, self.role, self.agent, self.operation, self.workflow)


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
                if found := self._at((RateKind.PEOPLE, unit, role, "", "", ""), at):
                    return found
        return None

    def of_agent(self, agent: str, at: datetime) -> RateSeen | None:
        """What an agent's work costs."""
        return self._at((RateKind.AGENT, "", "", agent, "", ""), at)

    def of_operation(self, operation: str, at: datetime) -> RateSeen | None:
        """What a call of an operation costs."""
        return self._at((RateKind.OPERATION, "", "", "", operation, ""), at)

    def _at(self, subject: Subject, at: datetime) -> RateSeen | None:
        return next((one for one in self._of.get(subject, ()) if one.since <= at), None)


def rated_micro(rate: RateSeen, quantity: int, micro_per_minor: int) -> int:
    """What a quantity costs at a rate, in millionths, half up: milliseconds by the hour or minute, else times."""
    by = {Per.HOUR: MS_PER_HOUR, Per.MINUTE: MS_PER_MINUTE}.get(Per(rate.per), 1)
    amount = Decimal(quantity) * rate.minor * micro_per_minor / by
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
