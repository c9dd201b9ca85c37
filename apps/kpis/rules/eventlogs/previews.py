"""What a file would become, before it is imported: guesses, its first rows, and its first faults."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import BinaryIO
from zoneinfo import ZoneInfo

from apps.kpis.rules.eventlogs.attributes import MAX_ATTRIBUTES, PREFIXES, Attributes, is_offered
from apps.kpis.rules.eventlogs.clocks import Clock, Dates, Spelling, written_time
from apps.kpis.rules.eventlogs.events import Event, LogError, Sample
from apps.kpis.rules.eventlogs.reading import BOMS, is_xes, lines_of, parts_of, read_log
from apps.kpis.rules.eventlogs.tables import Columns, RowReader, Table

SHOWN, FAULTS = 8, 10
"""So many rows and faults are shown."""
CHECKED = 100_000
"""So many rows of a CSV are looked at: the import reads them all."""
CHECKED_XES = 50_000
CHECKED_BYTES = 16 * 1024 * 1024
"""So many rows or bytes of an XES, and what is read with them: a row takes twice as long."""
SAMPLED_BYTES = 4 * 1024 * 1024
SAMPLED_ROWS = 200
NAMES: Mapping[str, tuple[str, ...]] = {
    "case": (
        "caseid", "case", "caseconceptname", "casename", "ticketid", "ticket", "orderid", "order", "vorgang", "id",
    ),
    "activity": (
        "activity", "conceptname", "activityname", "event", "eventname", "task", "step", "action", "aktivitat",
    ),
    "start": ("start", "starttime", "starttimestamp", "startedat", "begin", "beginn"),
    "complete": (
        "complete", "completetime", "completetimestamp", "timetimestamp", "timestamp", "endtime", "end", "finishedat",
        "completedat", "time", "date", "ende", "zeitpunkt",
    ),
    "resource": ("resource", "orgresource", "user", "person", "employee", "agent", "performer", "bearbeiter"),
    "lifecycle": ("lifecycletransition", "lifecycle", "transition"),
    "cost": ("cost", "costtotal", "costs", "kosten"),
}  # fmt: skip
"""What columns are called that say so, in letters and digits alone; the likeliest first."""


@dataclass(frozen=True, slots=True)
class Guess:
    """How a CSV seems to be written. ``ambiguous``: its dates would fit with the day or the month first.

    ``attributes``: columns that say by their names that they are of a case as a whole.
    """

    encoding: str
    spelling: Spelling
    columns: Columns
    ambiguous: bool = False
    attributes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows as they stand in the file and as they would be read, with the first faults.

    ``seen``: what the traces of an XES say of themselves, each with its first value. ``is_all``: no more rows.
    """

    header: Sequence[str]
    rows: list[tuple[int, Sequence[str], Event | None]]
    checked: int
    faults: list[LogError]
    seen: Mapping[str, str] = field(default_factory=dict)
    is_all: bool = True


def is_table(file: BinaryIO) -> bool:
    """Whether there are columns to choose. Raises LogError."""
    file.seek(0)
    return not is_xes(next(parts_of(file), b""))


def guess_of(file: BinaryIO) -> Guess:
    """How a CSV seems to be written. What cannot be told stays as the import has it unasked."""
    file.seek(0)
    encoding = _encoding(_sample(file))
    try:
        table = Table(_lines(file, encoding))
        rows = [row for _line, row in islice(table, SAMPLED_ROWS) if len(row) == len(table.header)]
    except LogError:
        return Guess(encoding, Spelling(), Columns())
    columns = _columns(table.header)
    cells = _values(table.header, rows, columns.complete)
    fitting = {order: sum(_is_time(cell, order) for cell in cells) for order in Dates}
    most = max(fitting.values())
    orders = [order for order, fits in fitting.items() if fits == most and most > len(cells) / 2]  # a few may be wrong
    costs = _values(table.header, rows, columns.cost)
    decimal = "," if any(re.search(r",\d{1,2}$", cost.strip()) for cost in costs) else "."
    spelling = Spelling(table.delimiter, orders[0] if orders else Dates.ISO, decimal)
    return Guess(encoding, spelling, columns, len(orders) > 1, _attributes(table.header, columns))


