"""What changed in a period, beside its figures: as marks on charts, and in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from apps.kpis.rules.buckets import Bucket

HOUR = timedelta(hours=1)
MARKS = 20
"""More marks than this hide the chart that they stand on."""
OUTAGE_CALLS = 5
"""Fewer calls in trouble within an hour are no outage."""
OUTAGE_SHARE = 0.5
"""So many of an hour's calls in trouble are one."""


class ChangeKind(StrEnum):
    """What sort of thing changed."""

    VERSION = "version"
    POLICY = "policy"
    HALT = "halt"
    OUTAGE = "outage"
    PRICE = "price"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that changed at ``at``; ``until``: when it was over, where it lasts. ``why``: people's own words."""

    kind: ChangeKind
    at: datetime
    text: str
    until: datetime | None = None
    why: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What changed within one bucket of a chart. ``number`` counts the marks in order of time."""

    number: int
    label: str
    changes: tuple[Change, ...]

    @property
    def words(self) -> str:
        """All of it in one line."""
        return "; ".join(change.text for change in self.changes)


def marks_of(buckets: Sequence[Bucket], changes: Iterable[Change]) -> list[Mark]:
    """The newest ``MARKS`` buckets in which something changed; what began before all of them stands at the first."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        at = max(change.at, buckets[0].start) if buckets else change.at
        if label := next((bucket.label for bucket in buckets if bucket.start <= at < bucket.end), ""):
            found.setdefault(label, []).append(change)
    shown = [bucket.label for bucket in buckets if bucket.label in found][-MARKS:]
    return [Mark(number, label, tuple(found[label])) for number, label in enumerate(shown, start=1)]


@dataclass(frozen=True, slots=True)
class CallHour:
    """One hour of calls to one system."""

    system: str
    at: datetime
    calls: int
    troubles: int


@dataclass(frozen=True, slots=True)
class Outage:
    """Adjoining hours in which most calls to a system were in trouble."""

    system: str
    at: datetime
    until: datetime
    calls: int
    troubles: int


def outages_of(hours: Iterable[CallHour]) -> list[Outage]:
    """The outages that hours of calls show; ``hours`` in the order of system and time."""
    found: list[Outage] = []
    for hour in hours:
        if hour.troubles < OUTAGE_CALLS or hour.troubles < OUTAGE_SHARE * hour.calls:
            continue
        last = found[-1] if found else None
        if last is not None and last.system == hour.system and last.until == hour.at:
            calls, troubles = last.calls + hour.calls, last.troubles + hour.troubles
            found[-1] = Outage(last.system, last.at, hour.at + HOUR, calls, troubles)
        else:
            found.append(Outage(hour.system, hour.at, hour.at + HOUR, hour.calls, hour.troubles))
    return found
