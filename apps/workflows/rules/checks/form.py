"""The form of a document: its JSON Schema in words, durations, and the schemas inside it."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from apps.core.validating import flaw_of_schema
from apps.oversight.rules import schema_problem
from apps.workflows.rules.durations import seconds_of
from apps.workflows.rules.schema import CEL_WORDS, COMMON, DOCUMENT, KEYS, NOT_YET, STEP_PROPERTIES
from apps.workflows.rules.source import Path, Problem, Source
from apps.workflows.rules.states import Kind

_VALIDATOR = Draft202012Validator(DOCUMENT)


def form_problems(source: Source) -> Iterator[Problem]:
    """What the JSON Schema finds, in words; keys that are not executed yet are said to be so."""
    if not isinstance(source.value, dict):
        yield source.problem((), "A workflow is a mapping of keys.")
        return
    refused = list(_not_yet(source))
    yield from refused
    known = {problem.path for problem in refused}
    seen: set[tuple[str, str]] = set()
    errors: list[ValidationError] = sorted(
        _VALIDATOR.iter_errors(source.value), key=lambda error: list(map(str, error.absolute_path))
    )
    for error in errors:
        for path, message in _explained(error):
            problem = source.problem(path, message)
            if problem.path not in known and (problem.path, message) not in seen:
                seen.add((problem.path, message))
                yield problem


def _not_yet(source: Source) -> Iterator[Problem]:
    document = source.value
    top = ("calendar", "parameters", "template", "tests", "output", "context")
    yield from (source.problem((key,), NOT_YET[key]) for key in top if key in document)
    steps = document.get("steps")
    for name, step in (steps if isinstance(steps, dict) else {}).items():
        if not isinstance(step, dict):
            continue
        kinds = [kind for kind in Kind if kind.value in step]
        taken = {key for kind in kinds for key in (*KEYS[kind], *COMMON, kind.value)}
        yield from (
            source.problem(("steps", name, key), NOT_YET[key]) for key in step if key in NOT_YET and key not in taken
        )
        if isinstance(due := step.get("due"), dict) and due.get("then") == "reassign":
            yield source.problem(("steps", name, "due", "then"), NOT_YET["reassign"])
        rule = step.get("rule")
        if isinstance(rule, dict) and "table" in rule:
            yield source.problem(("steps", name, "rule", "table"), NOT_YET["table"])


def _explained(error: Any) -> Iterator[tuple[Path, str]]:
    path: Path = tuple(error.absolute_path)
    match error.validator:
        case "additionalProperties" if isinstance(error.instance, dict):
            known = error.schema.get("properties", {})
            yield from (((*path, key), f"Unknown key {key!r}.") for key in error.instance if key not in known)
        case _ if _about_keys(error):
            yield from _explained_key(error, path)
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            yield from ((path, f"{key!r} is missing.") for key in missing)
        case "oneOf" if _is_step(path):
            yield path, _one_kind(error.instance)
        case "not":
            taken = "is taken: a page beside the workflows' dashboards is called so. Take another one."
            yield path, f"{error.instance!r} {taken}"
        case "anyOf" if nearest := _meant(error):
            for part in nearest:
                yield from _explained(part)
        case _:
            yield path, _explained_value(error)


def _meant(error: ValidationError) -> list[ValidationError]:
    """What is wrong with the one form of several whose type the value has; nothing where that leaves none or more."""
    forms: dict[Any, list[ValidationError]] = {}
    for part in error.context or ():
        forms.setdefault(part.schema_path[0], []).append(part)
    of_type = [parts for parts in forms.values() if not any(p.validator == "type" and not p.path for p in parts)]
    return of_type[0] if len(of_type) == 1 else []


def _is_step(path: Path) -> bool:
    match path:
        case ("steps", _):
            return True
    return False


def _about_keys(error: ValidationError) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _explained_key(error: ValidationError, path: Path) -> Iterator[tuple[Path, str]]:
    key = str(error.instance)
    if _is_step(path):
        if key in STEP_PROPERTIES:  # others are reported as unknown
            yield (*path, key), f"A step of this kind does not take {key!r}."
    elif key in CEL_WORDS:
        yield (*path, key), f"{key!r} is a word of the expression language; name the step otherwise."
    else:
        message = f"{key!r} is no name: lower-case letters, digits and _, starting with a letter, at most 63."
        yield (*path, key), message


def _one_kind(step: Any) -> str:
    kinds = [kind.value for kind in Kind if isinstance(step, dict) and kind.value in step]
    if not kinds:
        return f"A step has one of {', '.join(kind.value for kind in Kind)}."
    return f"A step has exactly one kind, not {' and '.join(kinds)}."


def _explained_value(error: Any) -> str:
    shown = repr(error.instance)[:60]
    match error.validator:
        case "anyOf":
            return "Neither a CEL expression nor another value that fits here."
        case "dependentRequired":
            return "“join” and “max_parallel” need “for_each”."
        case "type":
            return f"Must be {_words(error.validator_value)}, not {_type_of(error.instance)}."
        case "const" | "enum":
            wanted = [error.validator_value] if error.validator == "const" else error.validator_value
            return f"{shown} is none of {', '.join(map(str, wanted))}."
        case "pattern":
            return _explained_pattern(error, shown)
        case _:
            return str(error.message)[:300]


def _explained_pattern(error: ValidationError, shown: str) -> str:
    wanted = error.schema.get("description") if isinstance(error.schema, dict) else None
    return f"{shown} is not {wanted}." if wanted else f"{shown} is not of the form {error.validator_value}."


def _words(types: Any) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _type_of(value: Any) -> str:
    names: dict[type, str] = {bool: "boolean", dict: "object", list: "array", str: "string", type(None): "null"}
    return names.get(type(value), "integer" if isinstance(value, int) else "number")


def duration_problems(source: Source) -> Iterator[Problem]:
    """Durations that are longer than a year."""
    places: list[Path] = [("sla", "after")]
    for name in source.value["steps"]:
        step: Path = ("steps", name)
        places += [(*step, "timeout"), (*step, "retry", "delay"), (*step, "join", "within")]
        places += [(*step, "due", "after"), (*step, "due", "expires")]
    for path in places:
        if (text := _at(source.value, path)) is not None:
            try:
                seconds_of(text)
            except ValueError as error:
                yield source.problem(path, str(error))


def _at(value: Any, path: Path) -> Any:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def inner_schema_problems(source: Source) -> Iterator[Problem]:
    """Schemas of input, outputs and forms that are no JSON Schemas."""
    places: list[Path] = [("input",)]
    for name in source.value["steps"]:
        places += [("steps", name, "output"), ("steps", name, "form", "schema")]
    for path in places:
        if (schema := _at(source.value, path)) is not None:
            found = list(schema_problems(schema, path))
            if not found and path[-1] == "schema" and (problem := schema_problem(schema, is_trusted=True)):
                found = [(path, problem)]
            yield from (source.problem(where, message) for where, message in found)


def schema_problems(schema: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """What keeps ``schema`` from being used: not a JSON Schema, or it points outside itself."""
    if flaw := flaw_of_schema(schema):
        yield (*path, *flaw[0]), f"This is no JSON Schema that can be used: {flaw[1][:200]}"
