"""The syntax tree of a compiled expression, read from the library's own serialised form.

The library checks and runs expressions and keeps its tree to itself, except as the published message
``cel.expr.CheckedExpr``. Its wire format is stable, and small enough to be read here without a further dependency.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

type Wire = dict[int, list[int | bytes]]

_ACCUMULATOR = "@result"
_MORE = 0x80


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in the source; both count from 1."""

    line: int
    column: int


START = Position(1, 1)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: bool | int | float | str | bytes | None
    at: Position


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable, with its qualified name such as ``action.amount_minor``, or the name bound by a macro."""

    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``, or ``has(operand.field)`` when ``test`` is set."""

    operand: "Node"
    field: str
    test: bool
    at: Position


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function; ``overloads`` are the signatures that the checker still holds possible."""

    function: str
    arguments: tuple["Node", ...]
    overloads: tuple[str, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    elements: tuple["Node", ...]
    at: Position


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map literal, or a message literal (then without keys)."""

    keys: tuple["Node", ...]
    values: tuple["Node", ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Macro:
    """``all``, ``exists``, ``exists_one``, ``filter`` or ``map``, in the loop that the parser made of it."""

    variable: str
    over: "Node"
    start: "Node"
    condition: "Node"
    step: "Node"
    result: "Node"
    at: Position


type Node = Literal | Ident | Select | Call | ListOf | MapOf | Macro


def children_of(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return node.arguments
        case ListOf():
            return node.elements
        case MapOf():
            return node.keys + node.values
        case Macro():
            return (node.over, node.start, node.condition, node.step, node.result)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children_of(node):
        yield from walk(child)


def meaning_of(node: Node, bound: tuple[str, ...] = ()) -> tuple[object, ...]:
    """What the tree says, whatever it looks like.

    Equal for sources that differ in spaces, comments, brackets, marks of quotation, ``a.b`` for ``a["b"]``, or in the
    name that a macro gives to each member. ``bound``: the names given around it.
    """
    inner = (*bound, node.variable) if isinstance(node, Macro) else bound
    below = [meaning_of(each, inner if place else bound) for place, each in enumerate(_inside(node))]
    return (*_said(node, bound), *below)


def _inside(node: Node) -> tuple[Node, ...]:
    return children_of(node)[:1] if _key_of(node) is not None else children_of(node)


def _key_of(node: Node) -> str | None:
    match node:
        case Select(field=name, test=False) | Call(function="_[_]", arguments=(_, Literal(value=str(name)))):
            return name
        case _:
            return None


def _said(node: Node, bound: tuple[str, ...]) -> tuple[object, ...]:
    match node:
        case Literal(value=value):
            return (type(value).__name__, repr(value))
        case Ident(name=name):
            return ("member", len(bound) - bound[::-1].index(name)) if name in bound else ("name", name)
        case Select(field=field, test=True):
            return ("has", field)
        case Call(function=function) if _key_of(node) is None:
            return ("call", function, len(node.arguments))
        case Select() | Call():
            return ("select", _key_of(node))
        case _:
            return (type(node).__name__, len(children_of(node)))


def is_accumulator(node: Node) -> bool:
    """Whether the parser, not the author, wrote this name."""
    return isinstance(node, Ident) and node.name == _ACCUMULATOR


def path_of(node: Node) -> tuple[str, ...] | None:
    """``("steps", "approve", "outcome")`` for a chain of selections from a variable; None for anything else."""
    match node:
        case Ident(name=name):
            return tuple(name.split("."))
        case Select(operand=operand, field=field):
            below = path_of(operand)
            return None if below is None else (*below, field)
        case Call(function="_[_]", arguments=(operand, Literal(value=str(key)))):
            below = path_of(operand)
            return None if below is None else (*below, key)
        case _:
            return None


def tree_of(serialized: bytes) -> Node:
    """The tree of a program as the library serialises it."""
    checked = _message(_first(_message(serialized), 2))
    return _Reader(checked).node(_first(checked, 4))


class _Reader:
    def __init__(self, checked: Wire) -> None:
        source = _message(_first(checked, 5))
        self.lines = _packed(_first(source, 3))
        self.positions = {_number(entry, 1): _number(entry, 2) for entry in map(_message, _all(source, 4))}
        self.overloads: dict[int, tuple[str, ...]] = {}
        for entry in map(_message, _all(checked, 2)):
            reference = _message(_first(entry, 2))
            self.overloads[_number(entry, 1)] = tuple(name.decode() for name in _all(reference, 3))

    def at(self, number: int) -> Position:
        offset = self.positions.get(number, 0)
        before = [end for end in self.lines if end <= offset]
        return Position(len(before) + 1, offset - (before[-1] if before else 0) + 1)

    def node(self, raw: bytes) -> Node:
        message = _message(raw)
        number = _number(message, 2)
        at = self.at(number)
        kind = next((field for field in (3, 4, 5, 6, 7, 8, 9) if field in message), 3)
        body = _message(_first(message, kind))
        match kind:
            case 4:
                # A leading dot says that no loop's own name is meant; the variable is the same.
                node: Node = Ident(_text(body, 1).removeprefix("."), at)
            case 5:
                node = Select(self.node(_first(body, 1)), _text(body, 2), bool(_number(body, 3)), at)
            case 6:
                target = _all(body, 1)
                arguments = tuple(map(self.node, (*target, *_all(body, 3))))
                node = Call(_text(body, 2), arguments, self.overloads.get(number, ()), at)
            case 7:
                node = ListOf(tuple(map(self.node, _all(body, 1))), at)
            case 8:
                node = self._map(body, at)
            case 9:
                over, start, condition, step, result = (self.node(_first(body, field)) for field in (2, 4, 5, 6, 7))
                node = Macro(_text(body, 1), over, start, condition, step, result, at)
            case _:
                node = Literal(_constant(body), at)
        return node

    def _map(self, body: Wire, at: Position) -> MapOf:
        entries = [_message(raw) for raw in _all(body, 2)]
        keys = tuple(self.node(raw) for entry in entries for raw in _all(entry, 3))
        return MapOf(keys, tuple(self.node(_first(entry, 4)) for entry in entries), at)


def _constant(body: Wire) -> bool | int | float | str | bytes | None:
    kind = next(iter(body), 1)
    value = body[kind][-1] if kind in body else 0
    match kind:
        case 2:
            return bool(value)
        case 3:
            number = cast("int", value)
            return number - (1 << 64) if number >= 1 << 63 else number
        case 5:
            return cast("float", struct.unpack("<d", cast("bytes", value))[0])
        case 6:
            return cast("bytes", value).decode()
        case 1:
            return None
        case _:
            return value


def _message(raw: bytes) -> Wire:
    """Fields of one message by number: varints as int, the rest as bytes."""
    fields: Wire = {}
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _varint(raw, at)
            case 1:
                value, at = raw[at : at + 8], at + 8
            case 2:
                length, at = _varint(raw, at)
                value, at = raw[at : at + length], at + length
            case _:
                value, at = raw[at : at + 4], at + 4
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & _MORE:
            return value, at
        shift += 7


def _packed(raw: bytes) -> list[int]:
    values, at = [], 0
    while at < len(raw):
        value, at = _varint(raw, at)
        values.append(value)
    return values


def _all(message: Wire, field: int) -> list[bytes]:
    return cast("list[bytes]", message.get(field, []))


def _first(message: Wire, field: int) -> bytes:
    return cast("bytes", message[field][-1]) if field in message else b""


def _number(message: Wire, field: int) -> int:
    return cast("int", message[field][-1]) if field in message else 0


def _text(message: Wire, field: int) -> str:
    return _first(message, field).decode()
