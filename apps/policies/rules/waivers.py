"""A waiver lifts the effect of one rule for what it names, for some days and some uses. Pure.

It is asked for by one person and approved by another, and it means the rule as it was then: of a rule that changed
since it lifts nothing. Where another rule denies, or none allows, it is not used at all.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from apps.core.rules import Moves, digest_of
from apps.policies.rules.clauses import Clause, clashes
from apps.policies.rules.documents import Effect, Rule
from apps.policies.rules.facts import Facts
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.rows import is_money
from apps.policies.rules.verdicts import Verdict, judge
from apps.policies.rules.weighing import RuleInForce

MAX_DAYS, MAX_TIMES = 30, 1_000
LIFTED = frozenset({Effect.DENY, Effect.REQUIRE_APPROVAL})
"""The effects that a waiver lifts: there is nothing to lift of the others."""
LETTING = frozenset({Effect.ALLOW, Effect.REQUIRE_APPROVAL})
"""The effects without which nothing is let through."""


class WaiverState(StrEnum):
    """Where a waiver is."""

    ASKED = "asked"
    LIVE = "live"
    DECLINED = "declined"
    USED_UP = "used_up"
    EXPIRED = "expired"
    ENDED = "ended"


WAIVER_MOVES: Moves = {
    WaiverState.ASKED: frozenset({WaiverState.LIVE, WaiverState.DECLINED, WaiverState.EXPIRED, WaiverState.ENDED}),
    WaiverState.LIVE: frozenset({WaiverState.USED_UP, WaiverState.EXPIRED, WaiverState.ENDED}),
    WaiverState.DECLINED: frozenset(),
    WaiverState.USED_UP: frozenset({WaiverState.ENDED}),
    WaiverState.EXPIRED: frozenset({WaiverState.ENDED}),
    WaiverState.ENDED: frozenset(),
}
"""What is over may still be ended: then what it let through and has not run yet is judged again."""


class WaiverScope(StrEnum):
    """For what a rule is lifted: one of them, by its slug; a unit with all below it."""

    AGENT = "agent"
    OPERATION = "operation"
    UNIT = "unit"
    WORKFLOW = "workflow"


SCOPED = {
    WaiverScope.AGENT: "agents",
    WaiverScope.OPERATION: "operations",
    WaiverScope.WORKFLOW: "workflows",
}
"""By which list of a rule's scope it could not apply at all. Units hold below them, so they are not compared."""


@dataclass(frozen=True, slots=True)
class Lift:
    """A waiver as the judge knows it: which rule, as it said then (``digest``), and who answers for it."""

    id: UUID
    policy: str
    rule: str
    digest: str
    by: str
    approved_by: str
    until: datetime

    def told(self, rule: Rule) -> dict[str, Any]:
        """What a verdict keeps of it; ``rule`` is what it lifted."""
        return {
            "id": str(self.id),
            "policy": self.policy,
            "rule": self.rule,
            "effect": rule.effect.value,
            "by": self.by,
            "approved_by": self.approved_by,
            "until": self.until.isoformat(),
            **({CONFIDENTIAL: True} if rule.confidential else {}),
        }


def rule_digest(rule: Rule) -> str:
    """The digest of all that a rule says."""
    return digest_of(dict(rule.document))


def with_waivers(verdict: Verdict, rules: Sequence[RuleInForce], facts: Facts, waivers: Iterable[Lift]) -> Verdict:
    """What is left of ``verdict`` once the rules that waivers lift have no say; itself where it would deny anyway.

    ``waivers``: those that take the action in. The trace stays that of all rules, and names what lifted one. Raises
    ContextError.
    """
    found = _used(verdict, rules, waivers)
    if not found:
        return verdict
    lifted = {(lift.policy, lift.rule): str(lift.id) for lift, _rule in found}
    rest = judge(
        (rule for rule in rules if (rule.policy, rule.rule.slug) not in lifted), facts, release=verdict.release
    )
    if rest.effect is Effect.DENY:
        return verdict
    told = tuple(lift.told(rule) for lift, rule in found)
    trace = tuple(line._replace(waiver=lifted.get((line.policy, line.rule), "")) for line in verdict.trace)
    return replace(rest, waivers=told, trace=trace)


def _used(verdict: Verdict, rules: Sequence[RuleInForce], waivers: Iterable[Lift]) -> list[tuple[Lift, Rule]]:
    """The first waiver of each rule that had its say and still says what it said, in the order of their ids."""
    matched = {(rule.policy, rule.rule) for rule in verdict.rules if rule.effect in LIFTED}
    named = {(rule.policy, rule.rule.slug): rule.rule for rule in rules}
    found: dict[tuple[str, str], tuple[Lift, Rule]] = {}
    for lift in sorted(waivers, key=lambda lift: lift.id):
        key = lift.policy, lift.rule
        if key in matched and key not in found and rule_digest(named[key]) == lift.digest:
            found[key] = lift, named[key]
    return sorted(found.values(), key=lambda one: one[0].id)


def may_let_through(
    other: RuleInForce, lifted: RuleInForce, scope: str, target: str, known: Collection[Clause] = ()
) -> bool:
    """Whether ``other`` could let through something of what ``lifted`` stops for a target; False only where it cannot.

    As far as scopes and plain comparisons say, with what else is ``known`` of all that ``lifted`` stops there: whatever
    else a condition says, it could.
    """
    if other.rule.effect not in LETTING or other.rule.is_shadow:
        return False
    for name in ("agents", "operations", "workflows", "connectors", "versions", "steps", "environments"):
        theirs, ours = getattr(other.rule.scope, name), getattr(lifted.rule.scope, name)
        if SCOPED.get(WaiverScope(scope)) == name:
            ours = frozenset({target})
        if theirs and ours and theirs.isdisjoint(ours):
            return False
    has_same_money = (other.unit, other.rule.currency) == (lifted.unit, lifted.rule.currency)
    return not any(
        clashes(one, another)
        for one in other.clauses
        for another in (*lifted.clauses, *known)
        if has_same_money or not is_money(one.fact)
    )


def why_pointless(rule: Rule, scope: str, target: str) -> str:
    """Why a waiver of ``rule`` could lift nothing for its target: a word; empty where it could."""
    if rule.effect not in LIFTED:
        return "nothing_to_lift"
    if rule.is_shadow:
        return "in_shadow"
    named: Collection[str] = getattr(rule.scope, SCOPED[WaiverScope(scope)]) if scope in SCOPED else ()
    return "out_of_scope" if named and target not in named else ""
