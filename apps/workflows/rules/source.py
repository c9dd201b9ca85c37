"""Reading a document's text, YAML or JSON, with the place of every value, so that a message can name a line.

YAML is read in its JSON subset: true, false, null, numbers and text. ``no`` is text, ``12:30`` is text, a date is text;
tags, keys that are not text and keys given twice are refused, and aliases cannot multiply beyond the limit.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 256 * 1024
MAX_VALUES = 50_000
MAX_DEPTH = 64

type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document: where in it, and in its text when it came from a text."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.path + ': ' if self.path else ''}{self.message}"


class SourceError(ValueError):
    """A text that cannot be read; ``problem`` says where."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


@dataclass(frozen=True, slots=True)
class Source:
    """A document as plain JSON values, and where each value stands in its text."""

    value: Any
    text: str = ""
    marks: Mapping[Path, Mark] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at ``path``, with the line of the nearest value that has one."""
        at = path
        while at and at not in self.marks:
            at = at[:-1]
        mark = self.marks.get(at)
        return Problem(dotted(path), message, mark.line if mark else None, mark.column if mark else None)


def dotted(path: Path) -> str:
    """``steps.approve.exclude[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Loader(yaml.SafeLoader):
    """Only what JSON has is resolved; the rest stays text."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
    list("-0123456789"),
)

_SCALARS: dict[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:bool": lambda text: text == "true",
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
}


def read_source(text: str) -> Source:
    """The one document in ``text``. Raises SourceError."""
    found = read_sources(text)
    if len(found) != 1:
        raise SourceError(Problem("", f"One document is expected, not {len(found)}.", 1, 1))
    return found[0]


def read_sources(text: str) -> list[Source]:
    """Every document of ``text`` (separated by ``---``), each with its own text. Raises SourceError."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES * 16:
        raise SourceError(Problem("", f"A file has at most {MAX_BYTES * 16} bytes.", 1, 1))
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"This is not YAML: {error.problem or error.context}."
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise SourceError(Problem("", message, *place)) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SourceError(Problem("", f"This is not YAML: {error}.", 1, 1)) from error
    return [_read_node(node, text) for node in nodes]


def _read_node(node: yaml.Node, text: str) -> Source:
    reader = _Reader()
    value = reader.read(node, ())
    part = text[node.start_mark.index : node.end_mark.index]
    if len(part.encode("utf-8", "replace")) > MAX_BYTES:
        raise SourceError(Problem("", f"A document has at most {MAX_BYTES} bytes.", node.start_mark.line + 1, 1))
    return Source(value, part, reader.marks)


class _Reader:
    def __init__(self) -> None:
        self.marks: dict[Path, Mark] = {}
        self.left = MAX_VALUES

    def read(self, node: yaml.Node, path: Path) -> Any:
        mark = Mark(node.start_mark.line + 1, node.start_mark.column + 1)
        self.marks.setdefault(path, mark)
        self.left -= 1
        if self.left < 0:
            self._refuse(node, path, f"More than {MAX_VALUES} values.")
        if len(path) > MAX_DEPTH:
            self._refuse(node, path, f"More than {MAX_DEPTH} levels.")
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, path)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.read(item, (*path, place)) for place, item in enumerate(node.value)]
            case yaml.ScalarNode() if node.tag in _SCALARS:
                return self._scalar(node, path)
        return self._refuse(node, path, f"The tag {node.tag} is not taken.")

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        try:
            return _SCALARS[node.tag](node.value)
        except ValueError:
            return self._refuse(node, path, f"{node.value[:40]!r} is no value of its tag.")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _SCALARS:
                self._refuse(key, path, "A key is text.")
            name = str(key.value)
            if name in found:
                self._refuse(key, (*path, name), f"The key {name!r} is given twice.")
            self.marks[(*path, name)] = Mark(key.start_mark.line + 1, key.start_mark.column + 1)
            found[name] = self.read(value, (*path, name))
        return found

    def _refuse(self, node: yaml.Node, path: Path, message: str) -> Any:
        mark = node.start_mark
        raise SourceError(Problem(dotted(path), message, mark.line + 1, mark.column + 1))
