"""What can be told of rules before they are in force: what does not compile, what names nothing, what will err."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from apps.core.expressions import (
    Declarations,
    ExpressionError,
    Kind,
    Program,
    check_expression,
    path_of,
    walk,
)
from apps.core.expressions.syntax import Call, Literal, Node, Select
from apps.policies.rules.documents import Effect, Finding, Rule
from apps.policies.rules.facts import HISTORY, VARIABLES, past_of
from apps.policies.rules.hiding import check_compared, check_hidden
from apps.policies.rules.hints import hint_for, hint_of
from apps.policies.rules.naming import Known, Schema, check_names
from apps.policies.rules.obligations import DocumentError
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import compile_rule

_HAS_PARAMETER = re.compile(r"has\(\s*action\.parameters(?:\.\w+)+\s*\)")
_SCALARS = {"integer": Kind.INT, "string": Kind.STRING, "boolean": Kind.BOOL}
_DEPTH = 3
"""action . parameters . <name>"""
DATA_CLASSES = ("action", "data_classes")


def taken_names(rules: Sequence[Rule]) -> tuple[Finding, ...]:
    """Rules by the name that stands for every confidential rule: nobody could tell them apart."""
    message = f"The name {CONFIDENTIAL!r} stands for rules that are confidential; give this one another."
    return tuple(
        Finding(f"rules.{place}.slug", message, rule.slug)
        for place, rule in enumerate(rules)
        if rule.slug == CONFIDENTIAL
    )


def check_rules(rules: Sequence[Rule], known: Known) -> tuple[Finding, ...]:
    """Everything wrong with the rules, and warnings, in their order."""
    return tuple(finding for place, rule in enumerate(rules) for finding in _check(f"rules.{place}", rule, known))


def _check(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    yield from check_names(at, rule, known)
    try:
        program = compile_rule(rule).program
    except ExpressionError as error:
        for problem in error.problems:
            message = f"{problem.message}{hint_of(problem.message)}"
            yield Finding(f"{at}.when", message, rule.slug, problem.line, problem.column)
        return
    yield from _history(at, rule, program, known)
    yield from _classes(at, rule, program, known)
    schemas = _schemas(rule, known)
    yield from _typed(at, rule, schemas)
    yield from _parameters(at, rule, program, schemas)
    yield from check_compared(at, rule, known)
    yield from check_hidden(at, rule, known)
    yield from _told(at, rule, known)
    yield from _lint(at, rule, program)


def _history(at: str, rule: Rule, program: Program, known: Known) -> Iterator[Finding]:
    for call in program.calls:
        try:
            past = past_of(call)
        except DocumentError as error:
            yield Finding(f"{at}.when", f"{call.name}(): {error.message}", rule.slug)
            continue
        retired = known.retired.get("operations", ())
        if known.operations is not None and past.operation not in (*known.operations, *retired):
            hint = hint_for(past.operation, known.operations)
            said = f"{call.name}(): there is no operation {past.operation!r}.{hint}"
            yield Finding(f"{at}.when", said, rule.slug, is_warning=known.keeps_condition(rule))


def _classes(at: str, rule: Rule, program: Program, known: Known) -> Iterator[Finding]:
    """Data classes that the condition looks for and nothing can carry."""
    for node in walk(program.tree) if known.classes is not None else ():
        if not isinstance(node, Call) or not any(path_of(each) == DATA_CLASSES for each in node.arguments):
            continue
        named = [each.value for each in node.arguments if isinstance(each, Literal) and isinstance(each.value, str)]
        for name in named:
            if known.classes is not None and name not in known.classes:
                said = f"There is no data class {name!r}: nothing carries it.{hint_for(name, known.classes)}"
                place = (node.at.line, node.at.column)
                yield Finding(f"{at}.when", said, rule.slug, *place, is_warning=known.keeps_condition(rule))


def _schemas(rule: Rule, known: Known) -> dict[str, Schema]:
    """The parameter schemas of the operations that the rule names; without names nothing is asserted of any."""
    return {
        slug: known.operations[slug] for slug in rule.scope.operations if known.operations and slug in known.operations
    }


def _typed(at: str, rule: Rule, schemas: Mapping[str, Schema]) -> Iterator[Finding]:
    """Types of parameters: the same source compiled with them declared, ``has(...)`` read as true."""
    source = _HAS_PARAMETER.sub(lambda found: "true".ljust(len(found[0])), rule.when)
    for slug, schema in sorted(schemas.items()):
        kinds = tuple(
            (f"action.parameters.{name}", _SCALARS[part["type"]])
            for name, part in sorted(_properties(schema).items())
            if isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] in _SCALARS
        )
        for problem in check_expression(source, _world(kinds), returns=Kind.BOOL):
            message = f"{problem.message} (with the parameters of {slug})"
            yield Finding(f"{at}.when", message, rule.slug, problem.line, problem.column)


@lru_cache(maxsize=64)
def _world(kinds: tuple[tuple[str, Kind], ...]) -> Declarations:
    named = {name: kind for name, kind in kinds if re.fullmatch(r"[\w.]+", name)}
    return Declarations({**VARIABLES, **named}, HISTORY)


def _properties(schema: Schema) -> Mapping[str, Any]:
    found = schema.get("properties", {})
    return found if isinstance(found, dict) else {}


def _parameters(at: str, rule: Rule, program: Program, schemas: Mapping[str, Schema]) -> Iterator[Finding]:
    tested = {name for node in walk(program.tree) if (name := _parameter(node)) and _is_test(node)}
    for name, node in _parameters_read(program.tree):
        for slug, schema in sorted(schemas.items()):
            place = (node.at.line, node.at.column)
            if name not in _properties(schema) and schema.get("additionalProperties") is False:
                message = f"{slug} has no parameter {name!r}.{hint_for(name, _properties(schema))}"
                yield Finding(f"{at}.when", message, rule.slug, *place)
            elif name not in schema.get("required", ()) and name not in tested:
                counts = "does not match" if rule.effect is Effect.ALLOW else "matches"
                message = f"{name!r} is optional in {slug}: without it, and without has(), this rule {counts}."
                yield Finding(f"{at}.when", message, rule.slug, *place, is_warning=True)


def _told(at: str, rule: Rule, known: Known) -> Iterator[Finding]:
    if rule.obligations.notify:
        before = known.kept.get(rule.slug)
        is_kept = known.is_written or (before is not None and before.obligations.notify == rule.obligations.notify)
        said = "A rule tells nobody: queues, ladders and people's preferences say who is told. Take notify out."
        yield Finding(f"{at}.obligations.notify", said, rule.slug, is_warning=is_kept)


def _parameters_read(tree: Node) -> list[tuple[str, Node]]:
    found: dict[str, Node] = {}
    for node in walk(tree):
        name = _parameter(node)
        if name:
            found.setdefault(name, node)
    return list(found.items())


def _parameter(node: Node) -> str:
    path = path_of(node)
    return path[2] if path and len(path) == _DEPTH and path[:2] == ("action", "parameters") else ""


def _is_test(node: Node) -> bool:
    return isinstance(node, Select) and node.test


def _lint(at: str, rule: Rule, program: Program) -> Iterator[Finding]:
    names = {".".join(path) for path in map(path_of, walk(program.tree)) if path}
    if rule.effect is Effect.ALLOW and "action.confidence" in names:
        message = "An agent's confidence may only tighten: an allow rule does not read it."
        yield Finding(f"{at}.when", message, rule.slug)
    if rule.effect is Effect.ALLOW and rule.obligations.hold_s:
        message = "Only what a person approved is held; what is allowed runs at once."
        yield Finding(f"{at}.obligations.hold", message, rule.slug, is_warning=True)
    if isinstance(program.tree, Literal) and program.tree.value is False:
        yield Finding(f"{at}.when", "This is never true.", rule.slug, is_warning=True)
