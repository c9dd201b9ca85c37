"""What agents and people hand in, checked against the schema of its place."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry

ERRORS_MAX = 20
MESSAGE_MAX = 300


def output_errors(schema: Mapping[str, Any], value: object, root: str) -> dict[str, list[str]]:
    """What misses the schema, by dotted path below ``root``; empty when it fits. Nothing is ever fetched."""
    validator = Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    found: dict[str, list[str]] = {}
    for count, error in enumerate(validator.iter_errors(value)):
        if count >= ERRORS_MAX:
            break
        path = ".".join([root, *(str(part) for part in error.absolute_path)])
        found.setdefault(path, []).append(error.message[:MESSAGE_MAX])
    return found
