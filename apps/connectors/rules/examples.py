"""Parameters to begin with, made from an operation's schema."""

from collections.abc import Mapping
from typing import Any

TEXT = {"date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "email": "somebody@example.com"}


def example_of(schema: Mapping[str, Any]) -> Any:
    """The least value that looks like what ``schema`` asks for: required properties, the first of each list of values.

    To copy and to change: patterns and conditions are not solved.
    """
    for name in ("default", "const"):
        if name in schema:
            return schema[name]
    if values := schema.get("enum") or schema.get("examples"):
        return values[0]
    kind = schema.get("type")
    if kind == "object":
        known = schema.get("properties", {})
        return {name: example_of(known.get(name, {})) for name in schema.get("required", [])}
    if kind == "array":
        return [example_of(schema.get("items", {}))] * int(schema.get("minItems", 0))
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    return False if kind == "boolean" else None if kind == "null" else _text(schema)


def _text(schema: Mapping[str, Any]) -> str:
    found = TEXT.get(str(schema.get("format", "")), "text")
    return found.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", len(found) + 100))]
