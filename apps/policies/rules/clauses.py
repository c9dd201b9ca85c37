"""The condition of a rule as a small tree that a page can put into words of any language.

Only the common shapes are taken apart; whatever else a condition says is ``Opaque`` and shown as its text.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.expressions.syntax import Call, Ident, ListOf, Literal, Node, Select, path_of


class Comparison(StrEnum):
    """How a fact is compared."""

    OVER = "over"
    AT_LEAST = "at_least"
    UNDER = "under"
    AT_MOST = "at_most"
    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    HAS = "has"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    GIVEN = "given"
    NOT_GIVEN = "not_given"


@dataclass(frozen=True, slots=True)
class Clause:
    """One fact compared with one value (None for given, not_given)."""

    fact: str
    comparison: Comparison
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        """The clause for the API."""
        return {"fact": self.fact, "comparison": self.comparison.value, "value": self.value}


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without parts: always."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds; without parts: never."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True)
class Opaque:
    """A condition that is shown as its text."""


_OPPOSITES = {
    Comparison.OVER: Comparison.AT_MOST,
    Comparison.AT_MOST: Comparison.OVER,
    Comparison.UNDER: Comparison.AT_LEAST,
    Comparison.AT_LEAST: Comparison.UNDER,
    Comparison.IS: Comparison.IS_NOT,
    Comparison.IS_NOT: Comparison.IS,
    Comparison.GIVEN: Comparison.NOT_GIVEN,
    Comparison.NOT_GIVEN: Comparison.GIVEN,
}


def opposite_of(clause: Clause) -> Clause | None:
    """What holds where the clause does not; None where that takes more than one comparison."""
    found = _OPPOSITES.get(clause.comparison)
    return Clause(clause.fact, found, clause.value) if found else None


_LOWER = {Comparison.OVER: True, Comparison.AT_LEAST: False}
_UPPER = {Comparison.UNDER: True, Comparison.AT_MOST: False}
"""Bounds, and whether the bound itself is out."""
_HOLDS: Mapping[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.OVER: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.UNDER: operator.lt,
    Comparison.AT_MOST: operator.le,
    Comparison.IS: operator.eq,
    Comparison.IS_NOT: operator.ne,
    Comparison.ONE_OF: lambda value, values: value in values,
}


def clashes(one: Clause, other: Clause) -> bool:
    """Whether no value of one fact could meet both; False where that cannot be seen.

    Parameters may have values of any kind, on which a comparison fails rather than holds not: of them nothing is said.
    """
    if one.fact != other.fact or one.fact.startswith("action.parameters."):
        return False
    return _rules_out(one, other) or _rules_out(other, one)


def _rules_out(one: Clause, other: Clause) -> bool:
    if other.comparison not in _HOLDS:
        return False
    if one.comparison in {Comparison.IS, Comparison.ONE_OF}:
        values = one.value if one.comparison is Comparison.ONE_OF else [one.value]
        kinds = {type(value) for value in (*values, *(other.value if isinstance(other.value, list) else [other.value]))}
        return len(kinds) == 1 and not any(_HOLDS[other.comparison](value, other.value) for value in values)
    if one.comparison in _LOWER and other.comparison in _UPPER:
        is_out = _LOWER[one.comparison] or _UPPER[other.comparison]
        return bool(one.value > other.value or (is_out and one.value == other.value))
    return False


def clause_of(stored: dict[str, Any]) -> Clause:
    """The clause that ``as_json`` wrote down."""
    return Clause(stored["fact"], Comparison(stored["comparison"]), stored["value"])


type Condition = Clause | Every | Some | Not | Opaque

OPAQUE = Opaque()
_COMPARED = {
    "_>_": Comparison.OVER,
    "_>=_": Comparison.AT_LEAST,
    "_<_": Comparison.UNDER,
    "_<=_": Comparison.AT_MOST,
    "_==_": Comparison.IS,
    "_!=_": Comparison.IS_NOT,
}
_TURNED = {
    Comparison.OVER: Comparison.UNDER,
    Comparison.AT_LEAST: Comparison.AT_MOST,
    Comparison.UNDER: Comparison.OVER,
    Comparison.AT_MOST: Comparison.AT_LEAST,
}
_WORDS = {
    "startsWith": Comparison.STARTS_WITH,
    "endsWith": Comparison.ENDS_WITH,
    "contains": Comparison.CONTAINS,
}


def condition_of(tree: Node) -> Condition:
    """What a program says, as a whole: one part that cannot be taken apart makes all of it Opaque."""
    found = _read(tree)
    return OPAQUE if _is_opaque(found) else found


def clauses_of(condition: Condition) -> tuple[Clause, ...] | None:
    """The clauses that must all hold; None where the condition says more than that."""
    match condition:
        case Clause():
            return (condition,)
        case Every(parts=parts) if all(isinstance(part, Clause) for part in parts):
            return tuple(part for part in parts if isinstance(part, Clause))
        case _:
            return None


def _is_opaque(condition: Condition) -> bool:
    match condition:
        case Opaque():
            return True
        case Every(parts=parts) | Some(parts=parts):
            return any(map(_is_opaque, parts))
        case Not(part=part):
            return _is_opaque(part)
        case _:
            return False


def _read(node: Node) -> Condition:
    match node:
        case Literal(value=True):
            return Every()
        case Literal(value=False):
            return Some()
        case Call(function="_&&_"):
            return Every(_flat(node, "_&&_"))
        case Call(function="_||_"):
            return Some(_flat(node, "_||_"))
        case Call(function="!_", arguments=(part,)):
            return _negated(_read(part))
        case _:
            return _clause(node)


def _flat(node: Node, function: str) -> tuple[Condition, ...]:
    if isinstance(node, Call) and node.function == function:
        return tuple(part for argument in node.arguments for part in _flat(argument, function))
    return (_read(node),)


def _negated(condition: Condition) -> Condition:
    match condition:
        case Clause(fact=fact, comparison=Comparison.GIVEN):
            return Clause(fact, Comparison.NOT_GIVEN)
        case Clause(fact=fact, comparison=Comparison.IS, value=value):
            return Clause(fact, Comparison.IS_NOT, value)
        case _:
            return Not(condition)


def _clause(node: Node) -> Condition:
    match node:
        case Select(test=True):
            return _compared(node, Comparison.GIVEN, None)
        case Select() | Ident():
            return _compared(node, Comparison.IS, True)
        case Call(function=function, arguments=(one, other)) if function in _COMPARED:
            return _comparison(_COMPARED[function], one, other)
        case Call(function="@in", arguments=(one, other)):
            return _membership(one, other)
        case Call(function=function, arguments=(one, Literal(value=str(text)))) if function in _WORDS:
            return _compared(one, _WORDS[function], text)
        case _:
            return OPAQUE


def _comparison(comparison: Comparison, one: Node, other: Node) -> Condition:
    if isinstance(other, Literal):
        return _compared(one, comparison, other.value)
    if isinstance(one, Literal):
        return _compared(other, _TURNED.get(comparison, comparison), one.value)
    return OPAQUE


def _membership(one: Node, other: Node) -> Condition:
    if isinstance(one, Literal):
        return _compared(other, Comparison.HAS, one.value)
    if isinstance(other, ListOf) and all(isinstance(element, Literal) for element in other.elements):
        values = [element.value for element in other.elements if isinstance(element, Literal)]
        return _compared(one, Comparison.ONE_OF, values)
    return OPAQUE


def _compared(node: Node, comparison: Comparison, value: Any) -> Condition:
    path = path_of(node)
    return OPAQUE if path is None or isinstance(value, bytes) else Clause(".".join(path), comparison, value)
