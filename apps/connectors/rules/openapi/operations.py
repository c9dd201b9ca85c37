"""Operations of an OpenAPI document as the plane describes them: one parameter schema, one path, one method.

Where parameters come together: what fills the path keeps its place and gets a new name if the query or the body has a
parameter of the same name (a place in a path has no name on the wire); a name that is in the query and the body is
refused. Headers and cookies are not parameters: ``Idempotency-Key`` says that repeating is safe, others are left out
where they are optional, and refuse the operation where they are required.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.classification.rules import KEYWORD
from apps.connectors.rules.egress import path_problem
from apps.connectors.rules.openapi.guesses import Guess, amount_for, consequence_for, guess_of
from apps.connectors.rules.openapi.schemas import Reading
from apps.connectors.rules.parameters import METHODS, WITH_BODY, schema_problem
from apps.connectors.rules.secrets import MISPLACED, looks_secret
from apps.connectors.rules.states import Idempotency
from apps.connectors.rules.wording import visible_text
from apps.core.rules import ValueProblem, canonical_json

SLUG_MAX, NAME_MAX, KEY_MAX, PATH_MAX = 120, 160, 200, 500
PLACE = re.compile(r"\{([^{}]*)\}")
JSON_MEDIA = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:\s*;.*)?", re.I)
CHOICES = ("allOf", "anyOf", "oneOf", "not", "if")
UNSENT = frozenset({"accept", "content-type", "authorization"})
"""Header parameters that OpenAPI itself says are ignored."""
NO_OBJECT = "The body must be a JSON object, described by its properties."
IDEMPOTENCY_KEY = "idempotency-key"


@dataclass(frozen=True, slots=True)
class Described:
    """An operation that a document describes. ``definition`` is what is pinned; ``key`` is how it is found again."""

    key: str
    slug: str
    definition: dict[str, Any]
    guess: Guess
    consequence: str
    amount: dict[str, str] | None
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """``POST /payments``."""
        return f"{self.definition['method']} {self.definition['path']}"


@dataclass(frozen=True, slots=True)
class Unfit:
    """An operation that is not taken over: which, where in it, why and what to do."""

    where: str
    reason: str
    path: str = ""


@dataclass
class _Parts:
    """What was gathered of one operation."""

    path: str
    places: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    idempotency: str = Idempotency.NONE
    notes: list[str] = field(default_factory=list)


def operation_of(reading: Reading, *, method: str, path: str, item: Mapping[str, Any], node: Any, prefix: str,
                 connector: str) -> Described:  # fmt: skip
    """One operation. Raises ValueProblem whose path says where."""
    reading.budget.begin()
    node = reading.object_at(node, "")
    parts = _Parts(path)
    for name, parameter, where in _parameters(reading, item, node):
        _sort(reading, parts, name, parameter, where)
    body = _body(reading, method, node, parts)
    filled, names = _place_names(path, {*parts.query, *(body or {}).get("properties", {})})
    parameters = _merged(parts, body, names, method)
    problem = path_problem(prefix + filled) or schema_problem(parameters)
    if len(prefix + filled) > PATH_MAX:
        problem = f"The path has more than {PATH_MAX} characters."
    if problem:
        raise ValueProblem(problem, "parameters")
    operation_id, summary = _text(node, "operationId"), _text(node, "summary")
    name = visible_text(summary or words_of(operation_id) or f"{method} {path}")[:NAME_MAX]
    definition = {
        "name": name, "method": method, "path": prefix + filled, "parameters": parameters,
        "idempotency": str(parts.idempotency),
    }  # fmt: skip
    if looks_secret(canonical_json(definition).decode()):
        raise ValueProblem(MISPLACED)
    guess = guess_of(method=method, path=path, operation_id=operation_id, summary=summary, parameters=parameters)
    amount = amount_for(parameters)
    if node.get("deprecated") is True:
        parts.notes.append("The document calls it deprecated.")
    return Described(
        key=(operation_id or f"{method} {path}")[:KEY_MAX],
        slug=slug_for(connector, operation_id, method, path),
        definition=definition,
        guess=guess,
        consequence=consequence_for(name, parameters, guess.effect, amount),
        amount=amount,
        notes=tuple(parts.notes),
    )


def slug_for(connector: str, operation_id: str, method: str, path: str) -> str:
    """``bank.create_payment`` of ``createPayment``; ``bank.get_customers_id`` of what has no name."""
    said = operation_id or f"{method.lower()} {path}"
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", said)
    return f"{connector}.{'_'.join(word.lower() for word in words) or method.lower()}"[:SLUG_MAX].rstrip("_.-")


def words_of(operation_id: str) -> str:
    """``Create payment`` of ``createPayment``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", operation_id)
    return " ".join(word.lower() for word in words).capitalize()


