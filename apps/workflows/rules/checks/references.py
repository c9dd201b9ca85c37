"""What a document refers to: queues, capabilities, operations and their parameters."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from apps.classification.rules import classed_by, covers, position_of
from apps.workflows.rules.checks.catalogue import Catalogue, OperationFacts
from apps.workflows.rules.definition import StepDef
from apps.workflows.rules.source import Path, Problem, Source
from apps.workflows.rules.states import Kind

NAMED_INPUT = re.compile(r"\binput\.([A-Za-z_][A-Za-z0-9_.]*)")


def reference_problems(source: Source, steps: Mapping[str, StepDef], catalogue: Catalogue) -> Iterator[Problem]:
    """Queues, people, capabilities and operations that do not exist; parameters that do not fit."""
    document = source.value
    yield from _exists(source, ("unit",), document["unit"], catalogue.units, "business unit")
    yield from _exists(source, ("owner",), document.get("owner"), catalogue.people, "person")
    yield from _exists(source, ("sla", "to"), document.get("sla", {}).get("to"), catalogue.queues, "queue")
    if catalogue.data_classes is not None:
        yield from _classes(source, steps, catalogue.data_classes)
    for name, step in steps.items():
        path: Path = ("steps", name)
        yield from _exists(source, (*path, "queue"), step.queue, catalogue.queues, "queue")
        if step.due:
            yield from _exists(source, (*path, "due", "to"), step.due.to, catalogue.queues, "queue")
        yield from _voters(source, step, catalogue)
        yield from _error_target(source, step, catalogue)
        if step.kind is Kind.AGENT:
            yield from _exists(
                source, (*path, "agent"), step.target, catalogue.capabilities, "agent with the capability"
            )
        if catalogue.operations is not None:
            yield from _operations(source, step, catalogue.operations)


def _classes(source: Source, steps: Mapping[str, StepDef], known: frozenset[str]) -> Iterator[Problem]:
    """Data classes that do not exist or cannot be followed; keys made of what carries one, which every list shows."""
    document = source.value
    schemas: list[tuple[Path, Any]] = [(("input",), document.get("input"))]
    for name, step in steps.items():
        schemas.append((("steps", name, *(("form", "schema") if step.kind is Kind.FORM else ("output",))), step.schema))
    for place, schema in schemas:
        for where, message in classed_by(schema, known)[1].items():
            yield source.problem((*place, *position_of(where)), message)
    classed, _problems = classed_by(document.get("input"), known)
    for key in ("key", "exclusive"):
        for path in NAMED_INPUT.findall(str(document.get(key) or "")):
            if slug := covers(classed, path.split(".")):
                yield source.problem((key,), f"input.{path} carries the data class {slug!r}, and lists show {key}s.")


def _exists(source: Source, path: Path, slug: str | None, known: frozenset[str] | None, what: str) -> Iterator[Problem]:
    if slug is not None and known is not None and slug not in known:
        yield source.problem(path, f"There is no {what} {slug!r}.")


def _voters(source: Source, step: StepDef, catalogue: Catalogue) -> Iterator[Problem]:
    raw = source.value["steps"][step.name].get("quorum")
    asked: set[tuple[str, str]] = set()
    for place, voters in enumerate(step.quorum):
        path: Path = ("steps", step.name, "quorum", *([place] if isinstance(raw, list) else []))
        yield from _exists(source, (*path, "queue"), voters.queue or None, catalogue.queues, "queue")
        yield from _exists(source, (*path, "role"), voters.role or None, catalogue.roles, "role")
        group = (voters.queue or step.queue or "", voters.role)
        if group in asked:
            named = " and ".join(filter(None, group))
            yield source.problem(path, f"{named} stands in two groups: ask one group for more people.")
        asked.add(group)


def _error_target(source: Source, step: StepDef, catalogue: Catalogue) -> Iterator[Problem]:
    if step.on_error.to is None or catalogue.queues is None or catalogue.capabilities is None:
        return
    known = catalogue.queues | (catalogue.capabilities if step.on_error.then == "reroute" else frozenset())
    what = "queue or agent with the capability" if step.on_error.then == "reroute" else "queue"
    yield from _exists(source, ("steps", step.name, "on_error", "to"), step.on_error.to, known, what)


def _operations(source: Source, step: StepDef, operations: Mapping[str, OperationFacts]) -> Iterator[Problem]:
    path: Path = ("steps", step.name)
    if step.kind is Kind.OPERATION:
        facts = operations.get(step.target)
        if facts is None:
            yield source.problem((*path, "operation"), f"There is no operation {step.target!r}.")
        else:
            if facts.effect == "write" and step.compensate is None:
                message = f"{step.target} writes: say how to “compensate” it, or declare the operation irreversible."
                yield source.problem(path, message)
            yield from _parameters(source, (*path, "with"), step.inputs, facts)
    if step.compensate:
        facts = operations.get(step.compensate.operation)
        if facts is None:
            yield source.problem(
                (*path, "compensate", "operation"), f"There is no operation {step.compensate.operation!r}."
            )
        else:
            yield from _parameters(source, (*path, "compensate", "with"), step.compensate.inputs, facts)


def _parameters(source: Source, path: Path, given: Any, facts: OperationFacts) -> Iterator[Problem]:
    schema = facts.parameters
    for name in schema.get("required", ()):
        if name not in given:
            yield source.problem(path, f"The operation needs the parameter {name!r}.")
    if schema.get("additionalProperties", True) is False:
        for name in given:
            if name not in schema.get("properties", {}):
                yield source.problem((*path, name), f"The operation has no parameter {name!r}.")
