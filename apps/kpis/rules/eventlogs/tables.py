"""Event logs as CSV: one row is one event, or one moment of it."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal

from apps.kpis.rules.eventlogs.attributes import Attributes
from apps.kpis.rules.eventlogs.clocks import Clock, Spelling, written_number
from apps.kpis.rules.eventlogs.events import MAX_EVENTS, Event, LogError, name_of
from apps.kpis.rules.eventlogs.lifecycles import Moment, Places, event_of, paired

DELIMITERS = (",", ";", "\t", "|")
MAX_FIELD = 100_000
"""Characters of one cell: a quote that is never closed ends here, not at the end of the file."""
MAX_COLUMNS = 500
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column says what; empty says that none does.

    ``start`` and ``resource`` may be missing: then start is complete, and nobody did it. With ``lifecycle`` a row is a
    moment, ``complete`` is its time, and what it says pairs them as in XES. ``cost`` is in the reporting currency.
    """

    case: str = "case_id"
    activity: str = "activity"
    start: str = "start"
    complete: str = "complete"
    resource: str = "resource"
    lifecycle: str = ""
    cost: str = ""


OPTIONAL = frozenset({"start", "resource", "lifecycle", "cost"})


class Table:
    """A CSV whose first line was read: the names of its columns, and its rows with their lines. Raises LogError."""

    def __init__(self, lines: Iterable[str], delimiter: str = "") -> None:
        source = iter(lines)
        self.header, self.delimiter = _header(next(source, ""), delimiter)
        self._rows = csv.reader(source, delimiter=self.delimiter, strict=True)

    def __iter__(self) -> Iterator[tuple[int, Sequence[str]]]:
        csv.field_size_limit(MAX_FIELD)
        try:
            for row in self._rows:
                if row:
                    yield self._rows.line_num + 1, row
        except csv.Error as error:
            raise LogError(f"This is no CSV: {error}.", self._rows.line_num + 1) from None


def read_table(
    lines: Iterable[str], columns: Columns, clock: Clock, spelling: Spelling, attributes: Attributes
) -> Iterator[Event]:
    """The events of a CSV, in the order of its lines; what it says of cases, to ``attributes``. Raises LogError."""
    table = Table(lines, spelling.delimiter)
    reader = RowReader(table.header, columns, clock, spelling, attributes)
    if columns.lifecycle:
        moments = []
        for line, row in table:
            moments.append(reader.moment(line, row))
            if len(moments) > 2 * MAX_EVENTS:
                raise LogError(f"The log has more than {MAX_EVENTS:,} events: import it in parts.")
        yield from paired(moments, clock, reader.names)
        return
    for line, row in table:
        yield reader.event(line, row)


def _header(line: str, delimiter: str) -> tuple[Sequence[str], str]:
    """The names of the columns and what separates them: whatever separates most of the first line."""
    if not line.strip():
        raise LogError("The first line is empty; it names the columns.", 1)
    delimiter = delimiter or max(DELIMITERS, key=line.count)
    try:
        header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise LogError(f"The first line is no CSV: {error}.", 1) from None
    if len(header) > MAX_COLUMNS:
        raise LogError(f"It has {len(header):,} columns, and at most {MAX_COLUMNS} are read.", 1)
    for place, name in enumerate(header, start=1):
        if name and header.index(name) != place - 1:
            raise LogError(f"Two columns are named {name!r}.", 1, place)
    return header, delimiter


def _places(header: Sequence[str], columns: Columns) -> Mapping[str, int]:
    places = {}
    for part in fields(columns):
        wanted = getattr(columns, part.name)
        if not wanted and part.name in OPTIONAL:
            continue
        if wanted and wanted in header:
            places[part.name] = header.index(wanted)
        elif part.name not in OPTIONAL or wanted != part.default:
            raise _missing(header, wanted, f" for the {part.name}")
    return places


def _missing(header: Sequence[str], wanted: str, what: str = "") -> LogError:
    found = ", ".join(header[:SHOWN]) + (", ..." if len(header) > SHOWN else "")
    return LogError(f"There is no column {wanted!r}{what}; there are {found}.", 1)


class RowReader:
    """Reads rows of a table with this header. Raises LogError where a column is missing."""

    def __init__(
        self, header: Sequence[str], columns: Columns, clock: Clock, spelling: Spelling, attributes: Attributes
    ) -> None:
        self.header, self.clock, self.spelling, self.attributes = header, clock, spelling, attributes
        self.places = _places(header, columns)
        for name in attributes.names:
            if name not in header:
                raise _missing(header, name)
        self.told = [(name, header.index(name)) for name in attributes.names]
        self.names = Places(columns.activity, columns.complete, columns.resource, columns.lifecycle)

    def event(self, line: int, row: Sequence[str]) -> Event:
        """The event of a row. Raises LogError."""
        case, activity = self._names(line, row)
        complete = self.clock.instant(self._cell(row, "complete"), line, self._column("complete"))
        start = complete
        if self._cell(row, "start").strip():
            start = self.clock.instant(self._cell(row, "start"), line, self._column("start"))
        if start > complete:
            raise LogError("It ends before it starts.", line, self._column("complete"))
        resource = name_of(self._cell(row, "resource"), "resource", line, self._column("resource"))
        return Event(case, activity, start, complete, resource, self._cost(line, row))

    def moment(self, line: int, row: Sequence[str]) -> Moment:
        """The moment that a row tells of; its time is read, so that a fault is found here. Raises LogError."""
        case, activity = self._names(line, row)
        time, transition = self._cell(row, "complete"), self._cell(row, "lifecycle")
        self.clock.instant(time, line, self._column("complete"))
        return Moment(line, case, activity, time, self._cell(row, "resource"), transition, self._cost(line, row))

    def shown(self, line: int, row: Sequence[str]) -> Event:
        """The row alone, as a preview shows it: a moment is an event that takes no time. Raises LogError."""
        return (
            event_of(self.moment(line, row), self.clock, self.names) if self.names.transition else self.event(line, row)
        )

    def _names(self, line: int, row: Sequence[str]) -> tuple[str, str]:
        if len(row) != len(self.header):
            raise LogError(f"This line has {len(row)} cells, the first one {len(self.header)}.", line)
        case = name_of(self._cell(row, "case"), "case", line, self._column("case"))
        activity = name_of(self._cell(row, "activity"), "activity", line, self._column("activity"))
        for text, part in ((case, "case"), (activity, "activity")):
            if not text:
                raise LogError(f"The {part} is empty.", line, self._column(part))
        for name, place in self.told:
            self.attributes.say(case, name, row[place], line, name)
        return case, activity

    def _cost(self, line: int, row: Sequence[str]) -> Decimal | None:
        return written_number(self._cell(row, "cost"), self.spelling.decimal, line, self._column("cost"))

    def _cell(self, row: Sequence[str], part: str) -> str:
        place = self.places.get(part)
        return "" if place is None else row[place]

    def _column(self, part: str) -> str:
        place = self.places.get(part)
        return "" if place is None else self.header[place]
