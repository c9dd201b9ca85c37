"""The expressions of a document, each in the scope of its place."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.core.expressions import Kind as Type
from apps.workflows.rules.definition import StepDef
from apps.workflows.rules.expressions import Scope, Shape, check_expression, shape_of, shape_of_step
from apps.workflows.rules.graph import Graph
from apps.workflows.rules.source import Path, Problem, Source


def expression_problems(source: Source, steps: Mapping[str, StepDef]) -> Iterator[Problem]:
    """Expressions that do not compile, name what is not known at their place, or give another kind of value."""
    graph = Graph.of({name: [edge.source for edge in step.needs] for name, step in steps.items()})
    given = shape_of(source.value.get("input"))
    shapes = {name: shape_of_step(step) for name, step in steps.items()}
    start = Scope(given, {}, frozenset(steps))
    for key in ("key", "exclusive"):
        if key in source.value:
            yield from _checked(source, (key,), source.value[key], start, Type.STRING)
    for name, step in steps.items():
        before = {other: shapes[other] for other in graph.before[name]}
        scope = Scope(given, before, frozenset(steps))
        yield from _step_expressions(source, step, scope, shapes[name])


def _step_expressions(source: Source, step: StepDef, scope: Scope, own: Shape) -> Iterator[Problem]:
    path: Path = ("steps", step.name)
    after = Scope(scope.input, {**scope.steps, step.name: own}, scope.known_steps)
    items = bool(step.for_each)
    each = Scope(scope.input, scope.steps, scope.known_steps, item=items)
    undo = Scope(scope.input, {**scope.steps, step.name: shape_of(None)}, scope.known_steps, item=items)
    single: list[tuple[Path, str | None, Type | None, Scope]] = [
        (("when",), step.when, Type.BOOL, scope),
        (("for_each",), step.for_each, Type.LIST, scope),
        (("approval", "subject"), step.subject, None, scope),
        (("rule", "value"), step.value, None, scope),
    ]
    single += [(part, needed, Type.INT, scope) for part, needed in _quorum_texts(source, step)]
    single += [(("exclude", place), text, None, scope) for place, text in enumerate(step.exclude)]
    single += [((step.kind.value, "context", key), text, None, scope) for key, text in step.context.items()]
    single += [(("decide", place, key), text, Type.BOOL, after) for place, (key, text) in enumerate(step.decide)]
    for part, text, returns, where in single:
        if text is not None:
            yield from _checked(source, (*path, *part), text, where, returns)
    yield from _templates(source, (*path, "with"), step.inputs, each)
    if step.compensate:
        yield from _templates(source, (*path, "compensate", "with"), step.compensate.inputs, undo)


def _quorum_texts(source: Source, step: StepDef) -> Iterator[tuple[Path, str]]:
    """The numbers of a quorum that are expressions, where they stand in the document."""
    raw = source.value["steps"][step.name].get("quorum")
    for place, voters in enumerate(step.quorum):
        if isinstance(voters.needed, str):
            within: Path = ("quorum", place, "n") if isinstance(raw, list) else ("quorum", "n")
            yield ("quorum",) if isinstance(raw, str) else within, voters.needed


def _templates(source: Source, path: Path, template: Any, scope: Scope) -> Iterator[Problem]:
    match template:
        case str():
            yield from _checked(source, path, template, scope, None)
        case Mapping():
            for key, value in template.items():
                yield from _templates(source, (*path, key), value, scope)
        case list():
            for place, value in enumerate(template):
                yield from _templates(source, (*path, place), value, scope)


def _checked(source: Source, path: Path, text: str, scope: Scope, returns: Type | None) -> Iterator[Problem]:
    for finding in check_expression(text, scope, returns=returns):
        at = (
            f" (at {finding.line}:{finding.column} of the expression)"
            if (finding.line, finding.column) != (1, 1)
            else ""
        )
        yield source.problem(path, f"{finding.message}{at}")
