"""Whether a rule can still have a say: as far as it can be seen for certain, and no further. Pure."""

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.expressions import ExpressionError
from apps.core.expressions.syntax import Call, Literal, Node
from apps.policies.rules.documents import Rule, Scope, read_rule
from apps.policies.rules.obligations import DocumentError
from apps.policies.rules.weighing import compile_rule

COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "_==_": operator.eq,
    "_!=_": operator.ne,
    "_<_": operator.lt,
    "_<=_": operator.le,
    "_>_": operator.gt,
    "_>=_": operator.ge,
}


@dataclass(frozen=True, slots=True)
class There:
    """What a scope can match; what is retired is not there.

    ``operations``: with their connector; ``units``: those that a policy covers or that cover it; ``versions``:
    ``<agent>@<number>``.
    """

    operations: Mapping[str, str]
    agents: Collection[str]
    versions: Collection[str]
    workflows: Collection[str]
    units: Collection[str]


def is_idle(document: Mapping[str, Any], there: There | None = None) -> bool:
    """Whether a rule as it is stored can match nothing: its condition never holds, or its scope names nothing there.

    ``there`` None: the scope is not looked at. False for what cannot be read: nothing is said of it.
    """
    try:
        rule = read_rule(dict(document))
        return never_holds(rule) or (there is not None and matches_nothing(rule.scope, there))
    except (DocumentError, ExpressionError):
        return False


def never_holds(rule: Rule) -> bool:
    """Whether the condition is false whatever is asked. Raises ExpressionError."""
    return _value(compile_rule(rule).program.tree) is False


def _value(node: Node) -> bool | None:
    """What a condition comes to whatever is asked; None where that depends. An error on one side decides nothing."""
    match node:
        case Literal(value=bool(said)):
            return said
        case Call(function="!_", arguments=(one,)):
            value = _value(one)
            return None if value is None else not value
        case Call(function="_&&_" | "_||_" as joined, arguments=parts):
            decisive = joined == "_||_"
            found = {_value(part) for part in parts}
            return decisive if decisive in found else None if None in found else not decisive
        case Call(function="_?_:_", arguments=(test, yes, no)):
            return _chosen(_value(test), _value(yes), _value(no))
        case Call(function=name, arguments=(Literal(value=left), Literal(value=right))) if name in COMPARED:
            return COMPARED[name](left, right) if _is_alike(left, right) else None
    return None


def _chosen(test: bool | None, yes: bool | None, no: bool | None) -> bool | None:
    if test is not None:
        return yes if test else no
    return yes if yes == no else None


def _is_alike(left: object, right: object) -> bool:
    return type(left) is type(right) and isinstance(left, bool | int | str)


def matches_nothing(scope: Scope, there: There) -> bool:
    """Whether nothing that can be asked for is within the scope now."""
    named: tuple[tuple[frozenset[str], Collection[str]], ...] = (
        (scope.agents, there.agents),
        (scope.versions, there.versions),
        (scope.workflows, there.workflows),
        (scope.units, there.units),
        (scope.connectors, there.operations.values()),
    )
    if any(wanted and wanted.isdisjoint(known) for wanted, known in named):
        return True
    if scope.agents and scope.versions and not {each.partition("@")[0] for each in scope.versions} & scope.agents:
        return True
    return bool(scope.operations) and not any(
        there.operations[slug] in (scope.connectors or {there.operations[slug]})
        for slug in scope.operations & there.operations.keys()
    )
