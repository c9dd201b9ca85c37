"""Judging once more what was judged before: kept facts in, what other rules come to out. Pure, and never a guess.

The evaluator is that of the hot path (``weigh``). What cannot be said of an action is said to be so, with the reason.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from apps.classification.rules import Classed, carried
from apps.core.expressions import ContextError, FunctionCall
from apps.policies.rules.documents import Effect
from apps.policies.rules.facts import AgentFacts, Facts, RunFacts, written
from apps.policies.rules.quorums import Group
from apps.policies.rules.waivers import rule_digest
from apps.policies.rules.weighing import Reason, RuleInForce, Sight, Weighed, weigh

type RuleSet = Callable[[str], Sequence[RuleInForce]]
"""The rules of one set that are about an operation."""


PARAMETERS = "action.parameters"


class Gap(StrEnum):
    """Why an action cannot be judged once more."""

    ERASED = "erased"
    EDITED = "edited"
    FACTS = "facts"
    HISTORY = "history"
    COMPENSATION = "compensation"
    UNFIT = "unfit"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of one action: the facts of its verdict, and what the action itself has.

    ``is_edited``: people changed its parameters, so they are not those that the facts speak of. ``lifted``: the rules
    that waivers lifted for it, as they said then: policy, rule and digest. ``hidden``: what of its parameters whoever
    asks may not see; ``quoting``: the facts in which that is quoted, such as the target.
    """

    facts: Mapping[str, Any] | None
    connector: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    is_erased: bool = False
    is_edited: bool = False
    lifted: frozenset[tuple[str, str, str]] = frozenset()
    hidden: Classed = field(default_factory=dict)
    quoting: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one set of rules comes to, how many people of which queues it would ask, and whether by a waiver."""

    effect: Effect
    asked: Mapping[str, int] = field(default_factory=dict)
    is_waived: bool = False


def replay(kept: Kept, sets: Sequence[RuleSet]) -> tuple[Replayed, ...] | Gap:
    """What each set comes to on the action; why it cannot be said, where any set needs what was not kept."""
    if gap := _gap_of(kept):
        return gap
    told = kept.facts or {}
    try:
        chosen = [enforced(rules(told["action.operation"])) for rules in sets]
        if hides(kept, frozenset().union(*map(reads_of, chosen))):
            return Gap.HIDDEN
        asked = {call for rules in chosen for rule in rules for call in rule.program.calls}
        sight = Sight(facts_kept(kept, asked), are_checked=True)
        if asked and any(_lacks_history(rule, sight.facts) for rules in chosen for rule in rules):
            return Gap.HISTORY
        waived = [_without(rules, kept.lifted, sight) for rules in chosen]
        weighed = [rest or weigh(rules, sight) for rules, rest in zip(chosen, waived, strict=True)]
    except (KeyError, TypeError, ValueError, ContextError):
        return Gap.UNFIT
    # Older facts do not say whether the action could be undone; without a rule that asks, it does not matter.
    if "compensable" not in told and any(each.reason == Reason.NOT_COMPENSABLE for each in weighed):
        return Gap.COMPENSATION
    return tuple(
        Replayed(each.effect, _asked(each.groups(sight.facts)), rest is not None)
        for each, rest in zip(weighed, waived, strict=True)
    )


def _without(rules: Sequence[RuleInForce], lifted: frozenset[tuple[str, str, str]], sight: Sight) -> Weighed | None:
    """What is left once the rules that waivers lifted have no say; None where nothing is, or it would deny anyway.

    As when it was judged: of a rule that a draft changes its waiver lifts nothing.
    """
    if not lifted:
        return None
    left = [rule for rule in rules if (rule.policy, rule.rule.slug, rule_digest(rule.rule)) not in lifted]
    rest = weigh(left, sight) if len(left) < len(rules) else None
    return None if rest is None or rest.effect is Effect.DENY else rest


def enforced(rules: Sequence[RuleInForce]) -> list[RuleInForce]:
    """Without those in shadow: they change nothing, so that what they need and nobody kept is no gap."""
    return [rule for rule in rules if not rule.rule.is_shadow]


def _gap_of(kept: Kept) -> Gap | None:
    if kept.is_erased:
        return Gap.ERASED
    if kept.is_edited:
        return Gap.EDITED
    return None if kept.facts else Gap.FACTS


def hides(kept: Kept, reads: Set[str]) -> bool:
    """Whether rules that read these names look at what whoever asks may not see: what comes out would tell of it."""
    if not kept.hidden:
        return False
    looks_in = PARAMETERS in reads and bool(carried(kept.hidden, kept.parameters))
    return looks_in or not kept.quoting.isdisjoint(reads)


def reads_of(rules: Iterable[RuleInForce]) -> frozenset[str]:
    """The names that these rules read."""
    return frozenset(name for rule in rules for name in rule.program.reads)


def _asked(groups: Sequence[Group]) -> dict[str, int]:
    people: dict[str, int] = {}
    for group in groups:
        people[group.queue] = people.get(group.queue, 0) + group.needed
    return people


def _lacks_history(rule: RuleInForce, facts: Facts) -> bool:
    return bool(rule.program.calls) and rule.covers(facts) and not facts.history.keys() >= set(rule.program.calls)


def facts_kept(kept: Kept, calls: set[FunctionCall]) -> Facts:
    """The facts that ``Facts.as_json`` wrote down, with the values of those ``calls`` that were kept.

    Raises KeyError, TypeError or ValueError where something else was written.
    """
    told = kept.facts or {}
    past = told.get("history", {})
    now = told["now"]
    return Facts(
        operation=told["action.operation"],
        effect=told["action.effect"],
        connector=kept.connector,
        parameters=kept.parameters,
        amount_minor=told.get("action.amount_minor"),
        currency=told["action.currency"],
        target=told["action.target"],
        reference=told["action.reference"],
        environment=told["action.environment"],
        confidence=told.get("action.confidence"),
        is_compensable=told.get("compensable", False),
        data_classes=tuple(told.get("action.data_classes", ())),
        agent=AgentFacts(
            slug=told["agent.slug"],
            unit=told["agent.unit"],
            risk=told["agent.risk"],
            state=told["agent.state"],
            version=told["agent.version"],
            owner=told["agent.owner"],
            capabilities=tuple(told["agent.capabilities"]),
        ),
        run=RunFacts(
            workflow=told["run.workflow"],
            step=told["run.step"],
            started_by=told["run.started_by"],
            key=told["run.key"],
        ),
        on_behalf_of=told["on_behalf_of"],
        units=frozenset(told["units"]),
        run_units=frozenset(told.get("run_units", ())),
        currencies=told.get("currencies", {}),
        now=datetime.fromisoformat(now) if now else None,
        history={call: past[name] for call in calls if (name := written(call)) in past},
    )
