"""How grave a log record is: OpenTelemetry's numbers, and their words."""

from collections.abc import Mapping

WORST = 24
WORDS: Mapping[str, int] = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
"""Each word with the first of its four numbers (opentelemetry.io, log data model)."""
OTHER_WORDS: Mapping[str, int] = {"warning": 13, "notice": 10, "err": 17, "critical": 21, "crit": 21, "alert": 22}


def severity_of(number: int, text: str) -> int:
    """The number 1 to 24, 0 where nothing is said; from the word where the sender gives no number."""
    if 0 < number <= WORST:
        return number
    word = text.strip().lower()
    return WORDS.get(word) or OTHER_WORDS.get(word, 0)


def word_of(number: int) -> str:
    """The word of a number; empty for 0."""
    return next((word for word, first in reversed(list(WORDS.items())) if number >= first), "")