def header_of(file: BinaryIO, encoding: str, delimiter: str) -> Sequence[str]:
    """The names of the columns. Raises LogError."""
    return Table(_lines(file, encoding), delimiter).header


def preview_of(
    file: BinaryIO,
    *,
    zone: ZoneInfo,
    columns: Columns,
    encoding: str,
    spelling: Spelling,
    attributes: Sequence[str] = (),
) -> Preview:
    """The first rows and faults of a CSV. Raises LogError where there is nothing to show."""
    table = Table(_lines(file, encoding), spelling.delimiter)
    found = Preview(table.header, [], 0, [])
    try:
        reader = RowReader(table.header, columns, Clock(zone, spelling.dates), spelling, Attributes(attributes))
    except LogError as error:
        found.rows.extend((line, row[: len(table.header)], None) for line, row in islice(table, SHOWN))
        found.faults.append(error)
        return found
    rows = iter(table)
    checked, is_all = 0, True
    try:
        for line, row in islice(rows, CHECKED):
            checked += 1
            event = _read(reader, line, row, found.faults)
            if len(found.rows) < SHOWN:
                found.rows.append((line, row[: len(table.header)], event))
            if len(found.faults) >= FAULTS:
                break
        is_all = next(rows, None) is None
    except LogError as error:
        found.faults.append(error)
    if not checked and not found.faults:
        found.faults.append(LogError("The log has no events."))
    return replace(found, checked=checked, is_all=is_all)


def preview_of_xes(file: BinaryIO, *, zone: ZoneInfo, money: str = "", attributes: Sequence[str] = ()) -> Preview:
    """The first events and the first fault of an XES. ``money``: in which currency costs count."""
    file.seek(0)
    first: list[Event] = []
    checked, faults, told, sample = 0, [], Attributes(), Sample(CHECKED_XES, CHECKED_BYTES)
    try:
        told = Attributes(attributes)
        for event in read_log(file, zone=zone, money=money, attributes=told, sample=sample):
            checked += 1
            if len(first) < SHOWN:
                first.append(event)
    except LogError as error:
        faults.append(error)
    if not checked and not faults:
        faults.append(LogError("The log has no events."))
    return Preview([], [(0, (), event) for event in first], checked, faults, told.seen, is_all=not sample.is_cut)


def _read(reader: RowReader, line: int, row: Sequence[str], faults: list[LogError]) -> Event | None:
    try:
        return reader.shown(line, row)
    except LogError as error:
        faults.append(error)
        return None


def _lines(file: BinaryIO, encoding: str) -> Iterable[str]:
    file.seek(0)
    return lines_of(parts_of(file), encoding)


def _sample(file: BinaryIO) -> bytes:
    sample = bytearray()
    for part in parts_of(file):
        sample += part
        if len(sample) >= SAMPLED_BYTES:
            break
    return bytes(sample)


def _encoding(sample: bytes) -> str:
    """Of its mark; else UTF-8 where it is that, else what Windows writes in the west."""
    marked = next((name for mark, name in BOMS if sample.startswith(mark)), "")
    if marked:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _columns(header: Sequence[str]) -> Columns:
    """By what columns are called; each is one thing alone."""
    plain = {_plain(name): name for name in reversed(header) if name}
    found: dict[str, str] = {}
    for part, names in NAMES.items():
        taken = set(found.values())
        found[part] = next((plain[name] for name in names if name in plain and plain[name] not in taken), "")
    if found["start"]:
        found["lifecycle"] = ""
    return Columns(**{part.name: found[part.name] for part in fields(Columns)})


def _attributes(header: Sequence[str], columns: Columns) -> list[str]:
    """Columns whose names say so, and that are nothing else."""
    taken = {getattr(columns, part.name) for part in fields(columns)}
    found = [name for name in header if name.lower().startswith(PREFIXES) and name not in taken and is_offered(name)]
    return found[:MAX_ATTRIBUTES]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", name).lower())


def _values(header: Sequence[str], rows: Iterable[Sequence[str]], name: str) -> list[str]:
    if not name:
        return []
    place = list(header).index(name)
    return [row[place] for row in rows if row[place].strip()]


def _is_time(text: str, order: Dates) -> bool:
    try:
        written_time(text.strip(), order)
    except ValueError:
        return False
    return True
