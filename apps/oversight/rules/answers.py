"""Answers: which schemas can be asked for, and what misses one."""

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from apps.core.rules import ValueProblem, canonical_json

SCHEMA_MAX_BYTES = 16_384
ERRORS_MAX = 20
MESSAGE_MAX = 300
SLOW = frozenset({"pattern", "patternProperties"})
"""Keywords that run a regular expression: an agent could ask a question that never comes back."""


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
    try:
        Draft202012Validator.check_schema(dict(schema))
        answer_errors(schema, None)
    except SchemaError as error:
        return f"{'.'.join(str(part) for part in error.absolute_path) or 'schema'}: {error.message}"[:MESSAGE_MAX]
    except Unresolvable as error:
        return f"A $ref leads nowhere: {error.ref}."
    except RecursionError:
        return "The schema never ends."
    return ""


def answer_errors(schema: Mapping[str, Any], answer: object) -> dict[str, list[str]]:
    """What misses the schema, by dotted path below ``answer``; empty when it fits. Nothing is ever fetched."""
    validator = Draft202012Validator(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    found: dict[str, list[str]] = {}
    for count, error in enumerate(validator.iter_errors(answer)):
        if count >= ERRORS_MAX:
            break
        path = ".".join(["answer", *(str(part) for part in error.absolute_path)])
        if error.validator == "required" and isinstance(error.instance, Mapping):
            for name in error.validator_value:
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
