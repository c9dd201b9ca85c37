"""What rules come to on one action: the one place where they are evaluated. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256

from apps.core.expressions import Activation, EvaluationError, Kind, Program, compile_expression
from apps.policies.rules.clauses import Clause, clauses_of, condition_of
from apps.policies.rules.documents import EVERY_AGENT, Effect, Rule
from apps.policies.rules.facts import WORLD, Facts, covers
from apps.policies.rules.obligations import NOTHING_STANDING, USUAL_BULK, Obligations, merge
from apps.policies.rules.quorums import Group, groups_of, joined_groups

MAX_ERROR = 200
AMOUNT, SUM = "action.amount_minor", "history.sum_minor"
ABROAD = "It is about {own} and this is {asked}, so it could not be compared."


class Outcome(StrEnum):
    """What became of a rule's condition."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


class Reason(StrEnum):
    """Why an action is denied, or asked of people, where no rule says so."""

    NO_MATCHING_ALLOW = "no_matching_allow"
    LIMIT_EXCEEDED = "limit_exceeded"
    NOT_COMPENSABLE = "not_compensable"
    BUDGET_EXHAUSTED = "budget_exhausted"
    KEY_HELD = "key_held"


@dataclass(frozen=True, slots=True)
class RuleInForce:
    """A rule of the release, compiled, with the policy that brought it.

    ``clauses`` is the condition where it is plain enough to be told to an agent, else empty.
    """

    policy: str
    version: int
    author: str
    unit: str
    rule: Rule
    program: Program
    clauses: tuple[Clause, ...] = ()

    def speaks_on(self, outcome: Outcome) -> bool:
        """Whether the rule has its say: a condition without a value silences only those that allow."""
        return outcome is Outcome.TRUE or (outcome is Outcome.ERROR and self.rule.effect is not Effect.ALLOW)

    def covers(self, facts: Facts) -> bool:
        """Whether the policy's unit and the rule's scope take in the action: where it belongs, or where its run began.

        Of the unit where the run was started nothing allows: its rules make what is done for it stricter, never looser.
        """
        if self.covers_own(facts):
            return True
        is_of_run = bool(facts.run_units) and self.rule.effect is not Effect.ALLOW
        return is_of_run and self._takes_in(facts, facts.run_units | (facts.units or frozenset()))

    def covers_own(self, facts: Facts) -> bool:
        """Whether they take in the action wherever its run was started."""
        return self._takes_in(facts, facts.units or frozenset())

    def _takes_in(self, facts: Facts, units: frozenset[str]) -> bool:
        return (not self.unit or self.unit in units) and covers(self.rule.scope, facts, units)

    def is_shadow_for(self, agent: str) -> bool:
        """Whether the rule only writes down what it would say of what the agent of this slug asks.

        Which agents are in a share is drawn by their slugs, so that who is in stays in while it grows. What no agent
        asks is in none.
        """
        if self.rule.is_shadow or self.rule.share == EVERY_AGENT:
            return self.rule.is_shadow
        return not agent or place_of(agent, self.policy, self.rule.slug) >= self.rule.share

    def is_abroad(self, facts: Facts) -> bool:
        """Whether the action's amount is in another currency than the rule's, so that it is beyond every one of these.

        A rule that names no currency means that of its policy's unit, or of the topmost where it covers everything.
        """
        return facts.amount_minor is not None and self.currency_for(facts) != facts.currency

    @property
    def reads_amounts(self) -> bool:
        """Whether its condition looks at an amount, the action's own or what went before."""
        return AMOUNT in self.program.reads or any(call.name == SUM for call in self.program.calls)

    def currency_for(self, facts: Facts) -> str:
        """The currency of the rule's amounts; the action's own where nothing is known of units."""
        return self.rule.currency or facts.currencies.get(self.unit, facts.currency)


def compile_rule(rule: Rule, *, policy: str = "", version: int = 0, author: str = "", unit: str = "") -> RuleInForce:
    """The rule ready to be judged by. Raises ExpressionError."""
    program = compile_expression(rule.when, WORLD, returns=Kind.BOOL)
    clauses = clauses_of(condition_of(program.tree)) or ()
    return RuleInForce(policy, version, author, unit, rule, program, clauses)


@lru_cache(maxsize=4096)
def place_of(agent: str, policy: str, rule: str) -> int:
    """The agent's place from 0 to 99 in the line of those to which the rule comes first, another one for each rule."""
    drawn = sha256(f"{policy}/{rule}/{agent}".encode()).digest()
    return int.from_bytes(drawn[:8]) % EVERY_AGENT


