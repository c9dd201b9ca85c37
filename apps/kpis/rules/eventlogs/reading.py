"""A file of any of the kinds as events: what it is shows in its first bytes."""

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apps.kpis.rules.eventlogs.attributes import Attributes
from apps.kpis.rules.eventlogs.clocks import Clock, Spelling
from apps.kpis.rules.eventlogs.events import MAX_BYTES, Event, LogError, Sample, counted
from apps.kpis.rules.eventlogs.tables import Columns, read_table
from apps.kpis.rules.eventlogs.xes import read_xes

PART = 256 * 1024
MAX_LINE = 1024 * 1024
"""Characters of a line: one without an end would be held whole, and copied with each part that is read."""
GZIP = b"\x1f\x8b"
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_log(
    file: BinaryIO,
    *,
    zone: ZoneInfo,
    columns: Columns | None = None,
    encoding: str = "",
    spelling: Spelling | None = None,
    money: str = "",
    attributes: Attributes | None = None,
    sample: Sample | None = None,
) -> Iterator[Event]:
    """The events of a CSV or XES file, packed by gzip or not. Raises LogError.

    ``money``: in which currency costs count. ``zone`` is that of timestamps without an offset. Text is UTF-8, or
    UTF-16 with its mark, unless ``encoding`` says otherwise; XES says so itself, and is spelled as the standard has it.
    ``attributes`` hears what is said of cases as a whole, under the names that it asks for. ``sample``: how much
    of an XES is enough; None: all.
    """
    attributes = attributes or Attributes()
    parts = parts_of(file)
    first = next(parts, b"")
    if is_xes(first):
        return counted(read_xes(_after(first, parts), Clock(zone), money, attributes, sample=sample))
    spelling = spelling or Spelling()
    lines = lines_of(_after(first, parts), encoding)
    return counted(read_table(lines, columns or Columns(), Clock(zone, spelling.dates), spelling, attributes))


class Watched:
    """A file of which ``tell`` hears up to where it was read, each time that it is."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], object]) -> None:
        self._file, self._tell = file, tell

    def read(self, size: int = -1, /) -> bytes:
        """As the file's."""
        part = self._file.read(size)
        self._tell(self._file.tell())
        return part

    def seek(self, place: int, /) -> int:
        """As the file's."""
        return self._file.seek(place)


def is_xes(first: bytes) -> bool:
    """Whether a file that begins so is XML."""
    return first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def digest_of_file(file: BinaryIO) -> str:
    """``sha256:<hex>`` of the file as it is; it is read from its beginning, and left there."""
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(PART):
        digest.update(part)
    file.seek(0)
    return f"sha256:{digest.hexdigest()}"


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name. Raises LogError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LogError(f"There is no time zone {name!r}; they are named like Europe/Berlin.") from None


def _after(first: bytes, parts: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from parts


def parts_of(file: BinaryIO) -> Iterator[bytes]:
    """What the file unpacks to, piece by piece, so that a bomb is found before it has gone off."""
    is_packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    read = gzip.GzipFile(fileobj=file).read if is_packed else file.read
    size = 0
    try:
        while part := read(PART):
            size += len(part)
            if size > MAX_BYTES:
                raise LogError(f"The log is larger than {MAX_BYTES // 1024**2} MB: import it in parts.")
            yield part
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"The file is packed by gzip and broken: {error}.") from None


def lines_of(parts: Iterator[bytes], encoding: str) -> Iterator[str]:
    """The lines of a text. Raises LogError."""
    first = next(parts, b"")
    found = encoding or next((name for mark, name in BOMS if first.startswith(mark)), "utf-8")
    try:
        decoder = codecs.getincrementaldecoder(found)()
    except LookupError:
        raise LogError(f"There is no encoding {found!r}.") from None
    rest, number, is_first = "", 1, True
    for part in _ended(_after(first, parts)):
        try:
            text = decoder.decode(part or b"", final=part is None)
        except UnicodeDecodeError as error:
            place = number + error.object.count(b"\n", 0, error.start)
            raise LogError(f"This is not {found}: {error.reason}. Say which encoding it is.", place) from None
        text = rest + (text.removeprefix("\ufeff") if is_first else text)
        is_first = False
        *whole, rest = text.split("\n")
        for line in whole:
            number += 1
            yield line + "\n"
        if len(rest) > MAX_LINE:
            raise LogError(f"This line is longer than {MAX_LINE:,} characters.", number)
    if rest:
        yield rest


def _ended(parts: Iterator[bytes]) -> Iterator[bytes | None]:
    yield from parts
    yield None
