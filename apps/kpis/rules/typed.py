"""Values as people type them: ``4.2 d``, ``5 %``, ``52.00``."""

import re
from decimal import Decimal

from apps.core.amounts import exponent_of, plain_number
from apps.kpis.rules.definitions import Definition, Unit
from apps.kpis.rules.formats import MINUS

SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
PART = re.compile(r"([\d.,]+)\s*([a-z%]*)")


def typed_value(definition: Definition, text: str, currency: str) -> Decimal:
    """What somebody typed, in the KPI's own unit: seconds, 0..1, minor units, a count. Raises ValueError.

    Durations may have two parts (``2 d 4 h``); a plain number is seconds. A share is a percentage, with or without its
    sign. Money is in whole units of the currency.
    """
    plain = text.strip().lower().replace(MINUS, "-").replace("\u00a0", " ")
    sign = -1 if plain.startswith("-") else 1
    plain = plain.lstrip("+-").removesuffix(currency.lower()).strip()
    if definition.unit == Unit.SECONDS:
        return sign * _duration(plain)
    if definition.unit == Unit.RATIO:
        return sign * plain_number(plain.removesuffix("%").strip()) / 100
    if definition.unit == Unit.MINOR:
        return sign * plain_number(plain) * Decimal(10) ** exponent_of(currency)
    return sign * plain_number(plain)


def _duration(text: str) -> Decimal:
    parts = PART.findall(text)
    if not parts or PART.sub("", text).strip() or any((unit or "s") not in SECONDS for _digits, unit in parts):
        raise ValueError(f"no value: {text}")
    return sum((plain_number(number) * SECONDS[unit or "s"] for number, unit in parts), Decimal(0))
