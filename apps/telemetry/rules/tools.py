"""Calls of tools that agents tell of, and whether the plane was asked about them (docs/spans.md)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from apps.core.statistics import wilson_interval
from apps.telemetry.rules.trees import above

EXECUTE = "execute_tool"
SLACK = timedelta(minutes=2)
"""How far the clock of an agent may be off."""
OTHER = re.compile(r"[^a-z0-9]+")

type Seen = Set[tuple[str, str]]
"""Spans of one trace with the tools that they tell of."""


class ToolCall(StrEnum):
    """What is known of a call: nothing yet, that an action stands behind it, that none does, or that it is no other.

    ``repeat``: a span above or below it tells of the same call, so that it counts once.
    """

    OPEN = "open"
    GOVERNED = "governed"
    UNGOVERNED = "ungoverned"
    REPEAT = "repeat"


class FindingState(StrEnum):
    """Of a tool that an agent used without asking: whether somebody still has to look."""

    OPEN = "open"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the calls of tools that were seen, how many the plane was asked about. ``dismissed`` are none of them."""

    governed: int = 0
    ungoverned: int = 0
    dismissed: int = 0

    @property
    def seen(self) -> int:
        """All calls; those of dismissed tools too: that they are harmless does not mean that they were asked for."""
        return self.governed + self.ungoverned

    @property
    def value(self) -> float | None:
        """From 0 to 1; None where nothing was seen."""
        return self.governed / self.seen if self.seen else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson interval; None where nothing was seen."""
        return wilson_interval(self.governed, self.seen)


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A span of a call. ``named``: the action that it names itself, or below whose own span it stands."""

    key: UUID
    trace_id: str
    span_id: str
    tool: str
    started_at: datetime
    ended_at: datetime
    run_id: UUID | None = None
    named: UUID | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An action: what the plane was asked, from when to when it was about it (None: still), and by which names."""

    key: UUID
    names: frozenset[str]
    run_id: UUID | None
    asked_at: datetime
    ended_at: datetime | None


def plain(name: str) -> str:
    """A tool's or operation's name as frameworks spell it: ``bank.pay``, ``Bank-Pay`` and ``bank_pay`` are one."""
    return OTHER.sub("_", name.lower()).strip("_")


def tool_of(said: str, name: str) -> str:
    """The tool that a span tells of: its attribute, else its own name without the convention's verb."""
    return (said or name.removeprefix(EXECUTE).strip())[:120]


@dataclass(slots=True)
class Judged:
    """What came of judging: the action behind each governed call; the others are ungoverned, or repeats."""

    governed: dict[UUID, UUID] = field(default_factory=dict)
    ungoverned: list[UUID] = field(default_factory=list)
    repeats: list[UUID] = field(default_factory=list)


def judge(
    calls: Sequence[CallSeen],
    actions: Iterable[Asked],
    *,
    trees: Mapping[str, Mapping[str, str]],
    counted: Mapping[str, Seen],
) -> Judged:
    """Which action stands behind which call, one each: first those that are named, then by name, run and time.

    ``trees``: trace -> span -> the span above it. ``counted``: trace -> (span, tool) that were judged before.
    """
    found = Judged()
    told = defaultdict[str, set[tuple[str, str]]](set)
    for call in calls:
        told[call.trace_id].add((call.span_id, call.tool))
    alone = [
        call
        for call in calls
        if not _is_repeat(
            call, told[call.trace_id], counted.get(call.trace_id, frozenset()), trees.get(call.trace_id, {})
        )
    ]
    keys = {call.key for call in alone}
    found.repeats = [call.key for call in calls if call.key not in keys]
    free = {one.key: one for one in actions}
    for call in alone:
        if call.named in free and call.named is not None:
            found.governed[call.key] = free.pop(call.named).key
    by_name = defaultdict[str, list[Asked]](list)
    for one in free.values():
        for name in one.names:
            by_name[name].append(one)
    for call in sorted(alone, key=lambda one: one.started_at):
        if call.key not in found.governed:
            _judge_one(call, by_name[plain(call.tool)], free, found)
    return found


def _judge_one(call: CallSeen, named_so: Iterable[Asked], free: dict[UUID, Asked], found: Judged) -> None:
    fitting = [one for one in named_so if one.key in free and _fits(one, call)]
    if fitting:
        nearest = min(fitting, key=lambda one: (abs(one.asked_at - call.started_at), one.key))
        found.governed[call.key] = free.pop(nearest.key).key
    else:
        found.ungoverned.append(call.key)


def _fits(action: Asked, call: CallSeen) -> bool:
    """The same run where the call is known to be of one, and both at one time; the names are alike."""
    if call.run_id is not None and call.run_id != action.run_id:
        return False
    over = action.ended_at is not None and action.ended_at < call.started_at - SLACK
    return not over and action.asked_at <= call.ended_at + SLACK


def _is_repeat(call: CallSeen, told: Seen, before: Seen, tree: Mapping[str, str]) -> bool:
    """Whether a span above tells of the same tool, or one below that was judged already."""
    if any((span, call.tool) in told or (span, call.tool) in before for span in above(call.span_id, tree)):
        return True
    below = (span for span, tool in before if tool == call.tool and span != call.span_id)
    return any(call.span_id in above(span, tree) for span in below)
