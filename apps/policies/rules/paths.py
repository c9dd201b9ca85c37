"""Whether a parameter schema has what a dotted path names, part by part. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.validating import pointed_at

ANY = "*"
_LISTED = ("items", "prefixItems", "contains", "unevaluatedItems")
_CHOICES = ("anyOf", "oneOf")
_UNREAD = ("$dynamicRef", "if", "then", "else", "dependentSchemas", "patternProperties", "unevaluatedProperties")
_NOTHING: Mapping[str, Any] = {"type": "null"}
_MOST, _DEEPEST = 2000, 16
"""Schemas that are looked at for one path, and those within each other that say something of one value: what takes
more cannot be known."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Where a path leads nowhere: the parts that lead there, and the names that might follow them."""

    before: tuple[str, ...]
    names: tuple[str, ...] = ()


def lack_of(schema: Mapping[str, Any], path: Sequence[str]) -> Lack | None:
    """Where ``path`` leads nowhere in ``schema``; None where it leads somewhere, or where nobody can know.

    ``*`` is any item of a list and any value of an object. An object that names properties has no others but by
    ``additionalProperties`` or by keywords that only a value can answer; one that names none may have any.
    """
    return _Walk(schema).lack([schema], (), tuple(path))


class _Walk:
    """One walk along one path, references included."""

    def __init__(self, root: object) -> None:
        self.root, self.left = root, _MOST

    def lack(
        self, said: Sequence[object], before: tuple[str, ...], path: tuple[str, ...], deep: int = 0
    ) -> Lack | None:
        """``said``: the schemas that the value behind ``before`` fits, all of them; ``deep``: choices around them."""
        if not path or deep > _DEEPEST:
            return None
        views = [view for each in said for view in self.views(each, 0)]
        chosen = [(view, key) for view in views for key in _CHOICES if isinstance(view.get(key), list)]
        if len(chosen) > 1 or self.left < 0 or any(key in view for view in views for key in _UNREAD):
            return None
        if chosen:
            return _best(self.lack(each, before, path, deep + 1) for each in _either(views, *chosen[0]))
        return self.step(views, before, path)

    def views(self, node: object, deep: int) -> Iterator[Mapping[str, Any]]:
        """What a schema says of one value: itself, and what it refers to or repeats."""
        self.left = self.left - 1 if deep <= _DEEPEST else -1
        if self.left < 0 or not isinstance(node, Mapping):
            if node is False:
                yield _NOTHING
            return
        yield {key: part for key, part in node.items() if key not in ("allOf", "$ref")}
        yield from (view for part in _several(node.get("allOf")) for view in self.views(part, deep + 1))
        if isinstance(ref := node.get("$ref"), str):
            yield from self.views(self.target(ref), deep + 1)

    def target(self, ref: str) -> object:
        """What a reference within the schema means; what cannot be found says nothing."""
        found = pointed_at(ref, self.root)
        return {} if found is None else found

    def step(self, views: Sequence[Mapping[str, Any]], before: tuple[str, ...], path: tuple[str, ...]) -> Lack | None:
        part, rest = path[0], path[1:]
        named = [(name, each) for view in views for name, each in _properties(view).items()]
        others = [view["additionalProperties"] for view in views if "additionalProperties" in view]
        below = [each for each in others if each is not False]
        if part == ANY:
            listed = [each for view in views for key in _LISTED for each in _several(view.get(key))]
            if inside := [*listed, *(each for _, each in named), *below]:
                return _best(self.lack([each], (*before, part), rest) for each in inside)
        elif here := [each for name, each in named if name == part] or below:
            return self.lack(here, (*before, part), rest)
        if named or others or not _may_hold(views, part):
            return Lack(before, tuple(sorted({name for name, _ in named})))
        return None


def _properties(view: Mapping[str, Any]) -> Mapping[str, Any]:
    found = view.get("properties")
    return found if isinstance(found, Mapping) else {}


def _several(part: object) -> Sequence[object]:
    return part if isinstance(part, list) else [] if part is None else [part]


def _may_hold(views: Iterable[Mapping[str, Any]], part: str) -> bool:
    """Whether a value that nothing more is said of can have something at ``part``."""
    holding = {"object", "array"} if part == ANY else {"object"}
    return all("type" not in view or holding.intersection(_several(view["type"])) for view in views)


def _either(views: Sequence[Mapping[str, Any]], chooses: Mapping[str, Any], key: str) -> Iterator[list[object]]:
    others = [view for view in views if view is not chooses]
    own = {name: part for name, part in chooses.items() if name != key}
    yield from ([*others, own, each] for each in chooses[key])


def _best(found: Iterable[Lack | None]) -> Lack | None:
    """Of several that may be, the one in which the path leads furthest."""
    lacks = list(found)
    return None if None in lacks else max((each for each in lacks if each), key=lambda each: len(each.before))
