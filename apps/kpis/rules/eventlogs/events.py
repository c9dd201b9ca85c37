"""One event of a log, and why a log is not read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

MAX_BYTES = 256 * 1024 * 1024
"""What a log may unpack to."""
MAX_EVENTS = 1_000_000
MAX_NAME = 200
"""Characters of a case, an activity or a resource."""


class Event(NamedTuple):
    """One row: in ``case``, ``activity`` took from ``start`` to ``complete`` (UTC), done by ``resource`` or nobody.

    ``cost`` is in the reporting currency; None where the log says none.
    """

    case: str
    activity: str
    start: datetime
    complete: datetime
    resource: str = ""
    cost: Decimal | None = None


@dataclass(slots=True)
class Sample:
    """So many rows or bytes, and what was read with them, are enough; ``is_cut``: there were more."""

    rows: int
    size: int
    is_cut: bool = False


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
