"""JSON Schemas that others wrote, in a time that neither their authors nor those whose values they check can stretch.

Patterns are matched by RE2, in a time that grows with the text; what takes too many steps is not taken.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import re2
from jsonschema import Draft202012Validator, FormatChecker, validators
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from apps.core.rules import ValueProblem, canonical_json

STEPS_MAX = 100_000
"""About a second: a value of thousands of lines fits, and a schema that doubles its work at each level does not."""
PATTERN_MAX = 1_000
REFUSED = frozenset({"$dynamicRef", "unevaluatedItems", "unevaluatedProperties"})
"""What asks the whole schema again, uncounted."""
_QUIET = re2.Options()
_QUIET.log_errors = False
_left: ContextVar[list[int]] = ContextVar("steps_left")


class _TooMuchError(Exception):
    """The steps are spent."""


class _UnfitError(ValidationError):
    """The fault is the schema's, or the value is too much for it."""


def schema_errors(schema: Mapping[str, Any], value: object, *, most: int) -> list[ValidationError]:
    """At most ``most`` things about which ``value`` misses the schema; nothing is ever fetched for a ``$ref``.

    What cannot be checked in ``STEPS_MAX`` steps, or never ends, misses it as a whole.
    """
    validator = _Bounded(schema, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    token = _left.set([STEPS_MAX])
    try:
        return [error for error, _n in zip(validator.iter_errors(value), range(most), strict=False)]
    except _TooMuchError:
        return [_UnfitError("This takes too long to check: send less, or in fewer parts.")]
    except RecursionError:
        return [_UnfitError("The schema never ends here, or this is nested too deeply.")]
    except Unresolvable as error:
        return [_UnfitError(f"The schema refers to {error.ref}, which leads nowhere.")]
    finally:
        _left.reset(token)


def flaw_of_schema(schema: Any) -> tuple[tuple[str | int, ...], str] | None:
    """Where and why no value can be checked by the schema in bounded time; None where one can."""
    try:
        Draft202012Validator.check_schema(schema, format_checker=FormatChecker(formats=()))
    except SchemaError as error:
        return tuple(error.absolute_path), error.message
    except RecursionError:
        return (), "It is nested too deeply."
    if found := next(_flaws(schema, (), schema), None):
        return found
    if _is_circular(schema):
        return (), "It refers to itself without looking any deeper, so it never ends."
    tried = schema_errors(schema, None, most=20)
    return next((((), error.message) for error in tried if isinstance(error, _UnfitError)), None)


def pattern_problem(pattern: object) -> str:
    """Why a pattern is not taken; empty where it is."""
    if not isinstance(pattern, str):
        return "A pattern is a text."
    if len(pattern) > PATTERN_MAX:
        return f"A pattern has at most {PATTERN_MAX} characters."
    try:
        _compiled(pattern)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        return f"This pattern cannot be matched in a time that is known ahead ({why}); write a simpler one."
    return ""


def _flaws(node: object, path: tuple[str | int, ...], root: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Keywords that are not taken. A property that happens to be called so counts where it looks like one."""
    if isinstance(node, list):
        for place, item in enumerate(node):
            yield from _flaws(item, (*path, place), root)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            if problem := _flaw(str(key), value, root):
                yield (*path, str(key)), problem
            yield from _flaws(value, (*path, str(key)), root)


def _flaw(key: str, value: object, root: object) -> str:
    if key in REFUSED and (key == "$dynamicRef") is isinstance(value, str):
        return "This keyword is not supported: say additionalProperties or items instead."
    if key == "patternProperties" and isinstance(value, Mapping):
        return next((problem for each in value if (problem := pattern_problem(str(each)))), "")
    if not isinstance(value, str):
        return ""
    if key == "$ref":
        return _ref_problem(value, root)
    return pattern_problem(value) if key == "pattern" else ""


def _ref_problem(ref: str, root: object) -> str:
    if not ref.startswith("#"):
        return "A schema refers only to itself (#...)."
    return "" if pointed_at(ref, root) is not None else f"{ref} leads nowhere: a $ref is # or #/ and where."


def pointed_at(ref: str, root: object) -> object:
    """What a reference within a schema, such as ``#/a/0/b``, leads to; None where that is nothing."""
    first, *parts = unquote(ref).split("/")
    found = root if first == "#" else None
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _is_circular(root: object) -> bool:
    """Whether some part leads back to itself through parts that look at the same value."""
    open_, done = set[int](), set[int]()

    def leads_back(node: object) -> bool:
        if id(node) in done or not isinstance(node, Mapping):
            return False
        if id(node) in open_:
            return True
        open_.add(id(node))
        found = any(leads_back(part) for part in _same_value(node, root))
        open_.discard(id(node))
        done.add(id(node))
        return found

    return any(leads_back(node) for node in _parts(root))


def _parts(node: object) -> Iterator[object]:
    yield node
    below = node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ()
    for part in below:
        yield from _parts(part)


def _same_value(node: Mapping[str, Any], root: object) -> Iterator[object]:
    if isinstance(node.get("$ref"), str):
        yield pointed_at(node["$ref"], root)
    for key in ("not", "if", "then", "else"):
        yield node.get(key)
    for key in ("allOf", "anyOf", "oneOf"):
        yield from node[key] if isinstance(node.get(key), list) else ()
    if isinstance(node.get("dependentSchemas"), Mapping):
        yield from node["dependentSchemas"].values()


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _QUIET)


def _spend(steps: int) -> None:
    left = _left.get()
    left[0] -= steps
    if left[0] < 0:
        raise _TooMuchError


def _counted(check: Callable[..., Any]) -> Callable[..., Any]:
    """A keyword's check that spends a step, and more of them for long lists of names and values."""

    def run(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _spend(1 + (len(value) // 16 if isinstance(value, list | dict) else 0))
        return check(validator, value, instance, schema)

    return run


def _matches(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text) is not None
    except re2.error:
        raise _TooMuchError from None  # of a schema from before patterns were checked


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance[:100]!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, below in patterns.items():
        for name, value in instance.items():
            _spend(1)
            if _matches(pattern, name):
                yield from validator.descend(value, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    _spend(len(instance) * (1 + len(patterns)))
    extra = [name for name in instance if name not in known and not any(_matches(each, name) for each in patterns)]
    if validator.is_type(below, "object"):
        for name in extra:
            yield from validator.descend(instance[name], below, path=name)
    elif not below and extra:
        yield ValidationError(f"Additional properties are not allowed ({', '.join(map(repr, extra[:20]))})")


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    _spend(len(instance))
    try:
        are_unique = len({canonical_json(item) for item in instance}) == len(instance)
    except ValueProblem as problem:
        yield ValidationError(str(problem))
        return
    if not are_unique:
        yield ValidationError("The elements are not all different")


def _refused(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    yield ValidationError("The schema uses a keyword that is not supported")


_OWN: dict[str, Callable[..., Any]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    **dict.fromkeys(REFUSED, _refused),
}
_CHECKS: Any = Draft202012Validator.VALIDATORS
_extend: Any = validators.extend
_Bounded = _extend(Draft202012Validator, {name: _counted(_OWN.get(name, check)) for name, check in _CHECKS.items()})
