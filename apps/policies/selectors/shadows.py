"""Rules in shadow, for all agents or for most: since when, who agreed, what they would have said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, F, Func, JSONField, Q, TextField, Value

from apps.access.selectors import unit_ids_below
from apps.agents.models import Action
from apps.agents.rules import AgentState
from apps.agents.selectors import actions_for, agents_for
from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion, Release
from apps.policies.rules import Effect, Mode, Rule, read_rule
from apps.policies.rules.numbers import would_speak
from apps.policies.rules.weighing import place_of
from apps.policies.selectors.policies import policies_for

RECENT, EXAMPLES = 1_000, 5
IN_PART = '$[*] ? (@.mode == "shadow" || exists(@.share))'
ASKED_ALL = f"""$[*] ? (@.policy == $policy).rules[*] ? (
  @.slug == $rule && (@.effect == "{Effect.DENY}" || @.effect == "{Effect.REQUIRE_APPROVAL}")
  && !exists(@.share) && !exists(@.mode ? (@ == "{Mode.SHADOW}")))"""
"""What of a release's policies is a rule that denied or asked, whoever the agent was."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A rule that is in shadow, or has its say on one share of the agents, without a break since a release.

    ``share``: on how many of a hundred agents it has its say. ``author``: who wrote that version; ``released_by``: who
    put it in force. ``is_lowered``: it denied or asked before, whoever the agent was.
    """

    policy: Policy
    rule: str
    effect: str
    since: datetime
    release: int
    author: str
    released_by: str
    is_lowered: bool
    share: int = 0

    def as_json(self) -> dict[str, Any]:
        """The shadow for the API."""
        names = ("rule", "effect", "since", "release", "author", "released_by")
        said = {name: getattr(self, name) for name in names}
        return {**said, "lowered": self.is_lowered, "share": f"{self.share}%"}


@dataclass(frozen=True, slots=True)
class WouldHave:
    """What a rule in shadow would have done with an action, had it been enforced."""

    policy: str
    rule: str
    effect: str


def shadows_for(actor: User, policy: Policy) -> list[Shadow]:
    """The rules of a policy fetched for ``actor`` that have no say now on all or on some agents, in their order."""
    return [
        found
        for rule in (policy.in_force.rules if policy.in_force else ())
        if _in_part(rule) and (found := _shadow(policy, rule))
    ]


def lowered_for(actor: User) -> list[Shadow]:
    """Every rule that denied or asked and does so no more for all agents, as far as ``actor`` may see its policy."""
    rows = policies_for(actor).filter(_holds("in_force__rules", IN_PART))
    return [shadow for policy in rows for shadow in shadows_for(actor, policy) if shadow.is_lowered]


def trace_for(actor: User, verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A stored verdict's trace, without the confidential rules in shadow of policies that ``actor`` may not see.

    They had no say, so nothing that the reader may know depends on them.
    """
    lines = list(verdict.get("trace", ()))
    hidden = _kept_quiet(actor, verdict) if any(map(_is_shadow, lines)) else set()
    return [line for line in lines if not _is_shadow(line) or (line["policy"], line["rule"]) not in hidden]


def would_have_for(actor: User, verdict: Mapping[str, Any]) -> list[WouldHave]:
    """What the rules in shadow that ``trace_for`` names would have said."""
    return [
        WouldHave(line["policy"], line["rule"], line["effect"])
        for line in trace_for(actor, verdict)
        if _is_shadow(line) and would_speak(line)
    ]


def _is_shadow(line: Mapping[str, Any]) -> bool:
    return line.get("mode") == Mode.SHADOW


def _kept_quiet(actor: User, verdict: Mapping[str, Any]) -> set[tuple[str, str]]:
    release = Release.objects.filter(number=verdict.get("release") or 0).first()
    policies = release.policies if release else []
    found = {(each["policy"], rule["slug"]) for each in policies for rule in each["rules"] if rule.get("confidential")}
    slugs = {policy for policy, _ in found}
    seen = set(policies_for(actor).filter(slug__in=slugs).values_list("slug", flat=True)) if slugs else set()
    return {(policy, rule) for policy, rule in found if policy not in seen}


