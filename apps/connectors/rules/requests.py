"""Asking for access: how a request lives, how often one may ask, what a ready grant would give."""

from collections.abc import Iterable
from enum import StrEnum

LAPSES_S = 14 * 86_400
"""How long a request waits for people."""
AGAIN_AFTER_S = 7 * 86_400
"""How long an agent does not ask again for what people refused."""
MAX_OPEN, MAX_A_DAY = 5, 10
DAYS, MAX_DAYS = 30, 90
"""For how long access is granted unless it asks for less, or more."""
OPERATION_MAX, REASON_MAX = 120, 500


class RequestEnd(StrEnum):
    """What became of a request for access."""

    GRANTED = "granted"
    REFUSED = "refused"
    LAPSED = "lapsed"


def together(held: Iterable[str] | None, wanted: Iterable[str] | None) -> list[str] | None:
    """The parameters of a permission that covers both; None: all of them."""
    return None if held is None or wanted is None else sorted({*held, *wanted})
