"""What goes into an expression and what comes out: checked on both ways, in plain Python."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any, NoReturn

type Plain = bool | int | float | str | bytes | datetime | timedelta | list["Plain"] | dict[str, "Plain"] | None
"""A result. ``bytes``, ``datetime`` and ``timedelta`` only where the expression makes them."""

_INT64 = range(-(1 << 63), 1 << 63)
_RESULT_NODES = 50_000
STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
"""What the library puts around its messages."""


class Kind(StrEnum):
    """The declared type of a variable, a parameter or a result."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    STRINGS = "list(string)"
    TIMESTAMP = "timestamp"
    LIST = "list(dyn)"
    MAP = "map(string, dyn)"
    DYN = "dyn"


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a source and its context may be; sizes are of the context's JSON, roughly."""

    source_chars: int = 2_048
    macros: int = 2
    context_bytes: int = 64 * 1024
    string_bytes: int = 16 * 1024
    list_items: int = 1_000
    depth: int = 64


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """An expression that has no value on this context: a missing field, a wrong type, a spent budget.

    A value, not an exception: what it means (a match, no match, a failed step) is the caller's to say.
    """

    message: str

    def __bool__(self) -> NoReturn:
        raise TypeError("An evaluation error is neither true nor false.")


class ContextError(ValueError):
    """A context value that expressions do not take. ``path`` says which."""

    def __init__(self, path: str, message: str) -> None:
        self.path, self.message = path, message
        super().__init__(f"{path}: {message}")


_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.BOOL: (bool,),
    Kind.INT: (int,),
    Kind.DOUBLE: (int, float),
    Kind.STRING: (str,),
    Kind.STRINGS: (list,),
    Kind.TIMESTAMP: (datetime,),
    Kind.LIST: (list,),
    Kind.MAP: (dict,),
}


def checked_context(values: Mapping[str, Any], kinds: Mapping[str, Kind], limits: Limits) -> dict[str, Any]:
    """``values`` if expressions may see them; ContextError names the first that they may not."""
    gauge = _Gauge(limits)
    context: dict[str, Any] = {}
    for name, value in values.items():
        kind = kinds.get(name)
        if kind is None:
            raise ContextError(name, "is not declared")
        if kind is Kind.TIMESTAMP:
            context[name] = _instant(name, value)
            continue
        if kind is not Kind.DYN and (not isinstance(value, _TYPES[kind]) or (kind is Kind.INT and value is True)):
            raise ContextError(name, f"is not a {kind}")
        try:
            gauge.measure(value, limits.depth)
        except _RefusedError as error:
            raise ContextError(name + error.path, error.message) from None
        context[name] = value
    return context


def _instant(path: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ContextError(path, "is not a time with a zone")
    return value.astimezone(UTC)


class _RefusedError(Exception):
    """A value that expressions do not take; the path grows on the way out, so that good values pay nothing for it."""

    def __init__(self, message: str, path: str = "") -> None:
        self.message, self.path = message, path


class _Gauge:
    """Measures a context, and refuses what the library would misread (it cuts text at U+0000)."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.room = limits.context_bytes

    def measure(self, value: object, depth: int) -> None:
        if depth == 0:
            raise _RefusedError("is nested too deeply")
        if isinstance(value, str):
            self.room -= self._text(value)
        elif isinstance(value, dict):
            self._map(value, depth)
        elif isinstance(value, list):
            self._list(value, depth)
        else:
            self.room -= self._scalar(value)
        if self.room < 0:
            raise _RefusedError(f"makes the context larger than {self.limits.context_bytes} bytes")

    def _map(self, value: dict[Any, Any], depth: int) -> None:
        for key, item in value.items():
            if not isinstance(key, str):
                raise _RefusedError("has a key that is not text")
            self.room -= self._text(key)
            try:
                self.measure(item, depth - 1)
            except _RefusedError as error:
                raise _RefusedError(error.message, f".{key}{error.path}") from None

    def _list(self, value: list[Any], depth: int) -> None:
        if len(value) > self.limits.list_items:
            raise _RefusedError(f"has more than {self.limits.list_items} items")
        for place, item in enumerate(value):
            try:
                self.measure(item, depth - 1)
            except _RefusedError as error:
                raise _RefusedError(error.message, f"[{place}]{error.path}") from None

    def _text(self, value: str) -> int:
        if "\x00" in value:
            raise _RefusedError("contains U+0000")
        size = len(value)
        if not value.isascii():
            try:
                size = len(value.encode())
            except UnicodeEncodeError:
                raise _RefusedError("contains a lone surrogate") from None
        if size > self.limits.string_bytes:
            raise _RefusedError(f"is longer than {self.limits.string_bytes} bytes")
        return size + 3

    def _scalar(self, value: object) -> int:
        if isinstance(value, bool) or value is None:
            return 5
        if isinstance(value, int):
            if value not in _INT64:
                raise _RefusedError("is too large a number")
            return 20
        if isinstance(value, float):
            if not isfinite(value):
                raise _RefusedError("is not a finite number")
            return 20
        raise _RefusedError(f"is a {type(value).__name__}, which expressions do not take")


class _UnreadableError(Exception):
    """A result that has no plain form."""


class _Budget:
    """How much of a result is converted: a list of a list of a list can share what plain Python would copy."""

    def __init__(self, limits: Limits) -> None:
        self.nodes, self.text = _RESULT_NODES, limits.context_bytes

    def spend(self, *, text: int = 0) -> None:
        self.nodes -= 1
        self.text -= text
        if self.nodes < 0 or self.text < 0:
            raise _UnreadableError("the result is too large")


def plain_result(kind: str, value: Any, limits: Limits) -> Plain | EvaluationError:
    """The library's value (its type's name, its content) as plain Python, or why it has none."""
    if kind == "ERROR":
        return evaluation_error(str(value))
    try:
        return _plain(value, kind, _Budget(limits), limits.depth)
    except _UnreadableError as error:
        return EvaluationError(str(error))


def evaluation_error(text: str) -> EvaluationError:
    """The library's words without its status codes."""
    return EvaluationError(STATUS.sub("", STATUS.sub("", text)))


def _plain(value: Any, kind: str, budget: _Budget, depth: int) -> Plain:
    if depth == 0:
        raise _UnreadableError("the result is nested too deeply")
    budget.spend()
    if isinstance(value, list):
        return [_plain(item.value(), item.type().name(), budget, depth - 1) for item in value]
    if isinstance(value, dict):
        return _plain_map(value, budget, depth)
    if value is None or isinstance(value, bool | int | datetime | timedelta):
        return value
    return _plain_scalar(value, kind, budget)


def _plain_scalar(value: Any, kind: str, budget: _Budget) -> str | float | bytes:
    if isinstance(value, str):
        budget.spend(text=len(value))
        if "\x00" in value:
            raise _UnreadableError("the result contains U+0000")
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise _UnreadableError("the result is not a finite number")
        return value
    if isinstance(value, bytearray):
        budget.spend(text=len(value))
        return bytes(value)
    raise _UnreadableError(f"a {kind.lower()} is no result")


def _plain_map(value: dict[Any, Any], budget: _Budget, depth: int) -> dict[str, Plain]:
    result: dict[str, Plain] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _UnreadableError("the result has a key that is not text")
        budget.spend(text=len(key))
        result[key] = _plain(item.value(), item.type().name(), budget, depth - 1)
    return result
