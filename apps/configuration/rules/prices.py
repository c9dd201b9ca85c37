"""How prices of models look in documents: each is named by its model and its beginning."""

from datetime import UTC, date, datetime
from typing import Any

from apps.configuration.rules.shapes import PLAIN_DATE, day_of, moment_of

PRICES = ("input_micro", "output_micro", "cache_read_micro", "cache_write_micro")
"""Millionths of the currency's unit per token; the first two are said always."""


def since_of(value: Any) -> datetime:
    """The instant of a time with its offset, or the beginning of a day in UTC. Raises ValueError."""
    if isinstance(value, str) and PLAIN_DATE.fullmatch(value):
        day = day_of(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return moment_of(value)


def since_text(moment: datetime) -> str:
    """The same as a document has it: a day where it is the beginning of one."""
    found = moment.astimezone(UTC)
    day: date = found.date()
    if found == datetime(day.year, day.month, day.day, tzinfo=UTC):
        return day.isoformat()
    return found.isoformat().replace("+00:00", "Z")


def price_name(model: Any, since: Any) -> str:
    """What names a price; empty where its beginning is none."""
    try:
        begins = since if isinstance(since, datetime) else since_of(since)
    except ValueError:
        return ""
    return f"{model}.{since_text(begins)}"
