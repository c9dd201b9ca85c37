"""Event logs as XES (IEEE 1849). Read in one pass by expat; what declares a document type or entities is refused."""

import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn
from xml.parsers import expat
from zoneinfo import ZoneInfo

from apps.kpis.rules.eventlogs.events import MAX_EVENTS, Clock, Event, LogError, name_of

STANDARD = frozenset({
    "schedule", "assign", "reassign", "withdraw", "start", "suspend", "resume", "complete", "autoskip", "manualskip",
    "ate_abort", "pi_abort", "unknown",
})  # fmt: skip
"""The transitions of the standard's life cycle; all but start and complete are no rows."""
VALUES = frozenset({"string", "date"})
MAX_DEPTH = 32
WANTED = {
    "concept:name": "name",
    "time:timestamp": "time",
    "org:resource": "resource",
    "lifecycle:transition": "transition",
}


@dataclass(slots=True)
class _Raw:
    """An event as it stands in the file; None where it says nothing."""

    line: int
    case: str = ""
    name: str = ""
    time: str | None = None
    resource: str = ""
    transition: str = ""


class _Reader:
    """What expat calls. Attributes count where they stand directly below an event or a trace, not inside others."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.path: list[str] = []
        self.case = ""
        self.trace_line = 0
        self.waiting: list[_Raw] = []
        self.events: list[_Raw] = []
        self.current: _Raw | None = None

    def feed(self, part: bytes, *, is_last: bool = False) -> None:
        try:
            self.parser.Parse(part, is_last)
        except expat.ExpatError as error:
            words = expat.errors.messages[error.code]
            raise LogError(f"This is no XML: {words}.", error.lineno, error.offset + 1) from None

    def _place(self) -> tuple[int, int]:
        return self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1

    def _refuse(self, *_: object) -> NoReturn:
        raise LogError("An event log declares no document type and no entities.", *self._place())

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if len(self.path) >= MAX_DEPTH:
            raise LogError(f"It nests more than {MAX_DEPTH} levels deep.", *self._place())
        if not self.path and tag != "log":
            raise LogError(f"An event log begins with <log>, this with <{tag[:40]}>.", *self._place())
        self.path.append(tag)
        match self.path:
            case ["log", "trace"]:
                self.case, self.trace_line, self.waiting = "", self.parser.CurrentLineNumber, []
            case ["log", "trace", "event"]:
                self.current = _Raw(self.parser.CurrentLineNumber)
            case ["log", "trace", kind] if kind in VALUES and attributes.get("key") == "concept:name":
                self.case = name_of(attributes.get("value", ""), "case", *self._place())
            case ["log", "trace", "event", kind] if kind in VALUES and self.current is not None:
                if (wanted := WANTED.get(attributes.get("key", ""))) is not None:
                    setattr(self.current, wanted, sys.intern(attributes.get("value", "")))

    def _end(self, tag: str) -> None:
        match self.path:
            case ["log", "trace", "event"] if self.current is not None:
                self.waiting.append(self.current)
                if len(self.events) + len(self.waiting) > 2 * MAX_EVENTS:
                    raise LogError(f"The log has more than {MAX_EVENTS:,} events: import it in parts.")
                self.current = None
            case ["log", "trace"]:
                if self.waiting and not self.case:
                    raise LogError("The trace has no concept:name: which case is it?", self.trace_line)
                for raw in self.waiting:
                    raw.case = self.case
                self.events += self.waiting
                self.waiting = []
        self.path.pop()


def read_xes(parts: Iterable[bytes], zone: ZoneInfo) -> Iterator[Event]:
    """The events of an XES document, in its order. Raises LogError.

    ``start`` opens, ``complete`` closes the oldest open start of the same activity in the case; a complete without one
    starts when it completes, a start without complete is no row. Where any transition is none of the standard's,
    each event is a row of the activity ``name/transition``.
    """
    reader = _Reader()
    for part in parts:
        reader.feed(part)
    reader.feed(b"", is_last=True)
    clock = Clock(zone)
    transitions = {raw.transition.lower() for raw in reader.events}
    if transitions - STANDARD - {""}:
        yield from (_row(raw, clock, with_transition=True) for raw in reader.events)
        return
    open_starts: dict[tuple[str, str], deque[Event]] = defaultdict(deque)
    for raw in reader.events:
        transition = raw.transition.lower()
        if transition not in {"", "start", "complete"}:
            continue
        event = _row(raw, clock)
        opened = open_starts[event.case, event.activity]
        if transition == "start":
            opened.append(event)
        elif transition == "complete" and opened:
            began = opened.popleft()
            if began.start > event.complete:
                raise LogError(f"{event.activity!r} ends before it starts.", raw.line)
            yield event._replace(start=began.start, resource=event.resource or began.resource)
        else:
            yield event


def _row(raw: _Raw, clock: Clock, *, with_transition: bool = False) -> Event:
    activity = name_of(raw.name, "activity", raw.line, "concept:name")
    if not activity:
        raise LogError("The event has no concept:name: what happened?", raw.line)
    if with_transition and (transition := raw.transition.strip()):
        activity = name_of(f"{activity}/{transition}", "activity", raw.line, "lifecycle:transition")
    if raw.time is None:
        raise LogError("The event has no time:timestamp: when did it happen?", raw.line)
    at = clock.instant(raw.time, raw.line, "time:timestamp")
    resource = name_of(raw.resource, "resource", raw.line, "org:resource")
    return Event(raw.case, activity, at, at, resource)