class Sight:
    """One action as any number of sets of rules see it: its facts converted once, each condition evaluated once.

    ``are_checked``: rules have seen these facts before.
    """

    def __init__(self, facts: Facts, *, are_checked: bool = False) -> None:
        self.facts, self.are_checked = facts, are_checked
        self._reads: frozenset[str] = frozenset()
        self._activations: dict[bool, Activation] = {}
        self._outcomes: dict[tuple[str, bool], tuple[Outcome, str]] = {}

    def open_to(self, rules: Iterable[RuleInForce]) -> None:
        """Show what these rules read as well: before they are judged, since converting large facts costs the most."""
        reads = self._reads.union(*(rule.program.reads for rule in rules))
        if reads != self._reads:
            self._reads = reads
            self._activations.clear()

    def outcome_of(self, rule: RuleInForce) -> tuple[Outcome, str]:
        """What becomes of the rule's condition, and why it has no value. Raises ContextError."""
        abroad = rule.is_abroad(self.facts)
        seen = rule.program.source, abroad
        found = self._outcomes.get(seen)
        if found is None:
            found = self._outcomes[seen] = self._outcome(rule, abroad)
        if abroad and found[0] is Outcome.ERROR and rule.reads_amounts:
            return Outcome.ERROR, ABROAD.format(own=rule.currency_for(self.facts), asked=self.facts.currency)
        return found

    def _outcome(self, rule: RuleInForce, abroad: bool) -> tuple[Outcome, str]:
        return _outcome(rule, self._activation(abroad))

    def _activation(self, abroad: bool) -> Activation:
        if abroad not in self._activations:
            facts = self.facts.without_amounts() if abroad else self.facts
            self._activations[abroad] = facts.activation(self._reads, are_checked=self.are_checked)
        return self._activations[abroad]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What rules come to on one action, before it is written down: ``judged`` are those in scope, also in shadow."""

    effect: Effect
    reason: str
    obligations: Obligations
    matched: tuple[tuple[RuleInForce, str], ...]
    judged: tuple[tuple[RuleInForce, Outcome, str], ...]

    def groups(self, facts: Facts) -> tuple[Group, ...]:
        """Who has to agree; nobody where nobody is asked."""
        return _groups([rule for rule, _ in self.matched], facts) if self.effect is Effect.REQUIRE_APPROVAL else ()


def weigh(rules: Iterable[RuleInForce], sight: Sight) -> Weighed:
    """What ``rules`` come to on what is seen: the one place where rules are evaluated. Raises ContextError.

    A condition without a value counts as a match in deny, require_approval and flag, as none in allow. So does one that
    reads the amount where that is in another currency than the rule's. A rule in shadow is judged and matches nothing.
    """
    facts = sight.facts
    covering = [rule for rule in rules if rule.covers(facts)]
    sight.open_to(covering)
    judged = tuple((rule, *sight.outcome_of(rule)) for rule in covering)
    matched = tuple((rule, error) for rule, outcome, error in judged if _matches(rule, outcome, facts))
    obligations = _merged([_beyond(rule, facts) for rule, _ in matched])
    effect, reason = _effect([rule for rule, _ in matched], obligations, facts)
    return Weighed(effect, reason, obligations, matched, judged)


def _beyond(rule: RuleInForce, facts: Facts) -> Rule:
    if not rule.is_abroad(facts):
        return rule.rule
    return replace(rule.rule, obligations=rule.rule.obligations.beyond_amounts())


def _merged(rules: Sequence[Rule]) -> Obligations:
    """The demands of all. Where one rule says what is approved together or ahead, a silent one does not join in."""
    found = merge(rule.obligations for rule in rules)
    asking = [rule.obligations for rule in rules if rule.effect is Effect.REQUIRE_APPROVAL]
    if found.bulk and any(demands.bulk is None for demands in asking):
        found |= Obligations(bulk=USUAL_BULK)
    if found.standing and any(demands.standing is None for demands in asking):
        found |= Obligations(standing=NOTHING_STANDING)
    return found


def _outcome(rule: RuleInForce, activation: Activation) -> tuple[Outcome, str]:
    value = rule.program.test(activation)
    if isinstance(value, EvaluationError):
        return Outcome.ERROR, value.message[:MAX_ERROR]
    return (Outcome.TRUE if value else Outcome.FALSE), ""


def _matches(rule: RuleInForce, outcome: Outcome, facts: Facts) -> bool:
    return rule.speaks_on(outcome) and not rule.is_shadow_for(facts.agent.slug)


def _effect(matched: Sequence[RuleInForce], obligations: Obligations, facts: Facts) -> tuple[Effect, str]:
    effects = {rule.rule.effect for rule in matched}
    if Effect.DENY in effects:
        return Effect.DENY, ""
    own = effects if not facts.run_units else {rule.rule.effect for rule in matched if rule.covers_own(facts)}
    if not own & {Effect.ALLOW, Effect.REQUIRE_APPROVAL}:  # that the run's unit would ask people lets nothing through
        return Effect.DENY, Reason.NO_MATCHING_ALLOW
    limit = obligations.limit_minor
    is_beyond = any(rule.rule.obligations.limit_minor is not None and rule.is_abroad(facts) for rule in matched)
    if is_beyond or (limit is not None and (facts.amount_minor is None or facts.amount_minor > limit)):
        return Effect.DENY, Reason.LIMIT_EXCEEDED
    if obligations.compensable and not facts.is_compensable:
        return Effect.DENY, Reason.NOT_COMPENSABLE
    return (Effect.REQUIRE_APPROVAL if Effect.REQUIRE_APPROVAL in effects else Effect.ALLOW), ""


def _groups(matched: Sequence[RuleInForce], facts: Facts) -> tuple[Group, ...]:
    return joined_groups(
        group
        for rule in matched
        for group in groups_of(
            rule.rule.quorums,
            queue=rule.rule.queue,
            rule=f"{rule.policy}/{rule.rule.slug}",
            amount_minor=None if rule.is_abroad(facts) else facts.amount_minor,
        )
    )
