"""Expressions of steps: what they may name, how they are checked before a version is published, how they run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from apps.core.expressions import (
    ContextError,
    Declarations,
    EvaluationError,
    ExpressionError,
    Kind,
    Limits,
    Plain,
    Program,
    compile_expression,
    path_of,
    walk,
)
from apps.core.expressions.syntax import Macro
from apps.workflows.rules.definition import StepDef
from apps.workflows.rules.states import Kind as StepKind

VIEW = Limits(context_bytes=256 * 1024, string_bytes=64 * 1024, list_items=10_000)
RUNTIME = Declarations({"input": Kind.DYN, "run": Kind.MAP, "steps": Kind.MAP, "item": Kind.DYN}, limits=VIEW)
RUN_FIELDS = dict.fromkeys(("id", "workflow", "key", "started_by", "on_behalf_of", "unit", "started_at"), Kind.STRING)
_HAS = re.compile(r"has\([A-Za-z_][\w.\[\]\"']*\)")
_KINDS = {"string": Kind.STRING, "boolean": Kind.BOOL, "integer": Kind.INT, "array": Kind.LIST, "object": Kind.MAP}


class StepError(Exception):
    """An expression that has no value when its step runs: the step's error, not the engine's."""


@dataclass(frozen=True, slots=True)
class View:
    """What expressions see."""

    input: Any
    run: Mapping[str, Any]
    steps: Mapping[str, Any]
    item: Any = None


@lru_cache(maxsize=4096)
def program_of(source: str) -> Program:
    """The compiled program, kept: a source runs far more often than it is written. Raises ExpressionError."""
    return compile_expression(source, RUNTIME)


def named_steps(source: str) -> frozenset[str]:
    """The steps whose outputs ``source`` reads."""
    try:
        return frozenset(path[1] for path in _paths(program_of(source)) if path[0] == "steps" and len(path) > 1)
    except ExpressionError:
        return frozenset()


class Evaluator:
    """Evaluates any number of expressions on one view, converting it once. Raises StepError."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._activation: Any = None

    def value(self, source: str) -> Plain:
        """The value of ``source``."""
        try:
            if self._activation is None:
                self._activation = RUNTIME.activation(
                    {
                        "input": self.view.input,
                        "run": dict(self.view.run),
                        "steps": dict(self.view.steps),
                        "item": self.view.item,
                    }
                )
            found = program_of(source).evaluate(self._activation)
        except (ContextError, ExpressionError) as error:
            raise StepError(f"{source}: {error}") from error
        if isinstance(found, EvaluationError):
            raise StepError(f"{source}: {found.message}")
        return found

    def holds(self, source: str) -> bool:
        """Whether a condition is true."""
        found = self.value(source)
        if not isinstance(found, bool):
            raise StepError(f"{source}: a condition is true or false.")
        return found

    def fill(self, template: Any) -> Any:
        """``template`` with each text replaced by its value."""
        match template:
            case str():
                return json_value(self.value(template), template)
            case Mapping():
                return {name: self.fill(value) for name, value in template.items()}
            case list() | tuple():
                return [self.fill(value) for value in template]
            case _:
                return template


def json_value(value: Plain, source: str) -> Any:
    """``value`` if it is JSON. Times, durations and bytes are not: the author says how to write them."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [json_value(item, source) for item in value]
        case dict():
            return {name: json_value(item, source) for name, item in value.items()}
    raise StepError(f"{source}: gives a {type(value).__name__}; write string(...) of it.")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a value before a run: its kind, its fields, and whether it may have others."""

    kind: Kind = Kind.DYN
    fields: Mapping[str, "Shape"] | None = None
    open: bool = True


def shape_of(schema: Any, depth: int = 8) -> Shape:
    """The shape that a JSON Schema promises; anything unclear is any value."""
    if not isinstance(schema, dict) or depth == 0:
        return Shape()
    kind = _KINDS.get(schema["type"], Kind.DYN) if isinstance(schema.get("type"), str) else Kind.DYN
    properties = schema.get("properties")
    if kind is not Kind.MAP or not isinstance(properties, dict):
        return Shape(kind)
    fields = {str(name): shape_of(part, depth - 1) for name, part in properties.items()}
    return Shape(kind, fields, open=schema.get("additionalProperties", True) is not False)


