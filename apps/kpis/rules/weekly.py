"""One week of a workflow, looked back at: what people said no to, what asked them, what they changed, where it waited.

Pure: rows in, lines out. A line's rows are those whose ``counted_in`` names it, so that a number and the list behind it
cannot differ.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from apps.kpis.rules.quality import Share
from apps.kpis.rules.statistics import percentile, percentile_has_sample

FEW = 5
"""Below so many a line is marked: it may be chance."""
MOST_LINES = 10
MOST_ROWS = 20_000
"""So many decisions, and as many failed runs, are read of two weeks; of more the newest."""
FIRST_YEAR, LAST_YEAR = 1970, 9000
WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")
NO = frozenset({"rejected", "changes_requested"})
CONFIDENTIAL = "confidential"
UNKNOWN_FIELD = "/"
"""The field of an edit in simulated history, which tells that something was changed, and not what."""


class Part(StrEnum):
    """The parts of the page, in its order."""

    REASON = "reason"
    ASKED = "asked"
    FIELD = "field"
    QUEUE = "queue"
    STEP = "step"
    FAILURE = "failure"


class Source(StrEnum):
    """What a line leads to, where something can be changed."""

    RULE = "rule"
    STEP = "step"
    AGENT = "agent"
    QUEUE = "queue"
    FAILURE = "failure"
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """An item that ended in the week. ``fields``: what an edit changed; ``rule``: ``policy/rule``, if one asked."""

    id: UUID
    at: datetime
    outcome: str
    by_person: bool
    edited: bool
    latency_s: float
    rule: str = ""
    step: str = ""
    agent: str = ""
    operation: str = ""
    queue: str = ""
    reason_code: str = ""
    fields: tuple[str, ...] = ()
    simulated: bool = False

    @property
    def source(self) -> tuple[Source, str]:
        """What asked people: a rule, a step of the workflow, or an agent."""
        for source, name in ((Source.RULE, self.rule), (Source.STEP, self.step), (Source.AGENT, self.agent)):
            if name:
                return source, name
        return Source.NOTHING, ""

    def counted_in(self) -> list[tuple[Part, str]]:
        """The lines that count it, each once."""
        if not self.by_person:
            return [(Part.QUEUE, self.queue)] if self.outcome == "expired" and self.queue else []
        found = [(Part.ASKED, "/".join(self.source))]
        if self.outcome in NO:
            found.append((Part.REASON, self.reason_code or "none"))
        found += [(Part.FIELD, f"{self.operation}/{name}") for name in sorted(set(self.fields))]
        if self.simulated and self.edited and not self.fields:
            found.append((Part.FIELD, UNKNOWN_FIELD))
        found += [(part, name) for part, name in ((Part.QUEUE, self.queue), (Part.STEP, self.step)) if name]
        return found


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that failed in the week."""

    id: UUID
    at: datetime
    step: str
    code: str
    simulated: bool = False

    def counted_in(self) -> list[tuple[Part, str]]:
        """The one line that counts it."""
        return [(Part.FAILURE, f"{self.step}/{self.code}")]


type Row = Decided | Failed


@dataclass(frozen=True, slots=True)
class Line:
    """So many in the week and in the one before. ``as_asked``: how many of them people approved unchanged.

    ``median_s``, ``p90_s``: how long they waited (p90 of ten or more); ``source``: where it can be changed.
    """

    part: Part
    key: str
    n: int
    before: int
    as_asked: int
    expired: int
    median_s: float | None
    p90_s: float | None
    median_before_s: float | None
    source: tuple[Source, str]

    @property
    def is_few(self) -> bool:
        """Whether it may be chance."""
        return self.n < FEW

    @property
    def more(self) -> int:
        """How many more than in the week before."""
        return self.n - self.before

    @property
    def unchanged(self) -> Share:
        """How many were approved exactly as asked."""
        return Share(self.as_asked, self.n)

    @property
    def asks_too_much(self) -> bool:
        """Whether what asked could let more pass, as far as one week says."""
        return not self.is_few and self.as_asked == self.n and self.source[0] == Source.RULE

    @property
    def policy(self) -> str:
        """The slug of the policy whose rule it leads to."""
        return self.source[1].partition("/")[0]

    @property
    def names(self) -> tuple[str, str]:
        """The two parts of a key with a stroke: ``operation/field``, ``step/code``, ``rule/policy/name``."""
        first, _stroke, rest = self.key.partition("/")
        return first, rest


