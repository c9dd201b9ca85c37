"""Numbers as people read them: a missing value is a dash, a minus is a real minus, never 0 for nothing."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol

from apps.core.amounts import exponent_of

DASH = "—"
MINUS = "−"


TENTHS_BELOW_S = 9.95
"""Shorter durations keep a decimal."""
STEPS = ((60, 1, "s", ""), (600, 1, "min", "s"), (3600, 60, "min", ""), (86400, 60, "h", "m"))
"""Below how many seconds a duration is rounded to what, and shown in which units."""
LARGE = 1000
"""From here on a fraction says nothing."""


def micro_per_minor(currency: str) -> int:
    """Millionths of the unit in one minor unit: 10,000 for cents."""
    return int(10 ** (6 - exponent_of(currency)))


def duration_text(seconds: float | None) -> str:
    """``42 s``, ``3 h 12 m``, ``2 d 4 h``: the two largest units, rounded to the smaller one."""
    if seconds is None:
        return DASH
    sign, left = (MINUS, -seconds) if seconds < 0 else ("", seconds)
    if left < TENTHS_BELOW_S:
        return f"{sign}{left:.1f}".rstrip("0").rstrip(".") + " s"
    for ceiling, unit_s, large, small in STEPS:
        whole = _rounded(left / unit_s) * unit_s
        if whole < ceiling:
            return sign + _two_units(whole, large, small)
    return sign + _two_units(_rounded(left / 3600) * 3600, "d", "h")


def _two_units(whole_s: int, large: str, small: str) -> str:
    sizes = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
    first, rest = divmod(whole_s, sizes[large])
    second = rest // sizes[small] if small else 0
    return f"{first:,} {large} {second} {small}" if second else f"{first:,} {large}"


def _rounded(value: float) -> int:
    return int(Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP))


def count_text(value: float | None) -> str:
    """``1,284``; a fraction keeps one decimal."""
    if value is None:
        return DASH
    text = f"{abs(value):,.0f}" if float(value).is_integer() or abs(value) >= LARGE else f"{abs(value):,.1f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def number_text(value: float | None, suffix: str = "") -> str:
    """``4.37 points``: up to two decimals, and the word behind it."""
    if value is None:
        return DASH
    text = f"{abs(value):,.2f}".rstrip("0").rstrip(".")
    return f"{MINUS if value < 0 and text != '0' else ''}{text} {suffix}".rstrip()


def compact_text(value: float) -> str:
    """``12.4 k`` for axes."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".replace("-", MINUS) + f" {letter}"
    return count_text(value)


def percent_text(share: float | None) -> str:
    """``96.4%`` of a share 0..1."""
    if share is None:
        return DASH
    return f"{share * 100:.1f}%".replace("-", MINUS)


def money_text(minor: float | None, currency: str) -> str:
    """``12.40 EUR``, ``38,400 EUR``: minor units only where they matter."""
    if minor is None:
        return DASH
    exponent = exponent_of(currency)
    units = minor / 10**exponent
    digits = 0 if abs(units) >= LARGE else exponent
    text = f"{abs(units):,.{digits}f}"
    return f"{MINUS if minor < 0 and text.strip('0.,') else ''}{text} {currency}"


def rate_text(minor: Decimal, currency: str) -> str:
    """``0.0025 EUR``, ``1,999.50 EUR``: an amount to its last digit."""
    exponent = exponent_of(currency)
    units = minor.scaleb(-exponent).normalize()
    digits = max(exponent, -int(units.as_tuple().exponent))
    return f"{units:,.{digits}f} {currency}"


def signed(text: str, value: float) -> str:
    """``text`` with a plus if ``value`` is above nothing; a minus it already has."""
    return f"+{text}" if value > 0 else text


class Counted(Protocol):
    """A cell that says in which unit it counts, where it counts in one."""

    @property
    def unit(self) -> str:
        """Empty where it is a plain count, or no number."""


def heads_of(columns: Sequence[str], rows: Sequence[Sequence[Counted]]) -> list[str | float | None]:
    """The first line of a file: what each column is called, and in which unit it counts."""
    units = [next((row[at].unit for row in rows if at < len(row) and row[at].unit), "") for at in range(len(columns))]
    return [f"{name} ({unit})" if unit else name for name, unit in zip(columns, units, strict=True)]