def shape_of_step(step: StepDef) -> Shape:
    """What ``steps.<name>`` will be."""
    texts = Shape(Kind.STRINGS)
    match step.kind:
        case StepKind.APPROVAL:
            text = Shape(Kind.STRING)
            fields = {"outcome": text, "reason": text, "decided_by": texts, "decided_at": text}
            return Shape(Kind.MAP, fields, open=False)
        case StepKind.FORM:
            answer = shape_of(step.schema)
            return Shape(Kind.MAP, {**(answer.fields or {}), "decided_by": texts}, open=answer.open)
        case _ if step.for_each:
            return Shape(Kind.LIST)
        case StepKind.AGENT:
            return shape_of(step.schema)
        case _:
            return Shape()


@dataclass(frozen=True, slots=True)
class Scope:
    """What the expressions of one place may name: shapes by root path, such as ``input`` or ``steps.quotes``."""

    input: Shape
    steps: Mapping[str, Shape]
    known_steps: frozenset[str]
    item: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with an expression, and where in it; both count from 1."""

    message: str
    line: int = 1
    column: int = 1


def check_expression(source: str, scope: Scope, *, returns: Kind | None = None) -> list[Finding]:
    """Everything wrong with ``source`` in ``scope``: what does not compile, names nothing, or gives another kind."""
    try:
        program = compile_expression(source, RUNTIME)
    except ExpressionError as error:
        return [Finding(problem.message, problem.line, problem.column) for problem in error.problems]
    if findings := list(_wrong_names(program, scope)):
        return findings
    typed = _HAS.sub(lambda found: "true".ljust(len(found[0])), source)
    try:
        compile_expression(typed, _declarations(scope), returns=returns)
    except ExpressionError as error:
        return [Finding(problem.message, problem.line, problem.column) for problem in error.problems]
    return []


def _paths(program: Program) -> Iterator[tuple[str, ...]]:
    for node in walk(program.tree):
        if path := path_of(node):
            yield path


def _wrong_names(program: Program, scope: Scope) -> Iterator[Finding]:
    seen: set[str] = set()
    bound = {node.variable for node in walk(program.tree) if isinstance(node, Macro)}
    for node in walk(program.tree):
        path = path_of(node)
        if path is None or path[0] in bound:
            continue
        message = _wrong_path(path, scope)
        if message and message not in seen:
            seen.add(message)
            yield Finding(message, node.at.line, node.at.column)


def _wrong_path(path: tuple[str, ...], scope: Scope) -> str | None:
    match path:
        case ("item", *_) if not scope.item:
            return "“item” is known only in a step with for_each."
        case ("steps", name, *rest):
            return _wrong_step(name, rest, scope)
        case ("input", *rest):
            return _missing(scope.input, rest, "input")
        case ("run", name, *_) if name not in RUN_FIELDS:
            return f"A run has no {name!r}; it has {', '.join(RUN_FIELDS)}."
        case _:
            return None


def _wrong_step(name: str, rest: list[str], scope: Scope) -> str | None:
    if name not in scope.known_steps:
        return f"There is no step {name!r}."
    if name not in scope.steps:
        return f"The step {name!r} does not come before this one, so its output is not known here."
    return _missing(scope.steps[name], rest, f"steps.{name}")


def _missing(shape: Shape, rest: list[str], at: str) -> str | None:
    for name in rest:
        if shape.fields is None:
            return None
        if name not in shape.fields:
            return None if shape.open else f"{at} has no {name!r}."
        shape, at = shape.fields[name], f"{at}.{name}"
    return None


def _declarations(scope: Scope) -> Declarations:
    variables = {f"run.{name}": kind for name, kind in RUN_FIELDS.items()}
    variables.update(_variables("input", scope.input))
    for name, shape in scope.steps.items():
        variables.update(_variables(f"steps.{name}", shape))
    variables |= {"steps": Kind.MAP, "run": Kind.MAP}
    if scope.item:
        variables["item"] = Kind.DYN
    return Declarations(variables, limits=VIEW)


def _variables(path: str, shape: Shape) -> Iterator[tuple[str, Kind]]:
    yield path, shape.kind
    for name, part in (shape.fields or {}).items():
        if name.isidentifier():
            yield from _variables(f"{path}.{name}", part)
