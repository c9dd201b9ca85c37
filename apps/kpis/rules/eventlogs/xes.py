"""Event logs as XES (IEEE 1849). Read in one pass by expat; what declares a document type or entities is refused."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn
from xml.parsers import expat

from apps.kpis.rules.eventlogs.clocks import Clock, written_number
from apps.kpis.rules.eventlogs.events import MAX_EVENTS, Event, LogError, name_of
from apps.kpis.rules.eventlogs.lifecycles import Moment, Places, paired

VALUES = frozenset({"string", "date", "float", "int"})
MAX_DEPTH = 32
WANTED = {
    "concept:name": "name",
    "time:timestamp": "time",
    "org:resource": "resource",
    "org:group": "group",
    "lifecycle:transition": "transition",
    "cost:total": "total",
    "cost:currency": "currency",
}


@dataclass(slots=True)
class _Raw(Moment):
    """An event as it stands: whose group did it, where nobody is named, and what it cost."""

    group: str = ""
    total: str = ""
    currency: str = ""


class _Reader:
    """What expat calls. Attributes count where they stand directly below an event or a trace, not inside others.

    ``money``: the only currency in which costs are taken; empty: any.
    """

    def __init__(self, money: str) -> None:
        self.money = money
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.path: list[str] = []
        self.case = ""
        self.trace_line = 0
        self.waiting: list[Moment] = []
        self.events: list[Moment] = []
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
                self.current.resource = self.current.resource or self.current.group
                self.current.cost = self._cost(self.current)
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

    def _cost(self, raw: _Raw) -> Decimal | None:
        if raw.total and self.money and raw.currency not in {"", self.money}:
            said = f"The cost is in {raw.currency[:40]}, and costs are counted in {self.money}:"
            raise LogError(f"{said} convert it, or leave it out.", raw.line, "cost:currency")
        return written_number(raw.total, ".", raw.line, "cost:total")


def read_xes(parts: Iterable[bytes], clock: Clock, money: str = "") -> Iterator[Event]:
    """The events of an XES document, in its order; see ``paired``. Raises LogError.

    Costs of events (``cost:total``) count in the currency ``money``; one that names another is a fault.
    """
    reader = _Reader(money)
    for part in parts:
        reader.feed(part)
    reader.feed(b"", is_last=True)
    yield from paired(reader.events, clock, Places())
