"""Which policies an actor may see, and each rule as people read it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.access.models import Queue
from apps.access.selectors import units_near_for
from apps.core.errors import InvalidError, NotFoundError
from apps.core.expressions import ExpressionError
from apps.core.gate import recall, visible
from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion
from apps.policies.rules import (
    EVERY_AGENT,
    AgentFacts,
    DocumentError,
    Effect,
    Facts,
    Mode,
    Opaque,
    PolicyState,
    RuleInForce,
    RunFacts,
    compile_rule,
    condition_of,
    read_rule,
    read_rules,
)
from apps.policies.rules.clauses import Clause, Comparison, clashes
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.settling import settled
from apps.policies.selectors.releases import ground_for, rules_for_release
from apps.policies.selectors.sentences import demands_of, scope_of, sentence_of

VIEW, LIFT = "policies.view_policy", "halts.lift_halt"


@dataclass(frozen=True, slots=True)
class RuleCard:
    """A rule for people: the sentence first, the expression behind it. ``queue`` is the queue's name.

    ``is_always``: its condition holds, as far as was known, whatever is asked.
    """

    policy: str
    version: int
    slug: str
    effect: str
    sentence: str
    when: str
    is_opaque: bool
    is_always: bool = False
    queue: str = ""
    queue_slug: str = ""
    demands: list[str] = field(default_factory=list)
    scope: list[tuple[str, list[str]]] = field(default_factory=list)
    message: str = ""
    risk: str = ""
    is_shadow: bool = False
    share: int = EVERY_AGENT
    currency: str = ""

    def as_json(self) -> dict[str, Any]:
        """The card for the API."""
        return {
            "policy": self.policy,
            "version": self.version,
            "rule": self.slug,
            "effect": self.effect,
            "sentence": self.sentence,
            "message": self.message,
            "mode": (Mode.SHADOW if self.is_shadow else Mode.ENFORCED).value,
            **({} if self.share == EVERY_AGENT else {"share": f"{self.share}%"}),
        }


def policies_for(actor: User) -> QuerySet[Policy]:
    """Policies that ``actor`` may see, by slug."""
    rows = Policy.objects.select_related("unit", "latest__author", "in_force__author").order_by("slug")
    return visible(actor, VIEW, rows)


def policy_for(actor: User, slug: str, *, perm: str = VIEW) -> Policy:
    """One policy on which ``actor`` holds ``perm``. Raises NotFoundError."""
    rows = Policy.objects.select_related("unit", "latest__author", "in_force__author").filter(slug=slug)
    if found := visible(actor, perm, rows).first():
        return found
    raise NotFoundError


def refuse_unknown_rule(actor: User, cause: str) -> None:
    """Raise InvalidError at ``cause`` where it is ``policy/rule`` and no policy in force has such a denying rule.

    Confidential rules are named together, as ``policy/confidential``: whoever sees what counts them need not see the
    policy. Who may see it is told so; to everybody else there is none of its name. Policies of units in and above
    which ``actor`` lifts no halt, and that they do not see, are not there.
    """
    slug, slash, rule = cause.partition("/")
    if not slash:
        return
    near = units_near_for(actor, LIFT)
    open_to = Q() if near is None else Q(unit=None) | Q(unit__in=near) | Q(slug__in=slugs_seen_by(actor))
    rows = Policy.objects.filter(open_to, slug=slug, state=PolicyState.IN_FORCE)
    policy = rows.select_related("in_force").first()
    rules = policy.in_force.rules if policy and policy.in_force else []
    denying = [each for each in rules if each.get("effect") == Effect.DENY]
    if any(rule == (CONFIDENTIAL if each.get("confidential") else each.get("slug")) for each in denying):
        return
    if any(rule == each.get("slug") for each in denying) and slug in slugs_seen_by(actor):
        text = _("This rule is confidential: count all of its policy that are, as %s.")
        raise InvalidError(errors={"cause": [text % f"{slug}/{CONFIDENTIAL}"]})
    raise InvalidError(errors={"cause": [_("No policy in force has a rule of this name that denies.")]})


def versions_for(actor: User, policy: Policy) -> QuerySet[PolicyVersion]:
    """The versions of a policy that was fetched for ``actor``, newest first."""
    return policy.versions.select_related("author").order_by("-number")


def rules_for(actor: User, version: PolicyVersion | None) -> list[RuleCard]:
    """The rules of a version as cards, in their order; none for no version."""
    return _cards(compiled_version(version)) if version else []


def drafted_rules_for(actor: User, policy: Policy, rules: Sequence[Mapping[str, Any]]) -> list[RuleCard | None]:
    """Rules that are written nowhere yet as cards, in their order; None for one that cannot be read or compiled."""
    assert actor.is_active
    found = [_drafted(policy, rule) for rule in rules]
    cards = iter(_cards(rule for rule in found if rule is not None))
    return [next(cards) if rule is not None else None for rule in found]


def _drafted(policy: Policy, rule: Mapping[str, Any]) -> RuleInForce | None:
    try:
        return compile_rule(read_rule(dict(rule)), policy=policy.slug, unit=policy.unit.slug if policy.unit else "")
    except (DocumentError, ExpressionError):
        return None


def compiled_version(version: PolicyVersion) -> list[RuleInForce]:
    """The rules of a stored version, ready to judge."""
    return list(_compiled_text(json.dumps(version.rules), version.policy.slug, version.number, version.unit))


@lru_cache(maxsize=256)
def _compiled_text(rules: str, policy: str, number: int, unit: str) -> tuple[RuleInForce, ...]:
    """What of a stored version still compiles: it was checked when written, and the language may have moved on.

    Kept by what it says: every item's page shows it, and compiling fifty rules takes about eight milliseconds.
    """
    found = []
    for rule in read_rules(json.loads(rules))[0]:
        try:
            found.append(compile_rule(rule, policy=policy, version=number, unit=unit))
        except ExpressionError:
            continue
    return tuple(found)


def matched_rules_for(
    actor: User, verdict: Mapping[str, Any], queues: Mapping[str, str] = MappingProxyType({})
) -> list[RuleCard]:
    """The matched rules of a stored verdict as cards, strictest first. ``queues``: names that are known, by slug.

    Whoever may see the action may see why: no permission on the policy is asked, but for confidential rules. A rule
    that cannot be found any more is left out.
    """
    matched = [(rule["policy"], rule.get("version", 0), rule["rule"]) for rule in verdict.get("rules", ())]
    slugs = {policy for policy, _, _ in matched}
    versions = PolicyVersion.objects.filter(policy__slug__in=slugs).filter(
        number__in={number for _, number, _ in matched}
    )
    rules = {
        (rule.policy, rule.version, rule.rule.slug): rule
        for version in versions.select_related("policy")
        for rule in compiled_version(version)
    }
    return _cards(_open_to(actor, [rules[key] for key in matched if key in rules]), queues)


def rules_about_for(
    actor: User, *, operation: str, connector: str = "", agent: str = "", version: int = 0, unit_id: UUID | None = None,
    known: Mapping[str, Any] = MappingProxyType({}), up_to: tuple[int, str] | None = None, quiet: bool = False,
) -> list[RuleCard]:  # fmt: skip
    """The rules in force whose scope takes in an agent's use of an operation, strictest first.

    What an agent's page needs for may, must ask and may never: without those in shadow and those whose condition
    cannot hold with what is ``known`` of the agent and the operation, or for no amount ``up_to`` what it is permitted
    (minor units and currency). ``quiet``: those instead that count as well and are confidential to ``actor``: only for
    what follows of them, never to be shown.
    """
    ground = ground_for(actor, unit_id)
    facts = Facts(
        operation=operation,
        effect="",
        connector=connector,
        agent=AgentFacts(slug=agent, version=version),
        run=RunFacts(),
        units=ground.units,
        currencies=ground.currencies,
    )
    found = rules_for_release(actor, ground.release_id).about(operation)
    rules = [
        rule
        for rule in found
        if not rule.is_shadow_for(agent) and rule.covers(facts) and settled(rule.program.tree, known) is not False
        if not (up_to and _is_beyond(rule, facts, *up_to))
    ]
    order = list(Effect)
    rules.sort(key=lambda rule: -order.index(rule.rule.effect))
    shown = _open_to(actor, rules)
    meant = [rule for rule in rules if rule not in shown] if quiet else shown
    always = [settled(rule.program.tree, known) is True for rule in meant]
    return [replace(card, is_always=each) for card, each in zip(_cards(meant), always, strict=True)]


def _is_beyond(rule: RuleInForce, facts: Facts, minor: int, currency: str) -> bool:
    """Whether a rule speaks of larger amounts alone; one in another currency is judged whatever the amount."""
    most = Clause("action.amount_minor", Comparison.AT_MOST, minor)
    return rule.currency_for(facts) == currency and any(clashes(clause, most) for clause in rule.clauses)


def slugs_seen_by(actor: User) -> set[str]:
    """The policies that ``actor`` may see: for lists of verdicts, asked once a request."""
    return recall(actor, "policies.seen", lambda: set(policies_for(actor).values_list("slug", flat=True)))


def _open_to(actor: User, rules: Sequence[RuleInForce]) -> list[RuleInForce]:
    """Without the confidential ones of policies that ``actor`` may not see; no query where none is."""
    quiet = {rule.policy for rule in rules if rule.rule.confidential}
    seen = slugs_seen_by(actor) if quiet and not actor.is_agent else set()
    return [rule for rule in rules if not rule.rule.confidential or rule.policy in seen]


def _cards(rules: Iterable[RuleInForce], queues: Mapping[str, str] = MappingProxyType({})) -> list[RuleCard]:
    found = list(rules)
    unknown = {rule.rule.queue for rule in found} - queues.keys() - {""}
    names = {**queues, **dict(Queue.objects.filter(slug__in=unknown).values_list("slug", "name"))}
    return [_card(rule, names.get(rule.rule.queue, rule.rule.queue)) for rule in found]


def _card(rule: RuleInForce, queue: str) -> RuleCard:
    return RuleCard(
        policy=rule.policy,
        version=rule.version,
        slug=rule.rule.slug,
        effect=rule.rule.effect.value,
        sentence=sentence_of(rule, queue=queue),
        when=rule.rule.when,
        is_opaque=isinstance(condition_of(rule.program.tree), Opaque),
        queue=queue,
        queue_slug=rule.rule.queue,
        demands=demands_of(rule.rule.obligations, rule.rule.quorums, rule.rule.currency),
        scope=scope_of(rule.rule.scope),
        message=rule.rule.message,
        risk=rule.rule.risk.value if rule.rule.risk else "",
        is_shadow=rule.rule.is_shadow,
        share=rule.rule.share,
        currency=rule.rule.currency,
    )
