"""One event of a log, and why a log is not read."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

MAX_BYTES = 256 * 1024 * 1024
"""What a log may unpack to."""
MAX_EVENTS = 1_000_000
MAX_NAME = 200
"""Characters of a case, an activity or a resource."""
MAX_KNOWN = 10_000
"""Timestamps that are read once: start and complete, and logs by the day, say the same often."""


class Event(NamedTuple):
    """One row: in ``case``, ``activity`` took from ``start`` to ``complete`` (UTC), done by ``resource`` or nobody."""

    case: str
    activity: str
    start: datetime
    complete: datetime
    resource: str = ""


class LogError(ValueError):
    """Why a log is not read, with the place in the file; line and column count from 1, 0 where there is none."""

    def __init__(self, message: str, line: int = 0, column: int | str = 0) -> None:
        self.message, self.line, self.column = message, line, column
        place = f"line {line}" + (f", column {column}" if column else "")
        super().__init__(f"{place}: {message}" if line else message)


def counted(events: Iterable[Event]) -> Iterator[Event]:
    """The same, but not more than a log may have. Raises LogError."""
    for number, event in enumerate(events):
        if number >= MAX_EVENTS:
            raise LogError(f"The log has more than {MAX_EVENTS:,} events: import it in parts.")
        yield event


def name_of(text: str, what: str, line: int, column: int | str) -> str:
    """A case, an activity or a resource as it is kept. Raises LogError."""
    name = text.strip()
    if len(name) > MAX_NAME:
        raise LogError(f"The {what} is longer than {MAX_NAME} characters.", line, column)
    if not name.isprintable():
        raise LogError(f"The {what} holds characters that cannot be shown.", line, column)
    return name


class Clock:
    """Reads timestamps; those without an offset are in ``zone``. One log says offsets everywhere or nowhere."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.has_offsets: bool | None = None
        self._known: dict[str, datetime] = {}

    def instant(self, text: str, line: int, column: int | str) -> datetime:
        """The instant, in UTC. Raises LogError."""
        known = self._known.get(text)
        if known is not None:
            return known
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            raise LogError(
                f"{text[:40]!r} is no time such as 2026-03-29T14:05:00+02:00 or 2026-03-29 14:05.", line, column
            ) from None
        has_offset = found.tzinfo is not None
        if self.has_offsets is None:
            self.has_offsets = has_offset
        elif self.has_offsets != has_offset:
            said = "an offset, those before have none" if has_offset else "no offset, those before have one"
            raise LogError(f"{text[:40]!r} has {said}: what zone would it be in?", line, column)
        try:
            instant = found.astimezone(UTC) if has_offset else self._local(found, line, column)
        except OverflowError:
            raise LogError(f"{text[:40]!r} is beyond all calendars.", line, column) from None
        if len(self._known) < MAX_KNOWN:
            self._known[text] = instant
        return instant

    def _local(self, found: datetime, line: int, column: int | str) -> datetime:
        instant = found.replace(tzinfo=self.zone).astimezone(UTC)
        if instant.astimezone(self.zone).replace(tzinfo=None) != found:
            raise LogError(f"{found.isoformat(' ')} did not exist in {self.zone}: clocks went past it.", line, column)
        return instant
