"""Reading what a system answered, which may be anything, and taking secrets out of it."""

import base64
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from apps.core.rules import MAX_INTEGER, ValueProblem, strict_json

RESPONSE_BYTES_MAX = 1024 * 1024
SHOWN_MAX = 500
LONG = 8
SECONDS = re.compile(r"[0-9]{1,8}")
MASK = "•••"


class TooLargeError(Exception):
    """The answer is larger than is read."""


def answer_of(raw: bytes) -> Any:
    """The JSON object or list of a response; None for an empty one. Raises ValueProblem for anything else."""
    if not raw.strip():
        return None
    found = strict_json(raw)
    if not isinstance(found, dict | list):
        raise ValueProblem("The answer is neither an object nor a list.")
    return storable(found)


def storable(value: Any) -> Any:
    """``value`` as PostgreSQL and every reader can hold it. Raises ValueProblem for numbers that are not finite.

    Numbers beyond 2^53 - 1 become text with the same digits; U+0000 and halves of surrogate pairs become U+FFFD.
    """
    match value:
        case bool() | None:
            return value
        case int():
            return value if abs(value) <= MAX_INTEGER else str(value)
        case float():
            if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN
                raise ValueProblem("A number is not finite.")
            return value if abs(value) <= MAX_INTEGER else repr(value)
        case str():
            return _clean(value)
        case list():
            return [storable(item) for item in value]
        case _:
            return {_clean(str(key)): storable(item) for key, item in value.items()}


def _clean(text: str) -> str:
    return "".join("\ufffd" if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in text)


def forms_of(secret: str) -> list[str]:
    """The spellings in which a secret may come back: as it is, quoted for an address, in base 64. Longest first."""
    raw = secret.encode()
    forms = {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }
    return sorted(filter(None, forms), key=len, reverse=True)


def redacted(value: Any, forms: Sequence[str]) -> Any:
    """``value`` with every spelling of the secret masked, in keys too."""
    match value:
        case str():
            for form in forms:
                value = _masked(value, form)
            return value
        case list():
            return [redacted(item, forms) for item in value]
        case dict():
            return {redacted(key, forms): redacted(item, forms) for key, item in value.items()}
        case _:
            return value


def _masked(text: str, form: str) -> str:
    """A long secret goes wherever it stands; a short one only as a word, or half of the answer would go with it."""
    if len(form) >= LONG:
        return text.replace(form, MASK)
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", MASK, text)


def shown(raw: bytes, forms: Sequence[str]) -> str:
    """The beginning of an answer for an error message: masked first, then cut, on one line of visible characters."""
    text = str(redacted(raw.decode("utf-8", "replace"), forms))[: SHOWN_MAX * 8]
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:SHOWN_MAX]


def retry_after_s(header: str | None) -> int | None:
    """Seconds of a Retry-After header; None without one. A date counts as a minute: clocks differ."""
    if header is None or not header.strip():
        return None
    text = header.strip()
    return int(text) if SECONDS.fullmatch(text) else 60
