"""Event logs as CSV: one row is one event."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo

from apps.kpis.rules.eventlogs.events import Clock, Event, LogError, name_of

DELIMITERS = (",", ";", "\t", "|")
MAX_FIELD = 100_000
"""Characters of one cell: a quote that is never closed ends here, not at the end of the file."""
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column says what. ``start`` and ``resource`` may be missing: then start is complete, and nobody did it."""

    case: str = "case_id"
    activity: str = "activity"
    start: str = "start"
    complete: str = "complete"
    resource: str = "resource"


OPTIONAL = frozenset({"start", "resource"})


def read_table(lines: Iterable[str], columns: Columns, zone: ZoneInfo) -> Iterator[Event]:
    """The events of a CSV, in the order of its lines. Raises LogError."""
    source = iter(lines)
    head = next(source, "")
    header, delimiter = _header(head)
    places = _places(header, columns)
    csv.field_size_limit(MAX_FIELD)
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    clock = Clock(zone)
    try:
        for row in rows:
            if row:
                yield _event(row, header, places, clock, rows.line_num + 1)
    except csv.Error as error:
        raise LogError(f"This is no CSV: {error}.", rows.line_num + 1) from None


def _header(line: str) -> tuple[Sequence[str], str]:
    """The names of the columns and what separates them: whatever separates most of the first line."""
    if not line.strip():
        raise LogError("The first line is empty; it names the columns.", 1)
    delimiter = max(DELIMITERS, key=line.count)
    try:
        header = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise LogError(f"The first line is no CSV: {error}.", 1) from None
    for place, name in enumerate(header, start=1):
        if name and header.index(name) != place - 1:
            raise LogError(f"Two columns are named {name!r}.", 1, place)
    return header, delimiter


def _places(header: Sequence[str], columns: Columns) -> Mapping[str, int]:
    places = {}
    for part in fields(columns):
        wanted = getattr(columns, part.name)
        if wanted in header:
            places[part.name] = header.index(wanted)
        elif part.name not in OPTIONAL or wanted != part.default:
            found = ", ".join(header[:SHOWN]) + (", ..." if len(header) > SHOWN else "")
            raise LogError(f"There is no column {wanted!r} for the {part.name}; there are {found}.", 1)
    return places


def _event(row: Sequence[str], header: Sequence[str], places: Mapping[str, int], clock: Clock, line: int) -> Event:
    if len(row) != len(header):
        raise LogError(f"This line has {len(row)} cells, the first one {len(header)}.", line)
    case = name_of(row[places["case"]], "case", line, header[places["case"]])
    activity = name_of(row[places["activity"]], "activity", line, header[places["activity"]])
    for text, part in ((case, "case"), (activity, "activity")):
        if not text:
            raise LogError(f"The {part} is empty.", line, header[places[part]])
    complete = clock.instant(row[places["complete"]], line, header[places["complete"]])
    start = complete
    if "start" in places and row[places["start"]].strip():
        start = clock.instant(row[places["start"]], line, header[places["start"]])
    if start > complete:
        raise LogError("It ends before it starts.", line, header[places["complete"]])
    resource = ""
    if "resource" in places:
        resource = name_of(row[places["resource"]], "resource", line, header[places["resource"]])
    return Event(case, activity, start, complete, resource)
