"""A limit that one may turn: where rules state an amount, and the same rules with other amounts. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from apps.core.expressions import ExpressionError
from apps.policies.rules.clauses import Clause, Comparison
from apps.policies.rules.documents import Effect, Rule, read_rules
from apps.policies.rules.weighing import compile_rule

AMOUNT = "action.amount_minor"
OTHER_SIDE = {
    Comparison.OVER: Comparison.AT_MOST,
    Comparison.AT_MOST: Comparison.OVER,
    Comparison.UNDER: Comparison.AT_LEAST,
    Comparison.AT_LEAST: Comparison.UNDER,
}
"""Of an amount, what is beyond a comparison with it."""
FACTORS = (0, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
"""The steps of the lever: the present amount times each."""
MAX_AMOUNT = 10**12


class Place(StrEnum):
    """Where a rule states its amount: in its condition, or as the limit that it demands."""

    CONDITION = "condition"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Lever:
    """An amount that may be turned, in minor units, and the rules that state it.

    Where one rule allows up to an amount and another asks beyond it, both are turned: to turn one alone would deny, or
    ask about, what lies between.
    """

    rules: tuple[str, ...]
    place: Place
    amount_minor: int
    currency: str = ""

    @property
    def name(self) -> str:
        """The rule by which it is named."""
        return self.rules[0]

    @property
    def steps(self) -> tuple[int, ...]:
        """The amounts to try, in order, the present one among them."""
        return tuple(sorted({min(round(self.amount_minor * factor), MAX_AMOUNT) for factor in FACTORS}))


def levers_of(documents: Sequence[Mapping[str, Any]]) -> tuple[Lever, ...]:
    """The amounts that may be turned: of rules that state just one, as a plain number. Those that ask come first."""
    rules, _findings = read_rules(list(documents))
    levers: dict[object, Lever] = {}
    for rule in sorted(rules, key=lambda one: one.effect is not Effect.REQUIRE_APPROVAL):
        found = _lever_of(rule)
        if found is None:
            continue
        lever, side = found
        if side in levers:
            levers[side] = replace(levers[side], rules=(*levers[side].rules, rule.slug))
        else:
            levers[side] = lever
    return tuple(levers.values())


def _lever_of(rule: Rule) -> tuple[Lever, object] | None:
    """The lever of a rule alone, and what it shares with the rule on the other side of its amount."""
    if rule.obligations.limit_minor:
        return Lever((rule.slug,), Place.LIMIT, rule.obligations.limit_minor, rule.currency), rule.slug
    try:
        clauses = compile_rule(rule).clauses
    except ExpressionError:
        return None
    of_amount = [each for each in clauses if each.fact == AMOUNT and each.comparison in OTHER_SIDE]
    if len(of_amount) != 1 or not isinstance(of_amount[0].value, int) or of_amount[0].value < 1:
        return None
    (turnable,) = of_amount
    if len(_places(rule.when, turnable.value)) != 1:
        return None
    others = tuple(repr(each) for each in clauses if each is not turnable)
    sides = frozenset({turnable.comparison, OTHER_SIDE[turnable.comparison]})
    lever = Lever((rule.slug,), Place.CONDITION, turnable.value, rule.currency)
    return lever, (sides, turnable.value, rule.currency, rule.scope, others)


def _places(when: str, amount: int) -> list[re.Match[str]]:
    return list(re.finditer(rf"(?<![\w.]){amount}(?![\w.])", when))


def turned(documents: Sequence[Mapping[str, Any]], lever: Lever, amount_minor: int) -> list[dict[str, Any]]:
    """The rules with the lever's amount turned; nothing else differs. Raises ValueError where something would."""
    return [
        _turned(document, lever, amount_minor) if document.get("slug") in lever.rules else dict(document)
        for document in documents
    ]


def _turned(document: Mapping[str, Any], lever: Lever, amount_minor: int) -> dict[str, Any]:
    if lever.place is Place.LIMIT:
        return {**document, "obligations": {**document["obligations"], "limit": {"amount_minor": amount_minor}}}
    (place,) = _places(document["when"], lever.amount_minor)
    when = f"{document['when'][: place.start()]}{amount_minor}{document['when'][place.end() :]}"
    changed = {**document, "when": when}
    if _clauses(changed) != [_moved(clause, amount_minor) for clause in _clauses(document)]:
        raise ValueError(f"The amount of {lever.name} is not where it seems.")
    return changed


def _clauses(document: Mapping[str, Any]) -> list[Clause]:
    (rule,), _findings = read_rules([dict(document)])
    return list(compile_rule(rule).clauses)


def _moved(clause: Clause, amount_minor: int) -> Clause:
    is_amount = clause.fact == AMOUNT and clause.comparison in OTHER_SIDE
    return Clause(clause.fact, clause.comparison, amount_minor) if is_amount else clause
