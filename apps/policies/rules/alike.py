"""What rules cannot tell apart: of many actions of the past, those that are alike to them are judged once. Pure."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from hashlib import blake2b
from typing import Any

from apps.core.expressions import Kind, Program, Reading, joined_readings, narrowed, reading_of
from apps.core.expressions.syntax import Call, Ident, Literal, Node, children_of
from apps.policies.rules.facts import VARIABLES
from apps.policies.rules.replay import PARAMETERS, Gap, Kept, Replayed, RuleSet, enforced, hides, reads_of, replay
from apps.policies.rules.weighing import RuleInForce

AMOUNT = "action.amount_minor"
COMPARED = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_"})
TOLD_APART = frozenset({Kind.STRING, Kind.INT})
"""Values of other kinds are lists, maps and times, of which hardly two are the same, and numbers equal to others."""
SCOPED = (
    "action.operation", "action.currency", "action.environment", "agent.slug", "agent.version", "run.workflow",
    "run.step", "compensable",
)  # fmt: skip
"""What scopes, shares and demands look at, whatever the conditions name."""
MAX_KNOWN = 50_000
"""So many kinds of actions are remembered, some tens of megabytes; what comes after is judged one by one."""


@dataclass(frozen=True, slots=True)
class Telling:
    """By what rules tell actions apart: the values of ``names`` and, if they read any, of parameters.

    Of the amount, where it lies among ``steps``.
    """

    names: tuple[str, ...]
    steps: tuple[int, ...]
    reads_parameters: bool = False

    def key_of(self, kept: Kept) -> tuple[Any, ...]:
        """The same for what comes to the same, of parameters that were narrowed to what is read.

        Raises KeyError, TypeError or ValueError where something else was written.
        """
        told = kept.facts or {}
        amount = told.get(AMOUNT)
        place = None if amount is None else (bisect_left(self.steps, amount), bisect_right(self.steps, amount))
        currencies = tuple(told.get("currencies", {}).items())
        values = tuple(map(told.get, self.names))
        read = _digest_of(kept.parameters) if self.reads_parameters else b""
        return place, values, tuple(told["units"]), currencies, kept.connector, kept.lifted, tuple(told), read


def _digest_of(parameters: dict[str, Any]) -> bytes:
    """Of their text: 1, 1.0, true and "1" are four values to rules, though not to Python."""
    return blake2b(json.dumps(parameters).encode(), digest_size=16).digest()


def parameters_read(rules: Iterable[RuleInForce]) -> Reading:
    """What these rules look at in an action's parameters."""
    readings = (reading_of(rule.program.tree, PARAMETERS) for rule in rules if PARAMETERS in rule.program.reads)
    nothing: Reading = {}
    return reduce(joined_readings, readings, nothing)


def telling_of(rules: Iterable[RuleInForce]) -> Telling | None:
    """How these rules tell actions apart; None where they look at more than is remembered by, as all parameters are.

    The amount alone goes by its place among the numbers that the rules compare it with: whatever lies between two of
    them comes to the same.
    """
    names, steps, rules = set(SCOPED), set[int](), list(rules)
    read = parameters_read(rules)
    if read is None:
        return None
    for rule in rules:
        program = rule.program
        if program.calls or any(VARIABLES[name] not in TOLD_APART for name in program.reads - {PARAMETERS}):
            return None
        found = _steps_of(program)
        names |= program.reads - {AMOUNT, PARAMETERS} if found is not None else program.reads - {PARAMETERS}
        steps |= {*(found or ()), *_demanded(rule)}
    return Telling(tuple(sorted(names)), tuple(sorted(steps)), bool(read))


def _steps_of(program: Program) -> list[int] | None:
    """The numbers with which it compares the amount; None where it does anything else with it."""
    compared = list(_compared(program.tree))
    return None if None in compared else [step for step in compared if step is not None]


def _compared(node: Node) -> Iterator[int | None]:
    match node:
        case (
            Call(function=function, arguments=(Ident(name="action.amount_minor"), Literal(value=int(step))))
            | Call(function=function, arguments=(Literal(value=int(step)), Ident(name="action.amount_minor")))
        ) if function in COMPARED:
            yield step
        case Ident(name="action.amount_minor"):
            yield None
        case _:
            for child in children_of(node):
                yield from _compared(child)


def _demanded(rule: RuleInForce) -> Iterator[int]:
    if rule.rule.obligations.limit_minor is not None:
        yield rule.rule.obligations.limit_minor
    yield from (quorum.over_minor for quorum in rule.rule.quorums if quorum.over_minor is not None)


class Trial:
    """Sets of rules that are tried on many actions. It comes to what ``replay`` comes to on each.

    What the parameters hold beside what is read is not looked at again: rules have seen them before.
    """

    def __init__(self, sets: Sequence[RuleSet], *, reads_parameters: bool = True) -> None:
        self.sets, self.reads_parameters = sets, reads_parameters
        self._telling: dict[str, tuple[Telling | None, Reading]] = {}
        self._reads: dict[str, frozenset[str]] = {}
        self._known: dict[tuple[Any, ...], tuple[Replayed, ...] | Gap] = {}

    def replay(self, kept: Kept) -> tuple[Replayed, ...] | Gap:
        """What each set comes to on the action, or why it cannot be said."""
        try:
            kept, key = self._narrowed(kept)
            is_hidden = (
                hides(kept, self._reads[kept.facts["action.operation"]]) if kept.hidden and kept.facts else False
            )
            found = Gap.HIDDEN if is_hidden else self._known.get(key) if key else None
        except (KeyError, TypeError, ValueError, AttributeError):
            return replay(kept, self.sets)
        if found is None:
            found = replay(kept, self.sets)
            if key and len(self._known) < MAX_KNOWN:
                self._known[key] = found
        return found

    def _narrowed(self, kept: Kept) -> tuple[Kept, tuple[Any, ...] | None]:
        """The action with those parameters that are read, and its key; None where it is not remembered."""
        if kept.is_erased or kept.is_edited or not kept.facts:
            return kept, None
        operation = kept.facts["action.operation"]
        if operation not in self._telling:
            about = [rule for rules in self.sets for rule in enforced(rules(operation))]
            self._reads[operation] = reads_of(about)
            self._telling[operation] = telling_of(about), parameters_read(about)
        telling, read = self._telling[operation]
        if read is not None:
            kept = replace(kept, parameters=narrowed(kept.parameters, read))
        return kept, telling.key_of(kept) if telling else None
