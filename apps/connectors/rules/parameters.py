"""Parameters: which of them a permission admits, whether they fit, and where each goes in the request."""

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from apps.connectors.rules.egress import climbs
from apps.core.rules import ValueProblem, canonical_json
from apps.core.validating import flaw_of_schema, schema_errors

IN_PATH = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
WITH_BODY = frozenset({"POST", "PUT", "PATCH", "SEND", "SELECT", "CALL"})
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SEND = "SEND"
"""The method of an operation that sends a mail: its parameters make the mail, and nothing stands in an address."""
SELECT = "SELECT"
"""That of one that asks a database: its parameters are bound in a statement."""
CALL = "CALL"
"""That of one that calls a tool of an MCP server: its parameters are the tool's arguments."""
ALL_METHODS = (*METHODS, SEND, SELECT, CALL)
FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
ERRORS_MAX = 20


@dataclass(frozen=True, slots=True)
class Split:
    """One call's parameters by where they go."""

    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: dict[str, Any] | None = None


def path_names(path: str) -> list[str]:
    """The parameters that fill ``{name}`` in the path."""
    return IN_PATH.findall(path)


def split_parameters(method: str, path: str, parameters: Mapping[str, Any]) -> Split:
    """Fill the path; of the rest make the JSON body (POST, PUT, PATCH) or the query. Raises ValueProblem."""
    named = path_names(path)
    filled = IN_PATH.sub(lambda match: _segment(match.group(1), parameters.get(match.group(1))), path)
    if climbs(filled):
        raise ValueProblem("The address made of the parameters leads elsewhere.", named[0] if named else "")
    rest = {name: value for name, value in parameters.items() if name not in named}
    if method in WITH_BODY:
        return Split(filled, body=rest)
    return Split(filled, query=[pair for name, value in rest.items() for pair in _query(name, value)])


def _segment(name: str, value: Any) -> str:
    """One parameter as one path segment; what could climb out of its segment is refused."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueProblem("It is part of the address: give a text or an integer.", name)
    text = str(value)
    if text in {"", ".", ".."} or not text.isprintable():
        raise ValueProblem("It is part of the address and must name something.", name)
    return quote(text, safe="")


def _query(name: str, value: Any) -> list[tuple[str, str]]:
    match value:
        case None:
            return []
        case bool():
            return [(name, "true" if value else "false")]
        case str() | int() | float():
            return [(name, str(value))]
        case list():
            return [pair for item in value for pair in _query(name, item)]
        case _:
            raise ValueProblem("An object does not fit into a query.", name)


def schema_problem(schema: object) -> str:
    """Why this is no JSON Schema for parameters; empty when it is one."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return "Parameters are described by a JSON Schema of type object."
    try:
        canonical_json(schema)
    except ValueProblem as problem:
        return str(problem)
    if flaw := flaw_of_schema(schema):
        path, message = flaw
        return f"{'.'.join(map(str, path)) or 'schema'}: {message}"
    return ""


def parameter_errors(schema: Mapping[str, Any], parameters: object) -> dict[str, list[str]]:
    """What misses the schema, by dotted path; empty when everything fits. Nothing is ever fetched for a ``$ref``."""
    found: dict[str, list[str]] = {}
    for error in schema_errors(schema, parameters, most=ERRORS_MAX):
        where = [str(part) for part in error.absolute_path]
        for path, message in _spelled_out(error, where):
            found.setdefault(path, []).append(message[:300])
    return found


def _spelled_out(error: Any, where: list[str]) -> Iterable[tuple[str, str]]:
    """An error per missing or unknown name, at that name's own path, instead of one at the parent's."""
    instance = error.instance
    if error.validator == "required" and isinstance(instance, Mapping):
        missing = [name for name in error.validator_value if name not in instance and f"{name!r}" in error.message]
        yield from ((".".join([*where, name]), "This parameter is required.") for name in missing)
    elif error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        extra = [name for name in instance if name not in known]
        yield from ((".".join([*where, name]), "There is no such parameter.") for name in extra)
    else:
        yield ".".join(where), error.message


def refused_paths(parameters: Mapping[str, Any], fields: Sequence[str] | None, path: str) -> list[str]:
    """The parameters outside a narrowed permission, as dotted paths; ``fields`` None permits all.

    A field permits itself and what is inside it. What fills the path is always permitted: it says
    which object is meant.
    """
    if fields is None:
        return []
    allowed = [*fields, *path_names(path)]
    return [leaf for leaf in leaves_of(parameters) if not any(_covers(name, leaf) for name in allowed)]


def leaves_of(value: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted paths of all values that are not objects themselves; an empty object counts as a value."""
    found: list[str] = []
    for name, item in value.items():
        path = f"{prefix}{name}"
        if isinstance(item, Mapping) and item:
            found += leaves_of(item, f"{path}.")
        else:
            found.append(path)
    return found


def _covers(allowed: str, leaf: str) -> bool:
    return leaf == allowed or leaf.startswith(f"{allowed}.")


def narrowed_schema(schema: Mapping[str, Any], fields: Sequence[str] | None, path: str) -> dict[str, Any]:
    """The part of a parameter schema that a narrowed permission leaves; what is required and left out stays named."""
    if fields is None:
        return dict(schema)
    return _narrow(deepcopy(dict(schema)), [*fields, *path_names(path)], "")


def _narrow(schema: dict[str, Any], allowed: Sequence[str], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        here = f"{prefix}{name}"
        if any(_covers(item, here) for item in allowed):
            kept[name] = part
        elif any(item.startswith(f"{here}.") for item in allowed) and isinstance(part, dict):
            kept[name] = _narrow(part, allowed, f"{here}.")
    return {**schema, "properties": kept, "additionalProperties": False}


def field_problems(fields: Sequence[str], schema: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each field of a permission: no path, or no such parameter."""
    found: dict[str, str] = {}
    for name in fields:
        if not FIELD_PATH.fullmatch(name):
            found[name] = "A field is a parameter's name, or names joined by dots."
        elif not _known(name.split("."), schema):
            found[name] = "The operation has no such parameter."
    return found


def _known(names: list[str], schema: Any) -> bool:
    for name in names:
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        if not isinstance(properties, Mapping):
            return not (isinstance(schema, Mapping) and schema.get("additionalProperties") is False)
        if name not in properties:
            return schema.get("additionalProperties") is not False and "additionalProperties" in schema
        schema = properties[name]
    return True


def schema_paths(schema: Mapping[str, Any], prefix: str = "", depth: int = 4) -> list[str]:
    """The dotted paths of the parameters that a schema names, objects before what is inside them."""
    found: list[str] = []
    for name, part in schema.get("properties", {}).items():
        found.append(f"{prefix}{name}")
        if depth > 1 and isinstance(part, Mapping):
            found += schema_paths(part, f"{prefix}{name}.", depth - 1)
    return found


def uncallable(fields: Sequence[str] | None, schema: Mapping[str, Any], path: str) -> list[str]:
    """Required parameters that the fields leave out: with them left out every call is refused."""
    if fields is None:
        return []
    allowed = [*fields, *path_names(path)]
    return [
        name
        for name in schema.get("required", [])
        if not any(_covers(item, name) or item.startswith(f"{name}.") for item in allowed)
    ]
