"""How prices and rates look in documents: each is named by what it is about and its beginning."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from apps.configuration.rules.shapes import PLAIN_DATE, day_of, moment_of

PRICES = ("input_micro", "output_micro", "cache_read_micro", "cache_write_micro", "reasoning_micro")
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


RATE_ABOUT = ("unit", "role", "agent", "operation", "workflow", "of_currency")
"""What a rate may be of; which of them, its ``per`` says."""
RATE_PER = ("hour", "task", "minute", "success", "call", "month", "unit")
RATE_KINDS = {"hour": "people", "task": "agent", "minute": "agent", "month": "fixed", "unit": "currency"}


def rate_name(value: Mapping[str, Any]) -> str:
    """What names a rate; empty where its beginning is none."""
    kind = RATE_KINDS.get(str(value.get("per")), "operation")
    about = [str(value[name]) for name in RATE_ABOUT if value.get(name)]
    return price_name("/".join([kind, *about]), value.get("from"))
