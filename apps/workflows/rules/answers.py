"""What agents and people hand in, checked against the schema of its place."""

from collections.abc import Mapping
from typing import Any

from apps.core.validating import schema_errors

ERRORS_MAX = 20
MESSAGE_MAX = 300


def output_errors(schema: Mapping[str, Any], value: object, root: str) -> dict[str, list[str]]:
    """What misses the schema, by dotted path below ``root``; empty when it fits. Nothing is ever fetched."""
    found: dict[str, list[str]] = {}
    for error in schema_errors(schema, value, most=ERRORS_MAX):
        path = ".".join([root, *(str(part) for part in error.absolute_path)])
        found.setdefault(path, []).append(error.message[:MESSAGE_MAX])
    return found
