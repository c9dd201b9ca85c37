"""What a condition comes to where only some facts are known: for pages and advice, never for a verdict. Pure."""

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from apps.core.expressions.syntax import Call, Ident, ListOf, Literal, Node

FIXED = frozenset({
    "action.operation", "action.effect", "action.environment", "agent.slug", "agent.unit", "agent.risk", "agent.state",
    "agent.version", "agent.owner", "agent.capabilities",
})  # fmt: skip
"""What an agent cannot make otherwise by asking otherwise for the same operation."""
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "_==_": eq, "_!=_": ne, "_<_": lt, "_<=_": le, "_>_": gt, "_>=_": ge,
}  # fmt: skip
_UNKNOWN = object()


def settled(tree: Node, known: Mapping[str, Any]) -> bool | None:
    """What the condition comes to whatever the other facts are; None where that depends on them, or may.

    A condition that would err comes to nothing here too.
    """
    match tree:
        case Literal(value=bool(value)):
            return value
        case Call(function="_&&_", arguments=(one, other)):
            return _both(settled(one, known), settled(other, known), absorbing=False)
        case Call(function="_||_", arguments=(one, other)):
            return _both(settled(one, known), settled(other, known), absorbing=True)
        case Call(function="!_", arguments=(part,)):
            found = settled(part, known)
            return None if found is None else not found
        case Call(function=function, arguments=(one, other)):
            return _compared(function, _value_of(one, known), _value_of(other, known))
        case _:
            return None


def _both(one: bool | None, other: bool | None, *, absorbing: bool) -> bool | None:
    """Of "and" the absorbing value is False, of "or" it is True: it decides, whatever the other part is."""
    if absorbing in {one, other}:
        return absorbing
    return None if None in {one, other} else not absorbing


def _compared(function: str, one: Any, other: Any) -> bool | None:
    if one is _UNKNOWN or other is _UNKNOWN:
        return None
    if function == "@in":
        return any(type(one) is type(each) and one == each for each in other) if isinstance(other, list) else None
    if function not in _COMPARED or type(one) is not type(other) or isinstance(one, list):
        return None
    return _COMPARED[function](one, other)


def _value_of(node: Node, known: Mapping[str, Any]) -> Any:
    match node:
        case Literal(value=str(value) | int(value)):
            return value
        case Ident(name=name):
            return known.get(name, _UNKNOWN)
        case ListOf(elements=elements):
            found = [_value_of(element, known) for element in elements]
            return _UNKNOWN if _UNKNOWN in found else found
        case _:
            return _UNKNOWN
