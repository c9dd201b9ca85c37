"""Schemas of an OpenAPI document as one self-contained JSON Schema: references inlined, 3.0 spelt as 3.1.

Nothing is ever fetched. What cannot be kept without meaning less than it says is refused, never dropped in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from apps.classification.rules import KEYWORD, SLUG
from apps.core.rules import ValueProblem
from apps.core.validating import pattern_problem

NODES_MAX, ALL_NODES_MAX, DEPTH_MAX = 1_500, 40_000, 30
CHARS_MAX, ALL_CHARS_MAX = 60_000, 2_000_000
TOO_LARGE = "Its schema is too large once every $ref is written out. Cut it down to what you need."
PLACE = re.compile(r"[0-9]{1,5}")
"""A place in a list, as a $ref names it."""

TABLES = frozenset({"properties", "patternProperties", "dependentSchemas"})
SINGLE = frozenset(
    {"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
     "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip
LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
KEPT = frozenset(
    {"type", "enum", "const", "default", "format", "multipleOf", "maximum", "exclusiveMaximum", "minimum",
     "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains",
     "minContains", "maxProperties", "minProperties", "required", "dependentRequired", "title", "description",
     KEYWORD}
)  # fmt: skip
REFUSED = frozenset({"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor", "$id"})
ANNOTATIONS = frozenset({"title", "description", KEYWORD})


@dataclass
class Budget:
    """How many nodes and characters are left, of one operation and of the document: references could multiply them."""

    all_left: int = ALL_NODES_MAX
    left: int = NODES_MAX
    all_chars: int = ALL_CHARS_MAX
    chars: int = CHARS_MAX

    def begin(self) -> None:
        """The next operation."""
        self.left, self.chars = NODES_MAX, CHARS_MAX

    def spend(self, path: str, *, chars: int = 0) -> None:
        """One more node, or so many characters of one. Raises ValueProblem."""
        nodes = 0 if chars else 1
        self.left, self.all_left = self.left - nodes, self.all_left - nodes
        self.chars, self.all_chars = self.chars - chars, self.all_chars - chars
        if min(self.left, self.all_left, self.chars, self.all_chars) < 0:
            raise ValueProblem(TOO_LARGE, path)


@dataclass(frozen=True)
class Reading:
    """A document being read: where references lead, how schemas are spelt in it, what may still be spent."""

    root: Mapping[str, Any]
    is_old: bool
    budget: Budget = field(default_factory=Budget)

    def resolve(self, ref: object, path: str) -> Any:
        """What a local reference names. Raises ValueProblem for all others: nothing is fetched."""
        if not isinstance(ref, str) or not ref.startswith("#/"):
            raise ValueProblem("A $ref leads out of the document, and nothing is fetched. Copy it in.", path)
        here: Any = self.root
        for part in ref[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(here, Mapping) and name in here:
                here = here[name]
            elif isinstance(here, list) and PLACE.fullmatch(name) and int(name) < len(here):
                here = here[int(name)]
            else:
                raise ValueProblem(f"The $ref {ref[:120]!r} leads nowhere.", path)
        return here

    def object_at(self, value: Any, path: str) -> Mapping[str, Any]:
        """An object that is no schema (a parameter, a body, a path), through its reference. Raises ValueProblem."""
        seen: set[str] = set()
        while isinstance(value, Mapping) and "$ref" in value:
            ref = value["$ref"]
            if str(ref) in seen:
                raise ValueProblem(f"The $ref {str(ref)[:120]!r} leads back to itself.", path)
            seen.add(str(ref))
            value = self.resolve(ref, path)
        if not isinstance(value, Mapping):
            raise ValueProblem("An object is expected.", path)
        return value

    def schema(self, node: Any, path: str, trail: tuple[str, ...] = (), depth: int = 0) -> Any:
        """A schema without references. Raises ValueProblem: circles, foreign references, too large, not supported."""
        self.budget.spend(path)
        if isinstance(node, bool):
            return node
        if not isinstance(node, Mapping):
            raise ValueProblem("A schema is expected.", path)
        if depth > DEPTH_MAX:
            raise ValueProblem(f"Its schema nests more than {DEPTH_MAX} levels deep.", path)
        if "$ref" in node:
            return self._referred(node, path, trail, depth)
        if found := sorted(REFUSED & set(node)):
            raise ValueProblem(f"{found[0]} is not supported; use a $ref into components.", path)
        made = self._inside(node, path, trail, depth)
        return _modern(made, node) if self.is_old else made

    def _referred(self, node: Mapping[str, Any], path: str, trail: tuple[str, ...], depth: int) -> Any:
        ref = str(node["$ref"])
        if ref in trail:
            raise ValueProblem(f"Its schema refers to itself ({ref[:120]}). Write out the levels that you need.", path)
        found = self.schema(self.resolve(node["$ref"], path), path, (*trail, ref), depth + 1)
        beside = {} if self.is_old else self._inside(node, path, trail, depth)
        if not beside:
            return found
        if isinstance(found, dict) and set(beside) <= ANNOTATIONS:
            return {**found, **beside}
        return {"allOf": [found], **beside}

    def _inside(self, node: Mapping[str, Any], path: str, trail: tuple[str, ...], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in node.items():
            here = f"{path}.{name}"
            if name in TABLES:
                made[name] = {
                    key: self.schema(part, f"{here}.{key}", trail, depth + 1)
                    for key, part in _mapping(value, here).items()
                    if not (name == "properties" and self._is_read_only(part, f"{here}.{key}"))
                }
            elif name in LISTS:
                parts = enumerate(_list(value, here))
                made[name] = [self.schema(part, f"{here}.{place}", trail, depth + 1) for place, part in parts]
            elif name in SINGLE:
                made[name] = self.schema(value, here, trail, depth + 1)
            elif name in KEPT:
                self.budget.spend(here, chars=len(str(value)) + len(here))
                made[name] = _checked(name, value, here)
        if "properties" in made and isinstance(made.get("required"), list):
            gone = set(_mapping(node["properties"], path)) - set(made["properties"])
            made["required"] = [name for name in made["required"] if name not in gone]
        return made

    def _is_read_only(self, part: Any, path: str) -> bool:
        return isinstance(part, Mapping) and self.object_at(part, path).get("readOnly") is True


def _checked(name: str, value: Any, path: str) -> Any:
    """A keyword's value as it is. Raises ValueProblem for patterns that are not taken and odd data classes."""
    if name == KEYWORD and not (isinstance(value, str) and SLUG.fullmatch(value)):
        raise ValueProblem("A data class is named by its slug (small letters, digits, - and _).", path)
    if name == "enum":
        return _list(value, path)
    if name == "required":
        if not all(isinstance(item, str) for item in _list(value, path)):
            raise ValueProblem("A list of names is expected.", path)
        return sorted(set(value))  # an order that means nothing is no change
    if name == "pattern" and (problem := pattern_problem(value)):
        raise ValueProblem(problem, path)
    return value


def _modern(made: dict[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of OpenAPI 3.0 as JSON Schema 2020-12 spells it: limits and null."""
    for limit, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if made.pop(limit, False) is True and bound in made:
            made[limit] = made.pop(bound)
        elif limit in node and not isinstance(node[limit], bool):
            made[limit] = node[limit]
    if node.get("nullable") is not True:
        return made
    if "enum" in made and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    if isinstance(made.get("type"), str):
        return {**made, "type": [made["type"], "null"]}
    return {"anyOf": [made, {"type": "null"}]}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueProblem("An object is expected.", path)
    return value


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueProblem("A list is expected.", path)
    return value
