"""Conditions as rows of a form: a fact, how it is compared, with what. Rows become CEL, and plain CEL becomes rows."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from apps.core.expressions import ExpressionError, Kind, compile_expression
from apps.core.rules import MAX_INTEGER
from apps.policies.rules.clauses import Clause, Comparison, Condition, Every, Some, condition_of
from apps.policies.rules.facts import VARIABLES, WORLD

PARAMETERS = "action.parameters."
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,15})")
_BROKEN = re.compile(r"-?(0|[1-9]\d{0,15})\.\d{1,15}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,"]*)\s*(?:,|$)')
_WORDS = {"true": True, "false": False, "null": None}
_SIGNS = {
    Comparison.OVER: ">",
    Comparison.AT_LEAST: ">=",
    Comparison.UNDER: "<",
    Comparison.AT_MOST: "<=",
    Comparison.IS: "==",
    Comparison.IS_NOT: "!=",
}
_METHODS = {
    Comparison.STARTS_WITH: "startsWith",
    Comparison.ENDS_WITH: "endsWith",
    Comparison.CONTAINS: "contains",
}
BARE = frozenset({Comparison.GIVEN, Comparison.NOT_GIVEN})
"""Comparisons without a value."""
_ORDER = frozenset({Comparison.OVER, Comparison.AT_LEAST, Comparison.UNDER, Comparison.AT_MOST})
_SAME = frozenset({Comparison.IS, Comparison.IS_NOT, Comparison.ONE_OF})
_FITTING: dict[Kind, frozenset[Comparison]] = {
    Kind.INT: _ORDER | _SAME,
    Kind.DOUBLE: _ORDER | _SAME,
    Kind.STRING: _SAME | frozenset(_METHODS),
    Kind.STRINGS: frozenset({Comparison.HAS}),
    Kind.DYN: frozenset(Comparison),
}


class Joined(StrEnum):
    """Whether all rows must hold, or any one of them."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison as people type it; money in whole currency, several values with commas between them."""

    fact: str
    comparison: Comparison
    value: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A condition that a form can show; without rows: in every case."""

    rows: tuple[Row, ...] = ()
    joined: Joined = Joined.ALL


class RowError(ValueError):
    """A row that is no comparison; ``place`` counts from 0, ``field`` is ``fact``, ``comparison`` or ``value``."""

    def __init__(self, place: int, field: str, message: str) -> None:
        self.place, self.field, self.message = place, field, message
        super().__init__(message)


def kind_of(fact: str) -> Kind | None:
    """The kind of a fact; None where the form does not know it. Parameters are of any kind."""
    if fact.startswith(PARAMETERS) and all(fact.removeprefix(PARAMETERS).split(".")):
        return Kind.DYN
    kind = VARIABLES.get(fact)
    return kind if kind in _FITTING else None


def is_money(fact: str) -> bool:
    """Whether the fact is an amount in minor units, which people type in whole currency."""
    return fact.endswith("_minor")


def rows_of(when: str, *, digits: int) -> Rows | None:
    """A rule's condition as rows; None where it says more than rows can, or says nothing that compiles.

    ``digits``: those after the point of the rule's currency.
    """
    try:
        condition = _condition(when)
    except ExpressionError:
        return None
    found = _shown(condition, digits)
    return found if found is not None and _says(found, digits) == condition else None


def _condition(text: str) -> Condition:
    return condition_of(compile_expression(text, WORLD, returns=Kind.BOOL).tree)


def _shown(condition: Condition, digits: int) -> Rows | None:
    match condition:
        case Clause():
            return Rows((_row(condition, digits),))
        case Every(parts=parts) | Some(parts=parts) if parts or isinstance(condition, Every):
            clauses = [part for part in parts if isinstance(part, Clause)]
            joined = Joined.ALL if isinstance(condition, Every) else Joined.ANY
            is_plain = len(clauses) == len(parts)
            return Rows(tuple(_row(clause, digits) for clause in clauses), joined) if is_plain else None
        case _:
            return None


def _says(rows: Rows, digits: int) -> Condition | None:
    """What the text of the rows says, to be sure that it is the same; None where they have no text."""
    try:
        return _condition(text_of(rows, digits=digits))
    except (RowError, ExpressionError):
        return None


def _row(clause: Clause, digits: int) -> Row:
    return Row(clause.fact, clause.comparison, _typed(clause, digits))


def _typed(clause: Clause, digits: int) -> str:
    if clause.comparison in BARE:
        return ""
    if isinstance(clause.value, list):
        return ", ".join(_written(clause.fact, value, digits, in_list=True) for value in clause.value)
    return _written(clause.fact, clause.value, digits)


def _written(fact: str, value: Any, digits: int, *, in_list: bool = False) -> str:
    if isinstance(value, bool) or value is None:
        return next(word for word, meant in _WORDS.items() if meant is value)
    if isinstance(value, int):
        return f"{Decimal(value).scaleb(-digits):f}" if is_money(fact) else str(value)
    if isinstance(value, float):
        return repr(value)
    is_odd = value != value.strip() or not value or '"' in value or (in_list and "," in value)
    is_taken = kind_of(fact) is Kind.DYN and (is_odd or _is_other(value))
    return json.dumps(value, ensure_ascii=False) if is_taken or (is_odd and in_list) else str(value)


def _is_other(text: str) -> bool:
    """Whether a parameter's text would be read as a number, true, false or nothing."""
    return text in _WORDS or bool(_WHOLE.fullmatch(text) or _BROKEN.fullmatch(text))


