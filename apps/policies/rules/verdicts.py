"""The judge. Pure: compiled rules and facts in, a verdict out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from apps.core.rules import Risk, highest_risk
from apps.policies.rules.budgets import Covering
from apps.policies.rules.clauses import opposite_of
from apps.policies.rules.documents import STRICTNESS, Effect, Mode
from apps.policies.rules.facts import Facts
from apps.policies.rules.obligations import NONE, NOTHING_STANDING, USUAL_BULK, Obligations, obligations_of
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.quorums import Group, group_of, joined_groups
from apps.policies.rules.settling import FIXED, settled
from apps.policies.rules.weighing import Outcome, RuleInForce, Sight, weigh


@dataclass(frozen=True, slots=True)
class Matched:
    """A matched rule as agents and people are told of it; ``error`` says why it counts although it has no value."""

    policy: str
    version: int
    rule: str
    effect: Effect
    message: str = ""
    error: str = ""
    confidential: bool = False

    def as_json(self) -> dict[str, Any]:
        """The rule as it is kept; what strangers are told of it is for ``quieted`` to say."""
        error = {"error": self.error} if self.error else {}
        return {
            "policy": self.policy,
            "version": self.version,
            "rule": self.rule,
            "effect": self.effect.value,
            "message": self.message,
            **error,
            **({CONFIDENTIAL: True} if self.confidential else {}),
        }


class Judged(NamedTuple):
    """One rule in scope and what became of it; ``is_shadow``: it had no say, whatever became of it.

    ``waiver``: the id of the one that lifted it. ``confidential``: named to nobody who may not see its policy.
    """

    policy: str
    rule: str
    effect: Effect
    outcome: Outcome
    error: str = ""
    is_shadow: bool = False
    waiver: str = ""
    confidential: bool = False

    def as_json(self) -> dict[str, Any]:
        """The line of the trace."""
        error = {"error": self.error} if self.error else {}
        return {
            "policy": self.policy,
            "rule": self.rule,
            "effect": self.effect.value,
            "outcome": self.outcome.value,
            **error,
            **({"mode": Mode.SHADOW.value} if self.is_shadow else {}),
            **({"waiver": self.waiver} if self.waiver else {}),
            **({CONFIDENTIAL: True} if self.confidential else {}),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy says of an action. ``effect`` is allow, require_approval or deny, never flag.

    ``allowed_when``: what would make a rule allow it; ``avoided_when``: what, any one of it, would keep a rule from
    denying it or asking about it; each where the rule is plain and not confidential. ``budgets``: those that the action
    does not fit, as agents and people are told of them; ``covering``: all that it falls under, which is not kept.
    ``waivers``: those that lifted a rule which had its say; the trace still has that rule.
    """

    effect: Effect
    rules: tuple[Matched, ...] = ()
    obligations: Obligations = NONE
    groups: tuple[Group, ...] = ()
    risk: Risk | None = None
    reason: str = ""
    release: int = 0
    authors: tuple[str, ...] = ()
    trace: tuple[Judged, ...] = ()
    allowed_when: tuple[dict[str, Any], ...] = ()
    avoided_when: tuple[dict[str, Any], ...] = ()
    budgets: tuple[dict[str, Any], ...] = ()
    waivers: tuple[dict[str, Any], ...] = ()
    covering: tuple[Covering, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    facts_hash: str = ""

    def as_json(self) -> dict[str, Any]:
        """The verdict as it is stored; ``public_json`` is what the agent gets."""
        return {
            **self.public_json(),
            "groups": [group.as_json() for group in self.groups],
            "risk": self.risk.value if self.risk else None,
            "authors": list(self.authors),
            "trace": [line.as_json() for line in self.trace],
            "facts": self.facts,
            "facts_hash": self.facts_hash,
            **({"waivers": list(self.waivers)} if self.waivers else {}),
        }

    def public_json(self) -> dict[str, Any]:
        """Effect, rules, obligations, release, and what would have to change: what an agent is told."""
        quorum = {"quorum": max(group.needed for group in self.groups)} if self.groups else {}
        return {
            "effect": self.effect.value,
            "reason": self.reason,
            "rules": [rule.as_json() for rule in self.rules],
            "obligations": {**self.obligations.as_json(), **quorum},
            "release": self.release,
            "allowed_when": list(self.allowed_when),
            "avoided_when": list(self.avoided_when),
            "budgets": list(self.budgets),
            **({"waivers": [public_waiver(waiver) for waiver in self.waivers]} if self.waivers else {}),
        }


def public_waiver(waiver: dict[str, Any]) -> dict[str, Any]:
    """Which rule was lifted and until when: who asked and who approved is told to people only."""
    return {name: waiver[name] for name in ("policy", "rule", "effect", "until", CONFIDENTIAL) if name in waiver}


def verdict_of(stored: dict[str, Any]) -> Verdict:
    """The verdict that ``as_json`` wrote down. Raises KeyError or ValueError if something else is stored."""
    return Verdict(
        effect=Effect(stored["effect"]),
        rules=tuple(
            Matched(
                rule["policy"],
                rule["version"],
                rule["rule"],
                Effect(rule["effect"]),
                rule["message"],
                rule.get("error", ""),
                rule.get(CONFIDENTIAL, False),
            )
            for rule in stored["rules"]
        ),
        obligations=obligations_of(stored["obligations"]),
        groups=tuple(map(group_of, stored["groups"])),
        risk=Risk(stored["risk"]) if stored["risk"] else None,
        reason=stored["reason"],
        release=stored["release"],
        authors=tuple(stored["authors"]),
        trace=tuple(
            Judged(
                line["policy"],
                line["rule"],
                Effect(line["effect"]),
                Outcome(line["outcome"]),
                line.get("error", ""),
                line.get("mode") == Mode.SHADOW,
                line.get("waiver", ""),
                line.get(CONFIDENTIAL, False),
            )
            for line in stored["trace"]
        ),
        allowed_when=tuple(stored["allowed_when"]),
        avoided_when=tuple(stored.get("avoided_when", ())),
        budgets=tuple(stored.get("budgets", ())),
        waivers=tuple(stored.get("waivers", ())),
        facts=stored["facts"],
        facts_hash=stored["facts_hash"],
    )


def judge(rules: Iterable[RuleInForce], facts: Facts, *, release: int = 0) -> Verdict:
    """The verdict of ``rules`` on ``facts``. Raises ContextError where the facts are not ones rules may see."""
    weighed = weigh(rules, Sight(facts))
    matched = [rule for rule, _ in weighed.matched]
    kept = facts.as_json()
    return Verdict(
        effect=weighed.effect,
        rules=tuple(sorted((_told(rule, error) for rule, error in weighed.matched), key=_strictest_first)),
        obligations=weighed.obligations,
        groups=weighed.groups(facts),
        risk=_risk(matched),
        reason=weighed.reason,
        release=release,
        authors=tuple(sorted({rule.author for rule in matched if rule.author})),
        trace=tuple(
            Judged(
                rule.policy,
                rule.rule.slug,
                rule.rule.effect,
                outcome,
                error,
                rule.is_shadow_for(facts.agent.slug),
                confidential=rule.rule.confidential,
            )
            for rule, outcome, error in weighed.judged
        ),
        allowed_when=() if weighed.effect is Effect.ALLOW else _allowed_when(weighed.judged, facts),
        avoided_when=_avoided_when(weighed.matched),
        facts=kept,
        facts_hash=facts.digest(kept),
    )


def is_stricter(after: Verdict, before: Verdict) -> bool:
    """Whether ``after`` demands anything that ``before`` did not: what was approved under one may not run under it.

    What is looked at afterwards, what may be approved at once or in advance, and what is hidden say nothing of an
    approval that was given. Nobody is told by a rule. Of two that allow neither is stricter: nobody approved and nobody
    is asked, and a limit that is not kept denies.
    """
    if after.effect is not before.effect:
        return STRICTNESS[after.effect] > STRICTNESS[before.effect]
    if after.effect is Effect.ALLOW:
        return False
    unsaid: dict[str, Any] = {
        "sample": None,
        "bulk": None,
        "standing": None,
        "redact": frozenset(),
        "notify": frozenset(),
    }
    old, new = before.obligations, replace(after.obligations, **unsaid)
    if (old | new) != old:
        return True
    if highest_risk(after.risk, before.risk) != highest_risk(before.risk):
        return True
    return not all(any(old.suffices_for(new) for old in before.groups) for new in after.groups)


def joined(after: Verdict, before: Verdict) -> Verdict:
    """What ``after`` and ``before`` demand together: whoever is asked again is asked for nothing less than before.

    The release, the facts and the trace are those of ``after``. Neither of them denies.
    """
    return replace(
        after,
        effect=max(after.effect, before.effect, key=lambda effect: STRICTNESS[effect]),
        rules=tuple(sorted({*after.rules, *before.rules}, key=_strictest_first)),
        obligations=_spelt_out(after) | _spelt_out(before),
        groups=joined_groups((*before.groups, *after.groups)),
        risk=highest_risk(after.risk, before.risk) if after.risk or before.risk else None,
        authors=tuple(sorted({*after.authors, *before.authors})),
        allowed_when=after.allowed_when or before.allowed_when,
        avoided_when=after.avoided_when or before.avoided_when,
        budgets=after.budgets or before.budgets,
    )


def _spelt_out(verdict: Verdict) -> Obligations:
    """With what holds where rules ask and none says what is approved together or in advance."""
    demands = verdict.obligations
    if not any(rule.effect is Effect.REQUIRE_APPROVAL for rule in verdict.rules):
        return demands
    return replace(demands, bulk=demands.bulk or USUAL_BULK, standing=demands.standing or NOTHING_STANDING)


def _risk(matched: Sequence[RuleInForce]) -> Risk | None:
    risks = [rule.rule.risk for rule in matched if rule.rule.risk]
    return highest_risk(*risks) if risks else None


def _told(rule: RuleInForce, error: str) -> Matched:
    told = rule.rule
    return Matched(rule.policy, rule.version, told.slug, told.effect, told.message, error, told.confidential)


def _strictest_first(rule: Matched) -> tuple[int, str, str]:
    return -STRICTNESS[rule.effect], rule.policy, rule.rule


def _allowed_when(judged: Sequence[tuple[RuleInForce, Outcome, str]], facts: Facts) -> tuple[dict[str, Any], ...]:
    """The conditions of allow rules in scope that did not hold, where they are plain and not confidential.

    Nor where they cannot hold for this agent and operation, whatever it asks. With the currency that they speak of,
    where it is not the action's.
    """
    found = []
    fixed = {name: value for name, value in facts.values().items() if name in FIXED}
    for rule, outcome, _ in judged:
        if rule.rule.effect is not Effect.ALLOW or outcome is Outcome.TRUE:
            continue
        if rule.rule.confidential or rule.is_shadow_for(facts.agent.slug):
            continue
        if rule.clauses and settled(rule.program.tree, fixed) is not False:
            conditions = [clause.as_json() for clause in rule.clauses]
            abroad = {"currency": rule.currency_for(facts)} if rule.is_abroad(facts) else {}
            found.append({"policy": rule.policy, "rule": rule.rule.slug, "conditions": conditions, **abroad})
    return tuple(found)


def _avoided_when(matched: Sequence[tuple[RuleInForce, str]]) -> tuple[dict[str, Any], ...]:
    """Of each rule that denies or asks: what of its condition would have to be otherwise, any one of it.

    Where it is plain and not confidential, and was met by what was asked rather than by what could not be read.
    """
    found = []
    for rule, error in matched:
        if error or rule.rule.confidential or rule.rule.effect not in {Effect.DENY, Effect.REQUIRE_APPROVAL}:
            continue
        if any_of := [other.as_json() for clause in rule.clauses if (other := opposite_of(clause))]:
            effect = rule.rule.effect.value
            found.append({"policy": rule.policy, "rule": rule.rule.slug, "effect": effect, "any_of": any_of})
    return tuple(sorted(found, key=lambda line: (line["policy"], line["rule"])))
