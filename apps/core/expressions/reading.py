"""What of a large variable expressions look at, so that the rest need be neither converted nor compared."""

from collections.abc import Mapping
from typing import Any

from apps.core.expressions.syntax import Ident, Macro, Node, Select, children_of

type Reading = dict[str, "Reading"] | None
"""By field, what is read below; ``EACH`` stands for the elements of a list. None: all of it."""

EACH = "*"
type _Place = list[str] | None


def reading_of(tree: Node, variable: str) -> Reading:
    """What of ``variable`` the expression looks at: ``{}`` nothing, None all of it.

    ``variable`` is a qualified name such as ``action.parameters``, which no loop's own name can hide.
    """
    found: dict[str, Reading] = {}
    whole = _visit(tree, variable, {}, found)
    return None if whole else found


def joined_readings(one: Reading, other: Reading) -> Reading:
    """What either looks at."""
    if one is None or other is None:
        return None
    fields = [*one, *(field for field in other if field not in one)]
    return {field: joined_readings(one.get(field, {}), other.get(field, {})) for field in fields}


def narrowed(value: Any, reading: Reading) -> Any:
    """``value`` without what is not looked at. Whatever is no map or list where one is looked into stays as it is."""
    if reading is None:
        return value
    if isinstance(value, dict):
        if EACH in reading:  # a loop goes over its keys
            return value
        return {field: narrowed(value[field], below) for field, below in reading.items() if field in value}
    if isinstance(value, list) and reading.keys() == {EACH}:
        return [narrowed(each, reading[EACH]) for each in value]
    return value


def _visit(node: Node, variable: str, loops: Mapping[str, _Place], found: dict[str, Reading]) -> bool:
    """Note what is looked at below ``node``; whether that is all of the variable."""
    place = _place_of(node, variable, loops)
    if place is not None:
        return _note(found, place, None)
    if not isinstance(node, Macro):
        return any(_visit(child, variable, loops, found) for child in children_of(node))
    over = _place_of(node.over, variable, loops)
    if over is None:
        whole, element = _visit(node.over, variable, loops, found), None
    else:
        element = [*over, EACH]
        whole = _note(found, element, {})
    inside = {**loops, node.variable: element}
    rest = (node.start, node.condition, node.step, node.result)
    return whole or any(_visit(each, variable, inside, found) for each in rest)


def _place_of(node: Node, variable: str, loops: Mapping[str, _Place]) -> _Place:
    """Where in the variable a chain of selections leads; None for anything else."""
    match node:
        case Ident(name=name) if name in loops:
            return loops[name]
        case Ident(name=name):
            return [] if name == variable else None
        case Select(operand=operand, field=field):
            below = _place_of(operand, variable, loops)
            return None if below is None else [*below, field]
        case _:
            return None


def _note(found: dict[str, Reading], place: list[str], reading: Reading) -> bool:
    """Add ``reading`` at ``place``; whether that is all of the variable."""
    if not place:
        return reading is None
    for field in place[:-1]:
        below = found.setdefault(field, {})
        if below is None:
            return False
        found = below
    found[place[-1]] = joined_readings(found.get(place[-1], {}), reading)
    return False
