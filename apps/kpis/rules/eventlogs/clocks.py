"""Times and numbers as logs spell them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

from apps.kpis.rules.eventlogs.events import LogError

MAX_KNOWN = 10_000
"""Timestamps that are read once: start and complete, and logs by the day, say the same often."""
NOON, GROUP = 12, 3
"""Hours of half a day; digits between two signs of thousands."""
MAX_COST = Decimal(10) ** 12
WRITTEN = re.compile(
    r"(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{4})"
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<part>\d{1,6})\d*)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)? ?(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
"""A date whose year stands last, and a time of day if there is one."""


class Dates(StrEnum):
    """In which order a log writes a date."""

    ISO = "iso"
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


EXAMPLES = {
    Dates.ISO: "2026-03-29T14:05:00+02:00 or 2026-03-29 14:05",
    Dates.DAY_FIRST: "29.03.2026 14:05",
    Dates.MONTH_FIRST: "03/29/2026 2:05 PM",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a CSV writes what it says. No ``delimiter``: whatever separates most of the first line."""

    delimiter: str = ""
    dates: Dates = Dates.ISO
    decimal: str = "."


class Clock:
    """Reads timestamps; those without an offset are in ``zone``. One log says offsets everywhere or nowhere."""

    def __init__(self, zone: ZoneInfo, dates: Dates = Dates.ISO) -> None:
        self.zone, self.dates = zone, dates
        self.has_offsets: bool | None = None
        self._known: dict[str, datetime] = {}

    def instant(self, text: str, line: int, column: int | str) -> datetime:
        """The instant, in UTC. Raises LogError."""
        known = self._known.get(text)
        if known is not None:
            return known
        try:
            found = written_time(text.strip(), self.dates)
        except ValueError:
            raise LogError(f"{text[:40]!r} is no time such as {EXAMPLES[self.dates]}.", line, column) from None
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


def written_time(text: str, dates: Dates) -> datetime:
    """The time that ``text`` says in this order, with an offset if it has one. Raises ValueError."""
    if dates == Dates.ISO:
        return datetime.fromisoformat(text)
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    first, second = int(found["a"]), int(found["b"])
    day, month = (first, second) if dates == Dates.DAY_FIRST else (second, first)
    hour = _hour(int(found["hour"] or 0), (found["half"] or "").lower())
    clock = f"{hour:02}:{found['minute'] or '00'}:{found['second'] or '00'}.{(found['part'] or '0').ljust(6, '0')}"
    return datetime.fromisoformat(f"{found['c']}-{month:02}-{day:02}T{clock}{found['zone'] or ''}")


def _hour(hour: int, half: str) -> int:
    """Of twelve, where ``half`` says which. Raises ValueError."""
    if not half:
        return hour
    if not 1 <= hour <= NOON:
        raise ValueError(hour)
    return hour % NOON + (NOON if half == "p" else 0)


def written_number(text: str, decimal: str, line: int, column: int | str) -> Decimal | None:
    """An amount, None where there is none; thousands may be apart by spaces, or by what is no decimal sign.

    Raises LogError.
    """
    shown = text.strip()
    if not shown:
        return None
    thousands = "." if decimal == "," else ","
    whole, _sign, part = shown.replace("\u00a0", "").replace("\u202f", "").replace(" ", "").partition(decimal)
    groups = whole.lstrip("+-").split(thousands)
    first, *rest = [len(group) for group in groups]
    is_grouped = not rest or (1 <= first <= GROUP and set(rest) == {GROUP})
    try:
        found = Decimal(whole.replace(thousands, "") + (f".{part}" if part else ""))
    except InvalidOperation:
        found = Decimal("NaN")
    if not is_grouped or thousands in part or not found.is_finite() or not 0 <= found < MAX_COST:
        example = "1.234,50" if decimal == "," else "1,234.50"
        raise LogError(f"{text[:40]!r} is no cost such as {example}.", line, column)
    return found
