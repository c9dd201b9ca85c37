"""Where a JSON Schema names classes of data."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from apps.classification.rules.terms import ANY, Classed

KEYWORD = "x-data-class"
NAME = re.compile(r"[A-Za-z0-9_$-]+")


def classed_by(schema: object, known: Container[str]) -> tuple[dict[str, list[list[str]]], dict[str, str]]:
    """The paths that each class is carried by, and what is wrong with the schema's classes, by position.

    A class that cannot be followed is refused: what carries it would be shown to everybody.
    """
    walk = _Walk(schema, known)
    walk.at(schema, (), "", ())
    for pointer in _named_in(schema):
        if pointer not in walk.seen:
            walk.say(pointer, "No parameter is described here, so nothing would be hidden.")
    found: dict[str, list[list[str]]] = {}
    for slug, path in sorted(walk.found):
        found.setdefault(slug, []).append(list(path))
    return found, walk.problems


SAME_PLACE = ("allOf", "anyOf", "oneOf", "if", "then", "else", "not")
INSIDE = ("additionalProperties", "unevaluatedProperties", "items", "contains", "unevaluatedItems", "prefixItems")
NAMED = ("properties", "patternProperties", "dependentSchemas")
NO_SCHEMA = frozenset({"enum", "const", "default", "examples"})


class _Anything:
    """Knows every class: what was saved was checked then."""

    def __contains__(self, slug: object) -> bool:
        return True


ANYTHING = _Anything()


def position_of(pointer: str) -> tuple[str | int, ...]:
    """A position of ``classed_by`` as keys and places."""
    return tuple(int(part) if part.isdigit() else part for part in pointer.split("."))


def named(schema: object) -> bool:
    """Whether a schema names a class anywhere."""
    return any(True for _pointer in _named_in(schema))


class _Walk:
    """One walk through a schema, along its references."""

    def __init__(self, root: object, known: Container[str]) -> None:
        self.root, self.known = root, known
        self.found: set[tuple[str, tuple[str, ...]]] = set()
        self.seen: set[str] = set()
        self.problems: dict[str, str] = {}

    def say(self, pointer: str, problem: str) -> None:
        self.problems.setdefault(f"{pointer}.{KEYWORD}".lstrip("."), problem)

    def at(self, node: object, path: tuple[str, ...], pointer: str, refs: tuple[str, ...]) -> None:
        if isinstance(node, list):
            for index, each in enumerate(node):
                self.at(each, path, f"{pointer}.{index}", refs)
        if not isinstance(node, Mapping):
            return
        if KEYWORD in node:
            self._name(node[KEYWORD], path, pointer)
        if isinstance(ref := node.get("$ref"), str):
            self._follow(ref, path, pointer, refs)
        for place, part, below in _parts_of(node, path):
            self.at(part, below, _below(pointer, place), refs)

    def _name(self, slug: object, path: tuple[str, ...], pointer: str) -> None:
        self.seen.add(pointer)
        if not isinstance(slug, str) or slug not in self.known:
            self.say(pointer, f"There is no data class {slug!r}.")
        elif not path:
            self.say(pointer, "A class belongs to a parameter, not to all of them together.")
        elif odd := [part for part in path if part != ANY and not NAME.fullmatch(part)]:
            self.say(pointer, f"A parameter with a class has letters, digits, _, $ and - in its name, not {odd[0]!r}.")
        else:
            self.found.add((slug, path))

    def _follow(self, ref: str, path: tuple[str, ...], pointer: str, refs: tuple[str, ...]) -> None:
        target, parts = self.root, [each.replace("~1", "/").replace("~0", "~") for each in ref.split("/")[1:]]
        for part in parts:
            target = target.get(part) if isinstance(target, Mapping) else None
        if ref not in refs:
            self.at(target, path, ".".join(parts), (*refs, ref))
        elif any(_named_in(target)):
            self.say(pointer, "A class within what refers to itself cannot be followed.")


def _parts_of(node: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, object, tuple[str, ...]]]:
    """``(key, schema, path)`` of what a schema says of the same value, of its parts, and of its named parts."""
    for keys, below in ((SAME_PLACE, path), (INSIDE, (*path, ANY))):
        yield from ((key, node[key], below) for key in keys if key in node)
    for key in NAMED:
        for name, part in node[key].items() if isinstance(node.get(key), Mapping) else ():
            below = {"properties": (*path, str(name)), "patternProperties": (*path, ANY)}.get(key, path)
            yield f"{key}.{name}", part, below


def _below(pointer: str, key: str) -> str:
    return f"{pointer}.{key}".lstrip(".")


def _named_in(node: object, pointer: str = "") -> Iterator[str]:
    """Wherever the keyword stands, reached or not. A property may have its name: only texts and numbers count."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from _named_in(each, f"{pointer}.{index}")
    if isinstance(node, Mapping):
        if KEYWORD in node and not isinstance(node[KEYWORD], Mapping):
            yield pointer
        for key, part in node.items():
            if key not in NO_SCHEMA:
                yield from _named_in(part, _below(pointer, str(key)))


def covers(classed: Classed, path: Sequence[str]) -> str:
    """The class of a path, of something around it or of something inside it; empty where there is none."""
    for slug, paths in classed.items():
        if any(all(ANY in pair or pair[0] == pair[1] for pair in zip(one, path, strict=False)) for one in paths):
            return slug
    return ""
