"""When agents could be relied on and workflows could begin a run, minute by minute; nobody guesses at a minute."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from apps.access.rules.calendars import OpenHours

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NOTED_AFTER = MINUTE
"""Calls of one key are noted once in this time, so one that was noted may stand for others until then."""


class Thing(StrEnum):
    """Of what minutes are looked at."""

    AGENT = "agent"
    WORKFLOW = "workflow"


class Condition(StrEnum):
    """How a service minute was. ``unobserved``: the plane itself did not look, so nobody knows."""

    UP = "up"
    DOWN = "down"
    UNOBSERVED = "unobserved"


class Cause(StrEnum):
    """Why a minute was not up.

    ``silent``: an agent held no task and made no call. ``suspended``, ``halted``, ``disabled``: people or a breaker
    stopped it. ``no_version``: no version of a workflow is active. ``no_agent``: none that is at work may take one of
    its steps. ``outage``: most calls to one of its systems were in trouble. ``plane``: the plane was down itself.
    """

    NONE = ""
    SILENT = "silent"
    SUSPENDED = "suspended"
    HALTED = "halted"
    DISABLED = "disabled"
    NO_VERSION = "no_version"
    NO_AGENT = "no_agent"
    OUTAGE = "outage"
    PLANE = "plane"


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen of one thing in one minute: no ``cause`` means that it was up."""

    thing: Thing
    slug: str
    unit: UUID
    since: datetime
    hours: OpenHours | None
    cause: Cause

    @property
    def condition(self) -> Condition:
        """Up without a cause."""
        return Condition.DOWN if self.cause else Condition.UP


def minute_before(now: datetime) -> datetime:
    """The beginning of the last minute that is over."""
    return now.replace(second=0, microsecond=0) - MINUTE


def is_service(hours: OpenHours | None, minute: datetime) -> bool:
    """Whether anything is asked of it then: within open hours, or always where there are none."""
    return hours is None or hours.is_open(minute)


def service_times(hours: OpenHours | None, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times within [start, end) that are service time, in order, in whole minutes."""
    if hours is None:
        if start < end:
            yield start, end
        return
    day = start.astimezone(hours.zone).date() - timedelta(days=1)
    while day <= end.astimezone(hours.zone).date():
        for begins, ends in hours.slots_of(day):
            if max(begins, start) < min(ends, end):
                yield max(begins, start), min(ends, end)
        day += timedelta(days=1)


def is_outage(calls: int, troubles: int, *, least: int, share: float) -> bool:
    """Whether so many calls in trouble of an hour's are an outage."""
    return troubles >= least and troubles >= share * calls
