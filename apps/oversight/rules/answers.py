"""Answers: which schemas can be asked for, and what misses one."""

from collections.abc import Iterable, Mapping
from typing import Any

from apps.core.rules import ValueProblem, canonical_json
from apps.core.validating import flaw_of_schema, schema_errors

SCHEMA_MAX_BYTES = 16_384
ERRORS_MAX = 20
MESSAGE_MAX = 300
SLOW = frozenset({"pattern", "patternProperties"})
"""Keywords that run a regular expression: nobody but the plane's own people writes such."""


def schema_problem(schema: object, *, is_trusted: bool) -> str:
    """Why no answer can be checked by this schema; empty when one can. Agents' own schemas are not trusted."""
    if not isinstance(schema, Mapping):
        return "A JSON Schema is an object."
    used = [] if is_trusted else sorted(SLOW & set(_keywords(schema)))
    if used:
        return f"A question's schema may not use {', '.join(used)}."
    try:
        size = len(canonical_json(schema))
    except ValueProblem as problem:
        return str(problem)
    return f"A schema has at most {SCHEMA_MAX_BYTES} bytes." if size > SCHEMA_MAX_BYTES else _flaw(schema)


def _flaw(schema: Mapping[str, Any]) -> str:
    """What the validator itself finds wrong, by checking the schema and then one value with it."""
    flaw = flaw_of_schema(schema)
    return f"{'.'.join(map(str, flaw[0])) or 'schema'}: {flaw[1]}"[:MESSAGE_MAX] if flaw else ""


def answer_errors(schema: Mapping[str, Any], answer: object) -> dict[str, list[str]]:
    """What misses the schema, by dotted path below ``answer``; empty when it fits. Nothing is ever fetched."""
    found: dict[str, list[str]] = {}
    for error in schema_errors(schema, answer, most=ERRORS_MAX):
        path = ".".join(["answer", *(str(part) for part in error.absolute_path)])
        if error.validator == "required" and isinstance(error.instance, Mapping):
            wanted: Any = error.validator_value
            for name in wanted:
                if name not in error.instance:
                    found[f"{path}.{name}"] = ["This is required."]
        else:
            found.setdefault(path, []).append(error.message[:MESSAGE_MAX])
    return found


def _keywords(node: object) -> Iterable[str]:
    """Every key anywhere in the schema; a property that happens to be called ``pattern`` counts, which errs safely."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield str(key)
            yield from _keywords(value)
    elif isinstance(node, list):
        for value in node:
            yield from _keywords(value)
