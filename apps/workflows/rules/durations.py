"""Durations as documents write them: ``<n>s|m|h|d|w``, where ``d`` is 24 hours."""

import re

PATTERN = r"^[1-9][0-9]{0,6}[smhdw]$"
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST_S = 366 * 86_400

_DURATION = re.compile(PATTERN)


def seconds_of(text: str) -> int:
    """Seconds in ``text`` (``20m`` is 1,200). Raises ValueError for anything that is not a duration of up to a year."""
    if not _DURATION.match(text):
        raise ValueError("A duration is a number and s, m, h, d or w, such as 20m.")
    found = int(text[:-1]) * SECONDS[text[-1]]
    if found > LONGEST_S:
        raise ValueError("At most 366 days.")
    return found


def words_of(seconds: float) -> str:
    """The shortest spelling that loses nothing above a second: 5400 is ``90m``."""
    whole = max(0, round(seconds))
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"
