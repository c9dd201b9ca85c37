"""Event logs as XES (IEEE 1849). Read in one pass by expat; what declares a document type or entities is refused."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn
from xml.parsers import expat

from apps.kpis.rules.eventlogs.attributes import Attributes
from apps.kpis.rules.eventlogs.clocks import Clock, written_number
from apps.kpis.rules.eventlogs.events import MAX_EVENTS, Event, LogError, Sample, name_of
from apps.kpis.rules.eventlogs.lifecycles import Moment, Places, paired

VALUES = frozenset({"string", "date", "float", "int"})
TOLD = VALUES | {"boolean", "id"}
"""Of what a trace says of itself."""
MAX_DEPTH = 32
READING = 2
"""Grows when more is read of the same file than before: what was imported is then read anew."""
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
    """An event as it stands, with what it says of its cost. ``money``: the only currency that counts; empty: any."""

    money: str = ""
    total: str = ""
    currency: str = ""

    def amount(self) -> Decimal | None:
        """As it is read, which is done only where it counts: tools write costs beside rows that are no events."""
        if self.total.strip().lower() == "nan":  # what some write for none at all
            return None
        found = written_number(self.total, ".", self.line, "cost:total")
        currency = self.currency.strip()
        if found and self.money and currency not in {"", self.money}:  # nothing is nothing in each currency
            said = f"The cost is in {currency[:40]}, and costs are counted in {self.money}:"
            raise LogError(f"{said} convert it, or leave it out.", self.line, "cost:currency")
        return found


class _Reader:
    """What expat calls. Attributes count where they stand directly below an event or a trace, not inside others.

    ``money``: the only currency in which costs are taken; empty: any. ``told`` hears what traces say of themselves.
    """

    def __init__(self, money: str, told: Attributes) -> None:
        self.money, self.told = money, told
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.path: list[str] = []
        self.case = ""
        self.trace_line = 0
        self.said: list[tuple[str, str, int, int]] = []
        self.waiting: list[Moment] = []
        self.events: list[Moment] = []
        self.current: _Raw | None = None

    def cut(self) -> None:
        """No more is read: what was read of a trace that goes on counts too."""
        for raw in self.waiting:
            raw.case = self.case
        self.events += self.waiting

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
                self.case, self.trace_line, self.waiting, self.said = "", self.parser.CurrentLineNumber, [], []
            case ["log", "trace", "event"]:
                self.current = _Raw(self.parser.CurrentLineNumber, money=self.money)
            case ["log", "trace", kind] if kind in TOLD:
                self._hear(attributes.get("key", ""), attributes.get("value", ""))
            case ["log", "trace", "event", kind] if kind in VALUES and self.current is not None:
                if (wanted := WANTED.get(attributes.get("key", ""))) is not None:
                    setattr(self.current, wanted, sys.intern(attributes.get("value", "")))

    def _hear(self, name: str, value: str) -> None:
        """What a trace says of itself; of which case that is, only its end knows for certain."""
        if name == "concept:name":
            self.case = name_of(value, "case", *self._place())
            return
        self.told.see(name, value)
        if name in self.told.names:
            self.said.append((name, value, *self._place()))

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
                for name, value, line, column in self.said if self.case else ():
                    self.told.say(self.case, name, value, line, column)
                self.events += self.waiting
                self.waiting = []
        self.path.pop()


def read_xes(
    parts: Iterable[bytes], clock: Clock, money: str, told: Attributes, *, sample: Sample | None = None
) -> Iterator[Event]:
    """The events of an XES document, in its order; see ``paired``. ``told`` hears of its traces. Raises LogError.

    ``sample``: how much of it is enough; None: all.

    Costs of events (``cost:total``) count in the currency ``money``; one that names another is a fault, 0 and NaN are
    none.
    """
    reader, size = _Reader(money, told), 0
    for part in parts:
        if sample and (len(reader.events) + len(reader.waiting) >= sample.rows or size >= sample.size):
            sample.is_cut = True
            reader.cut()
            break
        reader.feed(part)
        size += len(part)
    else:
        reader.feed(b"", is_last=True)
        for name in told.names:
            if name not in told.seen:
                raise LogError(f"No trace says anything of {name[:40]!r}.")
    yield from paired(reader.events, clock, Places())
