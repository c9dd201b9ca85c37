"""What a question about KPIs is limited to, and how it is said in a query string."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from apps.kpis.rules.buckets import (
    DAY,
    BucketSize,
    Period,
    RangeName,
    fits,
    is_whole_days,
    local_day,
    local_midnight,
    named_period,
    size_for,
)

MAX_YEARS = 20
PARTS = {"error": 3_000, "step": 63, "reason": 120, "hour": 4, "operation": 120, "capability": 63}
"""The sorts of parts that a list can be limited to, and how long their names are at most.

One of errors may be all classes but those that it names.
"""
HOUR = re.compile(r"[1-7]-(?:[01][0-9]|2[0-3])")
"""A day of the week, Monday 1, and an hour of its clock."""


class Compare(StrEnum):
    """What figures are held against."""

    BASELINE = "baseline"
    PREVIOUS = "previous"
    NONE = "none"


class FilterProblem(ValueError):  # noqa: N818 - a finding about a query, translated at the doors
    """A part of the query that does not fit; ``field`` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiFilter:
    """One question: which runs, from when until when, in which zone and buckets.

    ``part``: one part of a figure, by its sort and its name; lists alone know it.
    """

    period: Period
    zone: ZoneInfo
    size: BucketSize
    workflow: str = ""
    unit: str = ""
    agent: str = ""
    version: int | None = None
    agent_version: int | None = None
    operation: str = ""
    compare: Compare = Compare.BASELINE
    simulated: bool = False
    part: tuple[str, str] | None = None

    def within(self, period: Period) -> "KpiFilter":
        """The same question about another period."""
        return replace(self, period=period)

    def of_workflow(self, workflow: str) -> "KpiFilter":
        """The same question about one workflow."""
        return replace(self, workflow=workflow)

    @property
    def described(self) -> dict[str, str | int | bool]:
        """The filter as the API prints it: only what limits."""
        names = ("workflow", "unit", "agent", "version", "agent_version", "operation")
        named: dict[str, str | int | None] = {name: getattr(self, name) for name in names}
        limits: dict[str, str | int | bool] = {name: value for name, value in named.items() if value}
        limits |= dict([self.part]) if self.part else {}
        ends: dict[str, str | int | bool] = {"from": self.period.start.isoformat(), "to": self.period.end.isoformat()}
        rest: dict[str, str | int | bool] = {
            "bucket": str(self.size),
            "compare": str(self.compare),
            "simulated": self.simulated,
        }
        return {**limits, **ends, **rest}

    @property
    def query(self) -> str:
        """A query string that asks exactly this question; local dates where the ends are local midnights."""
        return _query_of(self)


@lru_cache(maxsize=1024)
def _query_of(filtered: KpiFilter) -> str:
    """Many links of one page ask the same question."""
    asked = {name: _plain(value) for name, value in filtered.described.items()}
    if is_whole_days(filtered.period, filtered.zone):
        asked["from"] = local_day(filtered.period.start, filtered.zone).isoformat()
        asked["to"] = local_day(filtered.period.end, filtered.zone).isoformat()
    return urlencode({**asked, "tz": filtered.zone.key})


