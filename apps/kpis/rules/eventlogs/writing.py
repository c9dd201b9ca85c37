"""Event logs as they are written: the same rows as CSV and as XES, piece by piece."""

import csv
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from xml.sax.saxutils import quoteattr

from apps.core.rules import as_cell
from apps.kpis.rules.eventlogs.events import Event
from apps.kpis.rules.eventlogs.tables import Columns

GZIP_BITS = 31
"""What makes zlib write gzip's head and tail."""
EXTENSIONS = (
    ("Concept", "concept"),
    ("Time", "time"),
    ("Organizational", "org"),
    ("Lifecycle", "lifecycle"),
    ("Cost", "cost"),
)


class LogKind(StrEnum):
    """The forms of a written log, by the end of its file's name."""

    CSV = "csv"
    XES = "xes"
    PACKED = "xes.gz"


TYPES: Mapping[LogKind, str] = {
    LogKind.CSV: "text/csv; charset=utf-8",
    LogKind.XES: "application/xml",
    LogKind.PACKED: "application/gzip",
}


@dataclass(frozen=True, slots=True)
class Trace:
    """A case: its rows in the order of their ends, and what is said of it as a whole.

    ``group``: what all who did something in it belong to. ``cost``: of the whole case, in whole units of ``currency``;
    None where nobody says. Both stand in XES alone.
    """

    case: str
    rows: list[Event]
    told: Mapping[str, str]
    group: str = ""
    cost: Decimal | None = None
    currency: str = ""


def written(traces: Iterable[Trace], kind: LogKind, told: Iterable[str]) -> Iterator[bytes]:
    """A log as bytes. ``told`` names what traces say of themselves, in the order of the CSV's columns."""
    match kind:
        case LogKind.CSV:
            return _table(traces, list(told))
        case LogKind.XES:
            return _document(traces)
        case LogKind.PACKED:
            return _packed(_document(traces))


def _table(traces: Iterable[Trace], told: list[str]) -> Iterator[bytes]:
    """With the columns that an import reads without being told; what a spreadsheet would run is marked as text."""
    line = io.StringIO()
    writer = csv.writer(line)
    columns = Columns()
    writer.writerow([columns.case, columns.activity, columns.start, columns.complete, columns.resource, *told])
    for trace in traces:
        more = [trace.told.get(name, "") for name in told]
        for row in trace.rows:
            cells = (row.case, row.activity, row.start.isoformat(), row.complete.isoformat(), row.resource, *more)
            writer.writerow([as_cell(cell) for cell in cells])
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()
    yield line.getvalue().encode()


def _document(traces: Iterable[Trace]) -> Iterator[bytes]:
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1849.2023" xes.features="">\n'
    for name, prefix in EXTENSIONS:
        uri = f"http://www.xes-standard.org/{prefix}.xesext"
        yield f'<extension name="{name}" prefix="{prefix}" uri="{uri}"/>\n'.encode()
    for trace in traces:
        yield _trace(trace).encode()
    yield b"</log>\n"


def _trace(trace: Trace) -> str:
    said = "".join(_attribute("string", name, value) for name, value in trace.told.items() if value)
    rows = "".join(_pair(row, number, trace.group) for number, row in enumerate(trace.rows, start=1))
    return f"<trace>{_attribute('string', 'concept:name', trace.case)}{said}{_cost(trace)}\n{rows}</trace>\n"


def _cost(trace: Trace) -> str:
    """What IEEE 1849's cost extension lets a trace say."""
    if trace.cost is None:
        return ""
    return _attribute("float", "cost:total", f"{trace.cost:f}") + _attribute("string", "cost:currency", trace.currency)


def _pair(row: Event, number: int, group: str) -> str:
    """A start right before its complete, so that whoever pairs in the order of the file pairs what belongs together.

    ``concept:instance`` says the same to whoever sorts by time. What took no time has no start.
    """
    start = _event(row, row.start.isoformat(), "start", number, group) if row.start != row.complete else ""
    return start + _event(row, row.complete.isoformat(), "complete", number, group)


def _event(row: Event, at: str, transition: str, number: int, group: str) -> str:
    """What nobody did has no group either: whoever reads the log would take that for who did it."""
    resource = _attribute("string", "org:resource", row.resource) if row.resource else ""
    if resource and group:
        resource += _attribute("string", "org:group", group)
    return (
        f"<event>{_attribute('string', 'concept:name', row.activity)}"
        f"{_attribute('string', 'concept:instance', str(number))}{_attribute('date', 'time:timestamp', at)}"
        f"{_attribute('string', 'lifecycle:transition', transition)}{resource}</event>\n"
    )


def _attribute(kind: str, key: str, value: str) -> str:
    shown = "".join(character if character.isprintable() else " " for character in value)
    return f"<{kind} key={quoteattr(key)} value={quoteattr(shown)}/>"


def _packed(parts: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP_BITS)
    for part in parts:
        if packed := packer.compress(part):
            yield packed
    yield packer.flush()
