"""A test as a form has it: words per field. What no field takes, and what nobody touched, stays as it is written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.core.expressions import ExpressionError, FunctionCall, Kind, compile_expression
from apps.policies.rules.facts import WORLD, written
from apps.policies.rules.sheets import words_in
from apps.policies.rules.weighing import RuleInForce

type Fields = dict[str, Any]
type Path = tuple[str, ...]

ACTION = ("operation", "effect", "connector", "currency", "target", "reference", "environment")
AGENT = ("slug", "unit", "risk", "state", "owner")
RUN = ("workflow", "step", "started_by", "key")
TEXTS: Mapping[str, Path] = {
    "name": ("name",),
    "expect": ("expect",),
    "rule": ("rule",),
    **{name: ("action", name) for name in ACTION},
    **{f"agent_{name}": ("agent", name) for name in AGENT},
    **{f"run_{name}": ("run", name) for name in RUN},
    "on_behalf_of": ("on_behalf_of",),
    "now": ("now",),
}
"""Fields that are a text, and where they stand in a document."""
LISTS: Mapping[str, Path] = {
    "data_classes": ("action", "data_classes"),
    "agent_capabilities": ("agent", "capabilities"),
}
NUMBERS: Mapping[str, Path] = {"agent_version": ("agent", "version"), "confidence": ("action", "confidence")}
FLAGS: Mapping[str, Path] = {"is_compensable": ("action", "is_compensable")}
_FLAGS = {"yes": True, "no": False}
AMOUNT, PARAMETERS, HISTORY = ("action", "amount_minor"), ("action", "parameters"), "history"


@dataclass(frozen=True, slots=True)
class Question:
    """What a rule asks of the past: as a test writes it, and whether the answer is an amount in minor units.

    ``kept``: the name under which a verdict keeps the answer.
    """

    source: str
    is_money: bool
    kept: str = ""


def questions_of(rules: Iterable[RuleInForce], case: Mapping[str, Any]) -> list[Question]:
    """What ``rules`` ask of the past, each once, as the test writes it; then what only the test answers."""
    asked = {call: _source(call) for rule in rules for call in rule.program.calls}
    told = case.get(HISTORY)
    odd: list[str] = []
    for source in told if isinstance(told, dict) else ():
        call = _call(source)
        if call is None:
            odd.append(source)
        else:
            asked[call] = source
    found = [Question(source, call.name == "history.sum_minor", written(call)) for call, source in asked.items()]
    return [*found, *(Question(source, is_money=False) for source in odd)]


def _source(call: FunctionCall) -> str:
    return f"{call.name}({', '.join(json.dumps(each, ensure_ascii=False) for each in call.arguments)})"


def _call(source: str) -> FunctionCall | None:
    try:
        calls = compile_expression(source, WORLD, returns=Kind.INT).calls
    except ExpressionError:
        return None
    return next(iter(calls)) if len(calls) == 1 else None


def filled_case(case: Mapping[str, Any], *, digits: int) -> Fields:
    """The fields of a test's document but its past. ``digits``: those after the point of its currency."""
    texts = {name: _text(_at(case, path)) for name, path in TEXTS.items()}
    lists = {name: _listed(_at(case, path)) for name, path in LISTS.items()}
    numbers = {name: _at(case, path) for name, path in NUMBERS.items()}
    flags = {name: {True: "yes", False: "no"}.get(_at(case, path), "") for name, path in FLAGS.items()}
    return {**texts, **lists, **numbers, **flags, "amount": shown_amount(_at(case, AMOUNT), digits)}


def parameters_in(case: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a test."""
    found = _at(case, PARAMETERS)
    return dict(found) if isinstance(found, dict) else {}


def answer_in(case: Mapping[str, Any], question: Question) -> Any:
    """What the test says of the past; None where it says nothing, which is 0."""
    return _at(case, (HISTORY, question.source))


def shown_amount(value: Any, digits: int) -> str:
    """Minor units in whole currency, as people type them."""
    return f"{Decimal(value).scaleb(-digits):f}" if type(value) is int else _text(value)


def case_document(
    fields: Mapping[str, Any],
    *,
    digits: int,
    before: Mapping[str, Any],
    parameters: Mapping[str, Any],
    answers: Sequence[tuple[Question, int | None]] = (),
) -> dict[str, Any]:
    """The test that the fields say; ``amount`` is a Decimal in whole currency or None. What they leave alone stays."""
    made = deepcopy(dict(before))
    for path, value in _changes(fields, filled_case(before, digits=digits)):
        _put(made, path, value)
    _put(made, AMOUNT, None if fields["amount"] is None else int(fields["amount"].scaleb(digits)))
    if dict(parameters) != parameters_in(before):
        _put(made, PARAMETERS, dict(parameters) or None)
    for question, answer in answers:
        _put(made, (HISTORY, question.source), answer)
    return made


def _changes(fields: Mapping[str, Any], was: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Where something else is said than was, and what."""
    yield from ((path, fields[name] or None) for name, path in TEXTS.items() if fields[name] != was[name].strip())
    for name, path in LISTS.items():
        if (words := words_in(fields[name])) != words_in(was[name]):
            yield path, words or None
    yield from ((path, fields[name]) for name, path in NUMBERS.items() if fields[name] != was[name])
    yield from ((path, _FLAGS.get(fields[name])) for name, path in FLAGS.items() if fields[name] != was[name])


def _at(case: Mapping[str, Any], path: Path) -> Any:
    found: Any = case
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _put(made: dict[str, Any], path: Path, value: Any) -> None:
    """``value`` at ``path``; None takes away what is there, and the part that it leaves empty."""
    *above, name = path
    if not above:
        made.update({name: value}) if value is not None else made.pop(name, None)
        return
    part = made.get(above[0])
    if value is not None:
        made[above[0]] = {**(part if isinstance(part, dict) else {}), name: value}
    elif isinstance(part, dict) and name in part:
        del part[name]
        if not part:
            del made[above[0]]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else _text(value)