def _plain(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def filter_of(
    query: Mapping[str, str],
    *,
    now: datetime,
    zone: ZoneInfo,
    simulated: bool = False,
    days: RangeName = RangeName.DAYS_30,
) -> KpiFilter:
    """The question that a query string asks. Raises FilterProblem.

    ``from`` is included, ``to`` is not; both may be dates (local midnights) or RFC 3339 instants. ``range`` names a
    period that ends today.
    """
    zone = _zone(query["tz"]) if query.get("tz") else zone
    period = _period(query, now, zone, days)
    size = _choice(query, "bucket", BucketSize) if query.get("bucket") else size_for(period)
    if not fits(period, size):
        raise FilterProblem("bucket", "More than 400 points: ask for a larger bucket or a shorter period.")
    return KpiFilter(
        period=period,
        zone=zone,
        size=size,
        workflow=query.get("workflow", ""),
        unit=query.get("unit", ""),
        agent=query.get("agent", ""),
        version=number_in(query, "version"),
        agent_version=_agent_version(query),
        operation=query.get("operation", ""),
        compare=_choice(query, "compare", Compare) if query.get("compare") else Compare.BASELINE,
        simulated=_flag(query, "simulated", simulated),
        part=_part(query),
    )


def _part(query: Mapping[str, str]) -> tuple[str, str] | None:
    found = [(name, query[name]) for name in PARTS if query.get(name)]
    if not found:
        return None
    if len(found) > 1:
        raise FilterProblem(found[1][0], "One part at a time.")
    name, value = found[0]
    if name == "hour" and not HOUR.fullmatch(value):
        raise FilterProblem(name, "A day of the week, 1 is Monday, and an hour of its clock, such as 1-09.")
    if not (value.isprintable() and len(value) <= PARTS[name]):
        raise FilterProblem(name, f"At most {PARTS[name]} printable characters.")
    return name, value


def _agent_version(query: Mapping[str, str]) -> int | None:
    number = number_in(query, "agent_version")
    if number is not None and not query.get("agent"):
        raise FilterProblem("agent_version", "Name the agent, too.")
    return number


def _period(query: Mapping[str, str], now: datetime, zone: ZoneInfo, days: RangeName) -> Period:
    if not (query.get("from") or query.get("to")):
        name = _choice(query, "range", RangeName) if query.get("range") else days
        return named_period(name if name != RangeName.CUSTOM else days, now, zone)
    fallback = named_period(days, now, zone)
    end = _instant(query["to"], "to", zone) if query.get("to") else fallback.end
    start = _instant(query["from"], "from", zone) if query.get("from") else end - fallback.length
    if not query.get("from") and len(query["to"]) == len("2026-01-01"):
        length = local_day(fallback.end, zone) - local_day(fallback.start, zone)  # in days: clocks may change between
        start = local_midnight(local_day(end, zone) - max(length, DAY), zone)
    if start >= end:
        raise FilterProblem("to", "The end is not included, so it has to lie after the start.")
    if (end - start).days > 366 * MAX_YEARS:
        raise FilterProblem("from", f"At most {MAX_YEARS} years.")
    return Period(start, end)


def _instant(text: str, field: str, zone: ZoneInfo) -> datetime:
    try:
        if len(text) == len("2026-01-01"):
            return local_midnight(_sane(date.fromisoformat(text)), zone)
        found = datetime.fromisoformat(text.replace(" ", "+"))
        _sane(found.date())
    except (ValueError, OverflowError) as error:
        raise FilterProblem(field, "A date such as 2026-01-31, or an instant such as 2026-01-31T12:00:00Z.") from error
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _sane(day: date) -> date:
    if not date(1970, 1, 2) <= day <= date(9000, 1, 1):
        raise ValueError(day)
    return day


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise FilterProblem("tz", "A zone such as Europe/Berlin.") from error


def _choice[E: StrEnum](query: Mapping[str, str], field: str, choices: type[E]) -> E:
    try:
        return choices(query[field])
    except ValueError as error:
        raise FilterProblem(field, f"One of {', '.join(choices)}.") from error


def number_in(query: Mapping[str, str], field: str) -> int | None:
    """A version's number in a query, None where there is none. Raises FilterProblem."""
    text = query.get(field, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 2**31):
        raise FilterProblem(field, "A version's number.")
    return int(text[:10])


def _flag(query: Mapping[str, str], field: str, default: bool) -> bool:
    text = query.get(field, "")
    if text not in {"", "true", "false"}:
        raise FilterProblem(field, "true or false.")
    return text == "true" if text else default


def answered_by_rollups(asked: KpiFilter, periods: Sequence[Period], reporting: ZoneInfo) -> bool:
    """Whether rollups can answer: whole days of the reporting zone, and no agent asked for."""
    return not asked.agent and all(is_whole_days(one, reporting) for one in periods)
