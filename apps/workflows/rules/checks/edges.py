"""The graph of a document: edges, cycles, rework, joins and deadlines."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.workflows.rules.definition import StepDef, compile_document, definition_of, edge_of
from apps.workflows.rules.graph import Graph
from apps.workflows.rules.source import Path, Problem, Source
from apps.workflows.rules.states import Kind


def graph_problems(source: Source) -> Iterator[Problem]:
    """Edges that lead nowhere or in a circle, rework that does not lead back, joins and deadlines that say nothing."""
    steps: Mapping[str, Any] = source.value["steps"]
    for name, step in steps.items():
        for place, text in enumerate(step.get("needs", ())):
            if edge_of(text).source not in steps:
                yield source.problem(("steps", name, "needs", place), f"There is no step {edge_of(text).source!r}.")
    graph = Graph.of({name: [edge_of(t).source for t in step.get("needs", ())] for name, step in steps.items()})
    if loop := graph.cycle():
        message = f"The steps need each other in a circle: {' → '.join(loop)}. Use “back_to” for rework."
        yield source.problem(("steps", loop[0], "needs"), message)
        return
    definition = definition_of(compile_document(source.value))
    for name, compiled in definition.steps.items():
        yield from _edges(source, compiled, definition.steps)
        yield from _back(source, compiled, graph)
        yield from _join_and_due(source, compiled)
        decided = [outcome for outcome, _ in compiled.decide]
        if len(set(decided)) < len(decided):
            yield source.problem(("steps", name, "decide"), "An outcome is decided twice.")


def _edges(source: Source, step: StepDef, steps: Mapping[str, StepDef]) -> Iterator[Problem]:
    for place, edge in enumerate(step.needs):
        before = steps.get(edge.source)
        if before is None:
            continue  # said already
        if edge.outcome and edge.outcome not in before.outcomes:
            message = f"{edge.source} never ends with {edge.outcome!r}; it ends with {', '.join(before.outcomes)}."
            yield source.problem(("steps", step.name, "needs", place), message)
        elif edge.outcome and (back := before.back.get(edge.outcome)) and back.otherwise == "fail":
            message = f"{edge.source} never leads on with {edge.outcome!r}: that goes back, then fails."
            yield source.problem(("steps", step.name, "needs", place), message)


def _back(source: Source, step: StepDef, graph: Graph) -> Iterator[Problem]:
    for outcome, back in step.back.items():
        path: Path = ("steps", step.name, "outcomes", outcome)
        if outcome not in step.outcomes:
            yield source.problem(
                path, f"This step never ends with {outcome!r}; it ends with {', '.join(step.outcomes)}."
            )
        elif back.to != step.name and back.to not in graph.before[step.name]:
            yield source.problem((*path, "back_to"), f"{back.to!r} does not come before {step.name!r}.")


def _join_and_due(source: Source, step: StepDef) -> Iterator[Problem]:
    path: Path = ("steps", step.name)
    raw = source.value["steps"][step.name]
    if step.on_error.then == "reroute" and not step.on_error.to:
        yield source.problem((*path, "on_error"), "“reroute” says where: “to” a queue or a capability.")
    if step.on_error.then == "reroute" and step.kind is not Kind.AGENT:
        yield source.problem((*path, "on_error", "then"), "Only an agent's work is rerouted; use escalate.")
    if step.due and step.due.expires_s is not None and step.due.expires_s < step.due.after_s:
        yield source.problem((*path, "due", "expires"), "It cannot expire before it is due.")
    if raw.get("join") == {}:
        yield source.problem((*path, "join"), "Say what is joined: min, within or cancel_rest.")
