"""Rules in shadow: since when, who agreed, what they would have said."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from apps.agents.models import Action
from apps.agents.selectors import actions_for
from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion, Release
from apps.policies.rules import Effect, Mode
from apps.policies.rules.numbers import would_speak
from apps.policies.selectors.policies import policies_for

RECENT, EXAMPLES = 1_000, 5
ASKING = (Effect.DENY, Effect.REQUIRE_APPROVAL)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A rule that is in shadow without a break since a release.

    ``author``: who wrote that version; ``released_by``: who put it in force. ``is_lowered``: it denied or asked before.
    """

    policy: Policy
    rule: str
    effect: str
    since: datetime
    release: int
    author: str
    released_by: str
    is_lowered: bool

    def as_json(self) -> dict[str, Any]:
        """The shadow for the API."""
        names = ("rule", "effect", "since", "release", "author", "released_by")
        return {**{name: getattr(self, name) for name in names}, "lowered": self.is_lowered}


@dataclass(frozen=True, slots=True)
class WouldHave:
    """What a rule in shadow would have done with an action, had it been enforced."""

    policy: str
    rule: str
    effect: str


def shadows_for(actor: User, policy: Policy) -> list[Shadow]:
    """The rules of a policy fetched for ``actor`` that are in shadow now, in their order."""
    return [
        found
        for rule in (policy.in_force.rules if policy.in_force else ())
        if rule.get("mode") == Mode.SHADOW and (found := _shadow(policy, rule))
    ]


def lowered_for(actor: User) -> list[Shadow]:
    """Every rule that denied or asked and is in shadow now, as far as ``actor`` may see its policy."""
    rows = policies_for(actor).filter(in_force__rules__contains=[{"mode": Mode.SHADOW}])
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
    in_shadow = _naming(policy, slug, mode=Mode.SHADOW.value)
    before = Release.objects.exclude(in_shadow).order_by("-number").values_list("number", flat=True).first() or 0
    release = (
        Release.objects.filter(in_shadow, number__gt=before).select_related("published_by").order_by("number").first()
    )
    if release is None:
        return None
    asked = Q()
    for effect in ASKING:
        asked |= _naming(policy, slug, effect=effect.value)
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
        is_lowered=Release.objects.filter(asked, number__lt=release.number).exclude(in_shadow).exists(),
    )


def _naming(policy: Policy, slug: str, **about: str) -> Q:
    return Q(policies__contains=[{"policy": policy.slug, "rules": [{"slug": slug, **about}]}])