@dataclass(frozen=True, slots=True)
class WeekReview:
    """The lines of each part, the most telling first. ``is_cut``: there were more rows than were read."""

    lines: dict[Part, list[Line]]
    is_cut: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted at all."""
        return not any(self.lines.values())


def first_day_of(week: str) -> date | None:
    """The Monday of an ISO week such as ``2026-W48``; None where there is none."""
    found = WEEK.fullmatch(week)
    if found is None or not FIRST_YEAR < int(found[1]) < LAST_YEAR:
        return None
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:
        return None


def week_of(day: date) -> str:
    """The ISO week in which a day lies."""
    year, week, _weekday = day.isocalendar()
    return f"{year}-W{week:02}"


def weeks_around(monday: date) -> tuple[str, str]:
    """The week before and the week after."""
    return week_of(monday - timedelta(days=7)), week_of(monday + timedelta(days=7))


def review_of(now: Iterable[Row], before: Iterable[Row]) -> WeekReview:
    """The lines of a week beside the one before; at most ``MOST_LINES`` a part."""
    rows, earlier = _by_line(now), _by_line(before)
    lines: dict[Part, list[Line]] = {part: [] for part in Part}
    for (part, key), found in rows.items():
        lines[part].append(_line(part, key, found, earlier.get((part, key), [])))
    return WeekReview({part: sorted(found, key=_telling)[:MOST_LINES] for part, found in lines.items()})


def line_of(now: Iterable[Row], before: Iterable[Row], part: Part, key: str) -> Line | None:
    """One line of a week, be it among the first of its part or not; None where it counts nothing."""
    found = behind_line(now, part, key)
    return _line(part, key, found, behind_line(before, part, key)) if found else None


def behind_line(rows: Iterable[Row], part: Part, key: str) -> list[Row]:
    """Exactly the rows that a line counts."""
    return [row for row in rows if (part, key) in row.counted_in()]


def _by_line(rows: Iterable[Row]) -> dict[tuple[Part, str], list[Row]]:
    found: dict[tuple[Part, str], list[Row]] = {}
    for row in rows:
        for line in row.counted_in():
            found.setdefault(line, []).append(row)
    return found


def _telling(line: Line) -> tuple[float, int, str]:
    """Waits by how long, all else by how many."""
    by_time = line.part in {Part.QUEUE, Part.STEP}
    return (-(line.median_s or 0.0) if by_time else 0.0, -line.n, line.key)


def _line(part: Part, key: str, rows: Sequence[Row], earlier: Sequence[Row]) -> Line:
    decided = [row for row in rows if isinstance(row, Decided)]
    waits = _waits(rows)
    return Line(
        part=part,
        key=key,
        n=len(rows),
        before=len(earlier),
        as_asked=sum(row.outcome == "approved" and not row.edited for row in decided),
        expired=sum(row.outcome == "expired" for row in decided),
        median_s=percentile(waits, 0.5),
        p90_s=percentile(waits, 0.9) if percentile_has_sample(0.9, len(waits)) else None,
        median_before_s=percentile(_waits(earlier), 0.5),
        source=_source(part, key, decided),
    )


def _waits(rows: Sequence[Row]) -> list[float]:
    return [row.latency_s for row in rows if isinstance(row, Decided) and row.by_person]


def _source(part: Part, key: str, rows: Sequence[Decided]) -> tuple[Source, str]:
    """Where what a line counts can be changed: for reasons and fields, at what asked most often."""
    match part:
        case Part.QUEUE:
            return Source.QUEUE, key
        case Part.STEP:
            return Source.STEP, key
        case Part.FAILURE:
            return Source.FAILURE, key.partition("/")[0]
        case Part.FIELD:
            found = Counter((Source.AGENT, row.agent) for row in rows if row.agent)
        case _:
            found = Counter(row.source for row in rows)
    source, name = min(found, key=lambda one: (-found[one], one)) if found else (Source.NOTHING, "")
    policy, _stroke, rule = name.partition("/")
    invented = source == Source.RULE and not rule  # a simulated one is of no policy
    return (Source.NOTHING, "") if policy == CONFIDENTIAL or invented else (source, name)