def text_of(rows: Rows, *, digits: int) -> str:
    """The CEL text of the rows. Raises RowError."""
    parts = [_text(place, row, digits) for place, row in enumerate(rows.rows)]
    return (" && " if rows.joined is Joined.ALL else " || ").join(parts) or "true"


def _text(place: int, row: Row, digits: int) -> str:
    kind = kind_of(row.fact)
    if kind is None:
        raise RowError(place, "fact", "There is no such fact.")
    if row.comparison not in _FITTING[kind]:
        raise RowError(place, "comparison", "This fact cannot be compared so.")
    fact, is_named = _path(row.fact)
    if row.comparison in BARE:
        if not is_named:
            raise RowError(place, "comparison", "Whether it is given can be asked of plain names only.")
        return f"{'!' if row.comparison is Comparison.NOT_GIVEN else ''}has({fact})"
    if row.comparison is Comparison.ONE_OF:
        values = [_literal(place, row, kind, digits, item) for item in _items(place, row.value)]
        return f"{fact} in [{', '.join(values)}]"
    if row.comparison in _METHODS or row.comparison is Comparison.HAS:
        text = _cel(_unquoted(row.value) if kind is Kind.DYN else row.value)
        if row.comparison is Comparison.HAS:
            return f"{_literal(place, row, kind, digits, row.value) if kind is Kind.DYN else text} in {fact}"
        return f"{fact}.{_METHODS[row.comparison]}({text})"
    return f"{fact} {_SIGNS[row.comparison]} {_literal(place, row, kind, digits, row.value)}"


def _path(fact: str) -> tuple[str, bool]:
    """The fact as CEL names it, and whether every part is a plain name."""
    if not fact.startswith(PARAMETERS):
        return fact, True
    parts = fact.removeprefix(PARAMETERS).split(".")
    written = "".join(f".{part}" if _NAME.fullmatch(part) else f"[{_cel(part)}]" for part in parts)
    return f"action.parameters{written}", bool(_NAME.fullmatch(parts[-1]))


def _items(place: int, text: str) -> Sequence[str]:
    found = list(_split(text))
    if not text.strip() or "" in found:
        raise RowError(place, "value", "Values are wanted, with commas between them.")
    return found


def _split(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _ITEM.match(text, at)
        if match is None:
            yield ""
            return
        yield match[1].strip()
        at = match.end()


def _literal(place: int, row: Row, kind: Kind, digits: int, text: str) -> str:
    text = text.strip() if kind is not Kind.STRING else text
    if is_money(row.fact):
        return _minor(place, text, digits)
    if kind is Kind.INT:
        if not _WHOLE.fullmatch(text):
            raise RowError(place, "value", "A whole number is wanted.")
        return text
    if kind is Kind.DOUBLE:
        if not (_WHOLE.fullmatch(text) or _BROKEN.fullmatch(text)):
            raise RowError(place, "value", "A number is wanted, such as 0.8.")
        return text if "." in text else f"{text}.0"
    if kind is Kind.DYN and _is_other(text):
        return text
    return _cel(_unquoted(text) if kind is Kind.DYN or row.comparison is Comparison.ONE_OF else text)


def _minor(place: int, text: str, digits: int) -> str:
    try:
        amount = Decimal(text.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text) else text)
        minor = amount.scaleb(digits)
        is_whole = minor == minor.to_integral_value()
    except (InvalidOperation, ValueError):
        is_whole = False
    if is_whole and minor > MAX_INTEGER:
        raise RowError(place, "value", "This amount is too large.")
    if is_whole and minor < 0:
        raise RowError(place, "value", "An amount is not below zero.")
    if not is_whole:
        raise RowError(
            place, "value", f"An amount is wanted, such as 500.00, with at most {digits} digits behind the point."
        )
    return str(int(minor))


def _unquoted(text: str) -> str:
    """A text between double quotes means just that text, whatever it looks like."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def _cel(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
