"""What differs between two JSON values, path by path."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

MASKED = "•••••• (masked)"
SECRET = re.compile(
    r"(^|[._\-\"])(password|passwd|secret|api[_-]?key|private[_-]?key|access[_-]?token|pin|cvv|cvc)s?($|[._\-\"])", re.I
)
PLAIN_KEY = re.compile(r"[^\s.\[\]\"]+")
WORDS_FROM_CHARS = 200
WORDS_TO_CHARS = 10_000
LOOKS_TYPED = re.compile(r"^(true|false|null|-?\d+(\.\d+)?([eE][+-]?\d+)?)?$|^\s|\s$")


class _Absent:
    """No value at this path; null is one."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path. ``kind``: same, added, removed, changed or type; ``pieces``: (same|gone|new, text) of long texts."""

    path: str
    kind: str
    before: object
    after: object
    note: str = ""
    pieces: tuple[tuple[str, str], ...] = ()

    @property
    def was(self) -> str:
        """The old value as text, or nothing."""
        return shown(self.before)

    @property
    def now(self) -> str:
        """The new value as text, or nothing."""
        return shown(self.after)

    @property
    def had(self) -> bool:
        """Whether there was a value before."""
        return self.before is not ABSENT

    @property
    def has(self) -> bool:
        """Whether there is a value now."""
        return self.after is not ABSENT

    @property
    def is_number(self) -> bool:
        """Whether the value reads best at the right."""
        return isinstance(self.after, int | float) and not isinstance(self.after, bool)


def shown(value: object) -> str:
    """A JSON leaf as text: quotes only where a text could be taken for another type or hides a blank."""
    if value is ABSENT:
        return ""
    if isinstance(value, str):
        return f'"{value}"' if LOOKS_TYPED.search(value) else value
    return json.dumps(value, ensure_ascii=False, default=str)


def flattened(value: object, path: str = "") -> dict[str, object]:
    """Leaves by path, in their own order; empty objects and lists are leaves. No two leaves share a path."""
    if isinstance(value, Mapping) and value:
        inner = [(joined(path, key), item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        inner = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return {path: dict(value) if isinstance(value, Mapping) else value}
    leaves: dict[str, object] = {}
    for key, item in inner:
        leaves |= flattened(item, key)
    return leaves


def joined(path: str, key: object) -> str:
    """The path of a key: dotted, or quoted in brackets where the key could be taken for a path of its own."""
    if not PLAIN_KEY.fullmatch(str(key)):
        return f"{path}[{json.dumps(str(key), ensure_ascii=False)}]"
    return f"{path}.{key}" if path else str(key)


def is_secret(path: str) -> bool:
    """Whether a path's name says that its value is a secret."""
    return bool(SECRET.search(path))


def masked(value: object, path: str = "") -> object:
    """The same JSON with every secret masked; null hides nothing and stays."""
    if value is not None and path and is_secret(path) and not isinstance(value, Mapping | list):
        return MASKED
    if isinstance(value, Mapping):
        return {key: masked(item, joined(path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def unmasked(given: object, stored: object) -> object:
    """``given`` with what was left masked put back from ``stored``: ``unmasked(masked(x), x) == x``.

    Inside a list by position; a mask that has no counterpart stays, and ``masks_in`` finds it.
    """
    if isinstance(given, Mapping):
        known = stored if isinstance(stored, Mapping) else {}
        return {key: unmasked(item, known.get(key, ABSENT)) for key, item in given.items()}
    if isinstance(given, list):
        beside = stored if isinstance(stored, list) else []
        return [unmasked(item, beside[i] if i < len(beside) else ABSENT) for i, item in enumerate(given)]
    return stored if given == MASKED and isinstance(stored, str | int | float) else given


def masks_in(value: object) -> list[str]:
    """The paths at which a mask stands instead of a value."""
    return [path for path, leaf in flattened(value).items() if leaf == MASKED]


def differences(before: object, after: object, *, notes: Mapping[str, str] | None = None) -> list[Difference]:
    """Every path of both values in the order of ``after``; secrets are masked: a change shows, no value does."""
    was = {} if before is None else flattened(before)
    now = {} if after is None else flattened(after)
    was.pop("", None)
    now.pop("", None)
    paths = [*now, *(path for path in was if path not in now)]
    return [
        _difference(path, was.get(path, ABSENT), now.get(path, ABSENT), (notes or {}).get(path, "")) for path in paths
    ]


def _difference(path: str, before: object, after: object, note: str) -> Difference:
    kind = _kind(before, after)
    if is_secret(path):
        before, after = (ABSENT if value is ABSENT else MASKED for value in (before, after))
        return Difference(path, kind, before, after, note)
    return Difference(path, kind, before, after, note or _ratio(before, after), _pieces(kind, before, after))


def _kind(before: object, after: object) -> str:
    if before is ABSENT:
        return "added"
    if after is ABSENT:
        return "removed"
    if _type(before) != _type(after):
        return "type"
    return "same" if before == after else "changed"


def _type(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, int | float) else str(type(value))


def _ratio(before: object, after: object) -> str:
    """How many times the old number the new one is."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after))
    if not numeric or before == after or not before:
        return ""
    return f"{after / before:.2g}×"  # type: ignore[operator] # both are numbers by the line above


def _pieces(kind: str, before: object, after: object) -> tuple[tuple[str, str], ...]:
    """A word by word comparison of long texts; nothing for other values and very long ones: they stand whole."""
    if kind != "changed" or not isinstance(before, str) or not isinstance(after, str):
        return ()
    if not WORDS_FROM_CHARS < max(len(before), len(after)) <= WORDS_TO_CHARS:
        return ()
    old, new = (re.split(r"(\s+)", text) for text in (before, after))
    found: list[tuple[str, str]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(("same", "".join(new[j1:j2])))
            continue
        found += [(name, "".join(words)) for name, words in (("gone", old[i1:i2]), ("new", new[j1:j2])) if words]
    return tuple(found)
