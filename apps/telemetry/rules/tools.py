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
AFTER = timedelta(hours=1)
"""So long after a refusal a call of that name is held against it."""
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


class Despite(StrEnum):
    """Why an action of that name does not stand behind a call: nobody had allowed it when the call was made."""

    DENIED = "denied"
    REJECTED = "rejected"
    WAITING = "waiting"
    LAPSED = "lapsed"


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
    """A span of a call. ``named``: the action that it names itself (``by_word``), or below whose own span it stands."""

    key: UUID
    trace_id: str
    span_id: str
    tool: str
    started_at: datetime
    ended_at: datetime
    run_id: UUID | None = None
    named: UUID | None = None
    by_word: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An action: what the plane was asked, from when to when it was about it (None: still), and by which names.

    ``allowed_at``: since when it might be carried out; None where that was never so. ``withdrawn_at``: since when it
    might not any more (None: it still might, or was done). ``despite`` says why not.
    """

    key: UUID
    names: frozenset[str]
    run_id: UUID | None
    asked_at: datetime
    ended_at: datetime | None
    allowed_at: datetime | None
    withdrawn_at: datetime | None = None
    despite: Despite = Despite.WAITING

    def allows(self, call: CallSeen) -> bool:
        """Whether it was allowed when the call was made; who was allowed later had not waited."""
        is_over = self.withdrawn_at is not None and call.started_at > self.withdrawn_at + SLACK
        return self.allowed_at is not None and self.allowed_at - SLACK <= call.ended_at and not is_over


def plain(name: str) -> str:
    """A tool's or operation's name as frameworks spell it: ``bank.pay``, ``Bank-Pay`` and ``bank_pay`` are one."""
    return OTHER.sub("_", name.lower()).strip("_")


def tool_of(said: str, name: str) -> str:
    """The tool that a span tells of: its attribute, else its own name without the convention's verb."""
    return (said or name.removeprefix(EXECUTE).strip())[:120]


@dataclass(slots=True)
class Judged:
    """What came of judging: the action behind each governed call; the others are ungoverned, or repeats.

    ``despite``: of the ungoverned, those that an action of that name was refused for, or still waits, and which.
    """

    governed: dict[UUID, UUID] = field(default_factory=dict)
    ungoverned: list[UUID] = field(default_factory=list)
    repeats: list[UUID] = field(default_factory=list)
    despite: dict[UUID, tuple[UUID, Despite]] = field(default_factory=dict)


def judge(
    calls: Sequence[CallSeen],
    actions: Iterable[Asked],
    *,
    trees: Mapping[str, Mapping[str, str]],
    counted: Mapping[str, Seen],
) -> Judged:
    """Which action stands behind which call, one each: those that are named, then by name, run and time.

    What an action was asked for goes before what a span says of where it stands. A call before its action was allowed,
    or of one that never was, has none.

    ``trees``: trace -> span -> the span above it. ``counted``: trace -> (span, tool) that were judged before.
    """
    found = Judged()
    alone = _alone(calls, trees, counted)
    keys = {call.key for call in alone}
    found.repeats = [call.key for call in calls if call.key not in keys]
    actions = list(actions)
    free = {one.key: one for one in actions}
    by_name = _by_name(actions)
    alone.sort(key=lambda one: one.started_at)
    for way in (_named_alike, _named, _alike, _standing_in):
        for call in alone:
            if call.key not in found.governed and (action := way(call, free, by_name)) is not None:
                found.governed[call.key] = free.pop(action.key).key
    every = {one.key: one for one in actions}
    for call in alone:
        if call.key not in found.governed:
            found.ungoverned.append(call.key)
            if refused := _refused(call, every, by_name):
                found.despite[call.key] = (refused.key, refused.despite)
    return found


