"""Which rules a move between units leaves behind, and which it comes under. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from apps.core.expressions.syntax import Ident, walk
from apps.policies.rules.documents import Effect
from apps.policies.rules.facts import HistoryScope
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import RuleInForce

OF_UNIT = "agent.unit"
AMOUNT = "action.amount_minor"


@dataclass(frozen=True, slots=True)
class Path:
    """Where one unit's things stand before a move and after it: the slugs of that unit and of all above it."""

    before: frozenset[str]
    after: frozenset[str]


@dataclass(frozen=True, slots=True)
class Mover:
    """What moves: an agent or a workflow by its slug, or a unit with all that it holds (both empty).

    ``reads_unit``: its own unit is another one afterwards, not one above; ``is_abroad``: the topmost unit's currency.
    """

    agent: str = ""
    workflow: str = ""
    reads_unit: bool = True
    is_abroad: bool = False


def left_rules(rules: Iterable[RuleInForce], paths: Sequence[Path], mover: Mover) -> Iterator[RuleInForce]:
    """Rules that have a say now and would have none, where that can be milder: all that do not only allow."""
    for rule in _concerning(rules, mover):
        if not _only_allows(rule) and any(_holds(rule, p.before) and not _holds(rule, p.after) for p in paths):
            yield rule


def gained_rules(rules: Iterable[RuleInForce], paths: Sequence[Path], mover: Mover) -> Iterator[RuleInForce]:
    """Rules that would come to have a say and let through, or ask, what nothing allowed."""
    for rule in _concerning(rules, mover):
        is_open = rule.rule.effect in {Effect.ALLOW, Effect.REQUIRE_APPROVAL}
        if is_open and any(_holds(rule, p.after) and not _holds(rule, p.before) for p in paths):
            yield rule


def unsure_rules(rules: Iterable[RuleInForce], paths: Sequence[Path], mover: Mover) -> Iterator[RuleInForce]:
    """Rules that go on to have a say, and may say something else of the same: they read what becomes another."""
    for rule in _concerning(rules, mover):
        if any(_holds(rule, p.before) and _holds(rule, p.after) for p in paths) and _may_differ(rule, mover):
            yield rule


def name_of(rule: RuleInForce) -> str:
    """``policy/rule``; of a confidential rule its policy alone."""
    return f"{rule.policy}/{CONFIDENTIAL if rule.rule.confidential else rule.rule.slug}"


def _concerning(rules: Iterable[RuleInForce], mover: Mover) -> Iterator[RuleInForce]:
    """The rules that have their say on what moves, as far as its name tells."""
    for rule in rules:
        scope = rule.rule.scope
        if rule.rule.is_shadow:
            continue
        if mover.agent:
            versions = {each.partition("@")[0] for each in scope.versions}
            if (scope.agents and mover.agent not in scope.agents) or (versions and mover.agent not in versions):
                continue
        if mover.agent and rule.is_shadow_for(mover.agent):
            continue
        if mover.workflow and scope.workflows and mover.workflow not in scope.workflows:
            continue  # of a rule for some agents it is not known which of them work in its runs
        yield rule


def _holds(rule: RuleInForce, units: frozenset[str]) -> bool:
    named = rule.rule.scope.units
    return (not rule.unit or rule.unit in units) and (not named or not named.isdisjoint(units))


def _only_allows(rule: RuleInForce) -> bool:
    said = rule.rule.document
    return rule.rule.effect is Effect.ALLOW and not said.get("obligations") and not said.get("risk")


def _may_differ(rule: RuleInForce, mover: Mover) -> bool:
    read = {node.name for node in walk(rule.program.tree) if isinstance(node, Ident)}
    asks_unit = any(HistoryScope.UNIT in call.arguments for call in rule.program.calls)
    if mover.reads_unit and (OF_UNIT in read or asks_unit):
        return True
    reads_amounts = AMOUNT in read or bool(rule.program.calls) or bool(rule.rule.document.get("obligations"))
    return mover.is_abroad and not rule.unit and not rule.rule.currency and reads_amounts