def _text(node: Mapping[str, Any], name: str) -> str:
    found = node.get(name, "")
    if not isinstance(found, str):
        raise ValueProblem("A text is expected.", name)
    return " ".join(found.split())


def _parameters(
    reading: Reading, item: Mapping[str, Any], node: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """The parameters of the path and of the operation; the operation's own stand for those of the same name."""
    found: dict[tuple[str, str], tuple[Mapping[str, Any], str]] = {}
    for owner in (item, node):
        listed = owner.get("parameters", [])
        if not isinstance(listed, list):
            raise ValueProblem("A list is expected.", "parameters")
        for place, given in enumerate(listed):
            where = f"parameters.{place}"
            parameter = reading.object_at(given, where)
            name, inside = parameter.get("name"), parameter.get("in")
            if not isinstance(name, str) or not name or not name.isprintable():
                raise ValueProblem("A parameter has a name.", where)
            if inside not in {"path", "query", "header", "cookie"}:
                raise ValueProblem("A parameter is in: path, query, header or cookie.", f"{where}.in")
            found[str(inside), name] = parameter, where
    for (_inside, name), (parameter, where) in found.items():
        yield name, parameter, where


def _sort(reading: Reading, parts: _Parts, name: str, parameter: Mapping[str, Any], where: str) -> None:
    """Put one parameter where it goes."""
    if parameter["in"] in {"header", "cookie"}:
        _leave_out(parts, name, parameter, where)
        return
    if "schema" not in parameter:
        raise ValueProblem("A parameter is described by a schema; other forms are not sent.", where)
    made = reading.schema(parameter["schema"], f"{where}.schema")
    schema = dict(made) if isinstance(made, dict) else {}
    beside = {more: parameter[more] for more in ("description", KEYWORD) if more in parameter}
    schema |= reading.schema(beside, where) if beside else {}
    if parameter["in"] == "path":
        if not _is_one_of(schema, {"string", "integer"}):
            raise ValueProblem("What fills a path is a text or an integer.", where)
        parts.places[name] = schema
        return
    _check_style(parameter, schema, where)
    parts.query[name] = schema
    if parameter.get("required") is True:
        parts.required.append(name)


def _leave_out(parts: _Parts, name: str, parameter: Mapping[str, Any], where: str) -> None:
    """A header or a cookie: what is sent there is the plane's own."""
    inside, spelt = parameter["in"], name.lower()
    if inside == "header" and spelt == IDEMPOTENCY_KEY:
        parts.idempotency = Idempotency.HEADER
    elif inside == "header" and spelt in UNSENT:
        return
    elif parameter.get("required") is True:
        raise ValueProblem(f"It requires the {inside} {name[:80]!r}, and the plane sends none of its own.", where)
    else:
        parts.notes.append(f"The {inside} {visible_text(name)[:80]} is never sent.")


def _check_style(parameter: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> None:
    """The plane repeats a name for each item of a list, which is what OpenAPI means unless it says otherwise."""
    if not _is_one_of(schema, {"string", "integer", "number", "boolean", "array"}):
        raise ValueProblem("A query holds texts, numbers and lists of them; an object is not sent.", where)
    style, explode = parameter.get("style", "form"), parameter.get("explode", True)
    if _is_one_of(schema, {"array"}) and (style != "form" or explode is not True):
        raise ValueProblem("A list in a query is sent by repeating its name; no other style is.", where)


def _is_one_of(schema: Mapping[str, Any], kinds: set[str]) -> bool:
    """Whether its type is given and among these (null aside); a schema of values says its type by them."""
    said = schema.get("type")
    types = set(said) if isinstance(said, list) else {said}
    if said is None and schema.get("enum"):
        types = {"string" if isinstance(value, str) else "integer" for value in schema["enum"]}
    return bool(types - {"null"}) and types - {"null"} <= kinds


def _body(reading: Reading, method: str, node: Mapping[str, Any], parts: _Parts) -> dict[str, Any] | None:
    """The schema of the JSON body, an object; None without one."""
    if "requestBody" not in node:
        return None
    where = "requestBody"
    if method not in WITH_BODY:
        raise ValueProblem(f"A {method} with a body is not sent.", where)
    given = reading.object_at(node["requestBody"], where)
    content = given.get("content")
    media = [name for name in content if JSON_MEDIA.fullmatch(str(name))] if isinstance(content, Mapping) else []
    if not isinstance(content, Mapping) or not media:
        raise ValueProblem("Only a JSON body is sent: it has no content of application/json.", f"{where}.content")
    where = f"{where}.content.{media[0]}"
    kind = reading.object_at(content[media[0]], where)
    made = _as_object(reading.schema(kind.get("schema", {}), f"{where}.schema"), f"{where}.schema")
    if given.get("required") is not True and made.get("required"):
        parts.notes.append("The body is optional there; here its required parameters are required.")
    return made


def _as_object(given: Any, where: str) -> dict[str, Any]:
    """A schema of one object; plain parts of ``allOf`` are put together."""
    if not isinstance(given, dict):
        raise ValueProblem(NO_OBJECT, where)
    schema: dict[str, Any] = given
    if set(schema) - {"title", "description"} == {"allOf"}:
        schema = _joined(schema["allOf"], where)
    if "type" not in schema and ("properties" in schema or any(name in schema for name in CHOICES)):
        schema = {"type": "object", **schema}
    if schema.get("type") == ["object", "null"]:
        schema = {**schema, "type": "object"}
    if schema.get("type") != "object":
        raise ValueProblem(NO_OBJECT, where)
    return schema


def _joined(parts: list[Any], where: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for place, part in enumerate(parts):
        inside = _as_object(part, f"{where}.allOf.{place}")
        if set(inside) - {"type", "properties", "required", "title", "description", "additionalProperties"}:
            raise ValueProblem("Parts of allOf that say more than properties are not put together.", where)
        for name, schema in inside.get("properties", {}).items():
            if made["properties"].setdefault(name, schema) != schema:
                raise ValueProblem(f"Two parts of allOf describe {name[:80]!r} differently.", where)
        made["required"] += [name for name in inside.get("required", []) if name not in made["required"]]
        if inside.get("additionalProperties", True) is not True:
            raise ValueProblem("A part of allOf that admits no other properties leaves nothing for the rest.", where)
    return made


def _place_names(path: str, taken: set[str]) -> tuple[str, dict[str, str]]:
    """The path with names that a place may have, and which of the document's names became which."""
    names: dict[str, str] = {}
    for said in PLACE.findall(path):
        if said in names:
            raise ValueProblem(f"The path has {{{said[:80]}}} twice.", "parameters")
        plain = re.sub(r"\W", "_", said, flags=re.ASCII) or "_"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        while plain in taken or plain in names.values():
            plain += "_in_path"
        names[said] = plain
    return PLACE.sub(lambda found: f"{{{names[found.group(1)]}}}", path), names


def _merged(parts: _Parts, body: dict[str, Any] | None, names: Mapping[str, str], method: str) -> dict[str, Any]:
    """One schema of everything. Raises ValueProblem where the call could not be made as it says."""
    if missing := sorted(set(names) - set(parts.places)):
        raise ValueProblem(f"The path has {{{missing[0][:80]}}}, and no parameter says what it is.", "parameters")
    if method in WITH_BODY and parts.query:
        _drop_query(parts)
    places = {plain: parts.places[said] for said, plain in names.items()}
    made = {"type": "object", **(body or {})}
    own = made.get("properties", {})
    if places and any(name in made for name in CHOICES):
        raise ValueProblem("A body made of choices (oneOf, anyOf, ...) beside a path with places.", "requestBody")
    made["properties"] = {**places, **parts.query, **own}
    made["required"] = sorted({*places, *parts.required, *made.get("required", [])})
    if "additionalProperties" not in made and not any(name in made for name in CHOICES):
        made["additionalProperties"] = False
    for said, plain in names.items():
        if said != plain:
            parts.notes.append(f"{{{visible_text(said)[:80]}}} of the path is called {plain} here.")
    if not made["required"]:
        del made["required"]
    return made


def _drop_query(parts: _Parts) -> None:
    """Beside a body nothing is sent in the query: optional parameters are left out, a required one refuses."""
    if parts.required:
        name = parts.required[0][:80]
        raise ValueProblem(f"It requires {name!r} in the query, and beside a body none is sent.", "parameters")
    parts.notes += [f"{visible_text(name)[:80]} in the query is never sent." for name in parts.query]
    parts.query.clear()


def methods_of(item: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The methods of a path that the plane calls."""
    for name, node in item.items():
        if name.upper() in METHODS and name.islower():
            yield name.upper(), node