def _alone(
    calls: Sequence[CallSeen], trees: Mapping[str, Mapping[str, str]], counted: Mapping[str, Seen]
) -> list[CallSeen]:
    """Those that are no repeats: no span above tells of the same tool, and none below that was judged already."""
    told = defaultdict(set, {trace: set(before) for trace, before in counted.items()})
    wanted = defaultdict[str, set[tuple[str, str]]](set)
    for call in calls:
        told[call.trace_id].add((call.span_id, call.tool))
        wanted[call.trace_id].add((call.span_id, call.tool))
    over = {trace: _over(counted.get(trace, frozenset()), trees.get(trace, {}), of) for trace, of in wanted.items()}
    return [
        call
        for call in calls
        if (call.span_id, call.tool) not in over[call.trace_id]
        and not _is_below(call, told[call.trace_id], trees.get(call.trace_id, {}))
    ]


type ByName = Mapping[str, Sequence[Asked]]


def _by_name(actions: Iterable[Asked]) -> ByName:
    found = defaultdict[str, list[Asked]](list)
    for one in actions:
        for name in one.names:
            found[name].append(one)
    return found


def _of(call: CallSeen, free: Mapping[UUID, Asked]) -> Asked | None:
    action = free.get(call.named) if call.named else None
    return action if action is not None and action.allows(call) else None


def _named_alike(call: CallSeen, free: Mapping[UUID, Asked], by_name: ByName) -> Asked | None:
    """The action that it names or stands below, where the tool is called as that is: no sibling takes it first."""
    action = _of(call, free)
    return action if action is not None and plain(call.tool) in action.names else None


def _named(call: CallSeen, free: Mapping[UUID, Asked], by_name: ByName) -> Asked | None:
    """The action that it names itself, whatever the tool is called."""
    return _of(call, free) if call.by_word else None


def _alike(call: CallSeen, free: Mapping[UUID, Asked], by_name: ByName) -> Asked | None:
    """The nearest in time of those that are called so."""
    fitting = [
        one for one in by_name.get(plain(call.tool), ()) if one.key in free and one.allows(call) and _fits(one, call)
    ]
    return min(fitting, key=lambda one: _distance(one, call), default=None)


def _standing_in(call: CallSeen, free: Mapping[UUID, Asked], by_name: ByName) -> Asked | None:
    """The action below whose own span it stands, where nothing else is that action's call."""
    return _of(call, free)


def _refused(call: CallSeen, every: Mapping[UUID, Asked], by_name: ByName) -> Asked | None:
    """The action that was not allowed when the call was made: the one that it names, else the nearest of its name."""
    named = every.get(call.named) if call.named else None
    if named is not None:
        return None if named.allows(call) else named
    alike = [one for one in by_name.get(plain(call.tool), ()) if not one.allows(call) and _fits(one, call, after=AFTER)]
    return min(alike, key=lambda one: _distance(one, call), default=None)


def _distance(action: Asked, call: CallSeen) -> tuple[timedelta, UUID]:
    return abs(action.asked_at - call.started_at), action.key


def _fits(action: Asked, call: CallSeen, after: timedelta = SLACK) -> bool:
    """The same run where the call is known to be of one, and both at one time; the names are alike."""
    if call.run_id is not None and call.run_id != action.run_id:
        return False
    over = action.ended_at is not None and action.ended_at < call.started_at - after
    return not over and action.asked_at <= call.ended_at + SLACK


def _over(before: Seen, tree: Mapping[str, str], wanted: Seen) -> Seen:
    """Of the ``wanted`` those above spans that were judged already, with their tool: they tell of the same call."""
    tools = {tool for _span, tool in wanted}
    judged = ((span, tool) for span, tool in before if tool in tools)
    return {(higher, tool) for span, tool in judged for higher in above(span, tree) if (higher, tool) in wanted}


def _is_below(call: CallSeen, told: Seen, tree: Mapping[str, str]) -> bool:
    """Whether a span above tells of the same tool."""
    return any((span, call.tool) in told for span in above(call.span_id, tree))