def shadow_examples_for(actor: User, shadow: Shadow) -> list[Action]:
    """The newest actions on which the rule would have had its say, of the last thousand that ``actor`` may see."""
    recent = actions_for(actor).filter(verdict__has_key="trace").values("pk")[:RECENT]
    said = Q(verdict__trace__contains=[_line(shadow, "true")])
    if shadow.effect != Effect.ALLOW:
        said |= Q(verdict__trace__contains=[_line(shadow, "error")])
    return list(actions_for(actor).filter(said, pk__in=recent)[:EXAMPLES])


def _line(shadow: Shadow, outcome: str) -> dict[str, str]:
    return {"policy": shadow.policy.slug, "rule": shadow.rule, "mode": Mode.SHADOW, "outcome": outcome}


def _shadow(policy: Policy, rule: Mapping[str, Any]) -> Shadow | None:
    slug = str(rule["slug"])
    in_shadow = _naming(policy, slug, **_in_part(rule))
    before = Release.objects.exclude(in_shadow).order_by("-number").values_list("number", flat=True).first() or 0
    release = (
        Release.objects.filter(in_shadow, number__gt=before).select_related("published_by").order_by("number").first()
    )
    if release is None:
        return None
    number = next(line["version"] for line in release.policies if line["policy"] == policy.slug)
    version = PolicyVersion.objects.select_related("author").get(policy=policy, number=number)
    return Shadow(
        policy=policy,
        rule=slug,
        effect=str(rule["effect"]),
        since=release.created_at,
        release=release.number,
        author=str(version.author),
        released_by=str(release.published_by),
        is_lowered=Release.objects.filter(
            _holds("policies", ASKED_ALL, policy=policy.slug, rule=slug), number__lt=release.number
        ).exists(),
        share=int(str(rule.get("share", "0%"))[:-1]),
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """On which agents a rule for a share of them has its say: their slugs, ``of`` so many that it is about."""

    slugs: list[str]
    of: int


def drawn_for(actor: User, version: PolicyVersion | None) -> dict[str, Drawn]:
    """By the slugs of a version's rules for a share of the agents; of those agents that ``actor`` may see."""
    if version is None:
        return {}
    return {str(rule["slug"]): _drawn(actor, version, read_rule(rule)) for rule in version.rules if "share" in rule}


def _drawn(actor: User, version: PolicyVersion, rule: Rule) -> Drawn:
    rows = agents_for(actor).exclude(state=AgentState.RETIRED)
    if version.unit:
        rows = rows.filter(unit__in=unit_ids_below(version.unit))
    if rule.scope.units:
        rows = rows.filter(unit__in=[pk for slug in sorted(rule.scope.units) for pk in unit_ids_below(slug)])
    if rule.scope.agents:
        rows = rows.filter(slug__in=rule.scope.agents)
    slugs = list(rows.values_list("slug", flat=True))
    return Drawn([slug for slug in slugs if place_of(slug, version.policy.slug, rule.slug) < rule.share], len(slugs))


def _in_part(rule: Mapping[str, Any]) -> dict[str, str]:
    """What a rule's document says of its having no say on all or on some agents; nothing where it has."""
    if rule.get("mode") == Mode.SHADOW:
        return {"mode": Mode.SHADOW.value}
    return {"share": rule["share"]} if "share" in rule else {}


def _holds(column: str, path: str, **variables: str) -> Func:
    """Whether something at an SQL/JSON path is there."""
    typed = Func(Value(path), template="%(expressions)s::jsonpath", output_field=TextField())
    said = Value(variables, JSONField())
    return Func(F(column), typed, said, function="jsonb_path_exists", output_field=BooleanField())


def _naming(policy: Policy, slug: str, **about: str) -> Q:
    return Q(policies__contains=[{"policy": policy.slug, "rules": [{"slug": slug, **about}]}])
