"""Endpoints of policies: for people and their scripts. No agent changes a policy, whatever it was granted."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_for
from apps.core.api import (
    REASON,
    PlaneView,
    StrictInteger,
    StrictSerializer,
    Text,
    known_params,
    page_of,
    reason_of,
)
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.policies.api.proposals import ProposalSerializer, proposal_json
from apps.policies.models import Policy, PolicyVersion
from apps.policies.rules import ProposalState
from apps.policies.selectors import (
    RuleNumbers,
    idle_rules_for,
    policies_for,
    policy_for,
    rule_numbers_for,
    rules_for,
    shadows_for,
    try_rules,
    versions_for,
)
from apps.policies.services import check_policy, publish_policy, retire_policy, roll_back_policy, save_policy

PUBLISH = "policies.publish_policy"


class RulesField(serializers.JSONField):
    """A list of rules; the service says what does not fit, with line and column."""


class PolicyBody(StrictSerializer):
    """A policy as documents have it: the whole of it, so what is left out means its default."""

    name = Text(max_length=120, required=False, allow_blank=True)
    unit = Text(max_length=63, required=False, allow_null=True)
    rules = RulesField()
    tests = RulesField(required=False, help_text="What should come of which facts: run before each release.")


class NewPolicyBody(PolicyBody):
    """A new policy."""

    slug = serializers.SlugField(max_length=63)


class CheckPolicyBody(StrictSerializer):
    """Rules and tests to check; what is left out is that of the latest version."""

    rules = RulesField(required=False)
    tests = RulesField(required=False)


class PublishPolicyBody(StrictSerializer):
    """Which version; without it, the latest. ``digest``, ``instead_of``: what you looked at; refused if it changed."""

    version = StrictInteger(min_value=1, required=False)
    digest = Text(max_length=71, required=False)
    instead_of = StrictInteger(min_value=0, required=False, help_text="The version in force that it replaces; 0: none.")


class RollBackBody(StrictSerializer):
    """Which earlier version says what should hold again, and why."""

    version = StrictInteger(min_value=1)
    reason = Text(max_length=500)


class PolicyLine(serializers.Serializer[Any]):
    """A policy in a list. ``in_force`` and ``latest`` are numbers of versions."""

    slug = serializers.CharField()
    name = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(["draft", "in_force", "retired"])
    in_force = serializers.IntegerField(allow_null=True)
    latest = serializers.IntegerField(allow_null=True)


class PolicyDetailSerializer(PolicyLine):
    """A policy with the rules and tests of its latest version, and each rule in words."""

    latest_unit = serializers.CharField(
        allow_null=True, help_text="What the latest version covers; it becomes `unit` once that is published."
    )
    rules = serializers.JSONField()
    tests = serializers.JSONField()
    sentences = serializers.JSONField()
    shadows = serializers.JSONField(
        help_text="Rules in force that only write down what they would have said: since when, who agreed, on how many "
        "of the actions of the last 30 days they would have had their say."
    )


class PolicyPage(serializers.Serializer[Any]):
    """A page of policies."""

    results = PolicyLine(many=True)
    next = serializers.CharField(allow_null=True)


class PolicyVersionLine(serializers.Serializer[Any]):
    """One version of a policy."""

    number = serializers.IntegerField()
    unit = serializers.CharField()
    digest = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()
    rules = serializers.JSONField()
    tests = serializers.JSONField()


class PolicyVersionPage(serializers.Serializer[Any]):
    """A page of versions."""

    results = PolicyVersionLine(many=True)
    next = serializers.CharField(allow_null=True)


class PolicyFindingSerializer(serializers.Serializer[Any]):
    """What a check found. Warnings refuse nothing."""

    field = serializers.CharField()
    rule = serializers.CharField()
    severity = serializers.ChoiceField(["error", "warning"])
    message = serializers.CharField()
    line = serializers.IntegerField(required=False)
    column = serializers.IntegerField(required=False)


class PolicyTestSerializer(serializers.Serializer[Any]):
    """A test that was run: ``expected`` is {effect, rule}; ``came`` is {effect, rules, reason, error}."""

    name = serializers.CharField()
    passed = serializers.BooleanField()
    expected = serializers.JSONField()
    came = serializers.JSONField()


class PolicyCheckAnswer(serializers.Serializer[Any]):
    """Whether the rules could be published, all that was found, and what came of each test once nothing is wrong."""

    ok = serializers.BooleanField()
    findings = PolicyFindingSerializer(many=True)
    tests = PolicyTestSerializer(many=True)


class PublishedPolicy(serializers.Serializer[Any]):
    """The release that judges from now on."""

    slug = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    release = serializers.IntegerField()


def policy_line(policy: Policy) -> dict[str, Any]:
    """The policy as ``PolicyLine`` describes it."""
    return {
        "slug": policy.slug,
        "name": policy.name,
        "unit": policy.unit.slug if policy.unit else None,
        "state": policy.state,
        "in_force": policy.in_force.number if policy.in_force else None,
        "latest": policy.latest.number if policy.latest else None,
    }


def policy_json(actor: User, policy: Policy) -> dict[str, Any]:
    """The policy as ``PolicyDetailSerializer`` describes it."""
    return {
        **policy_line(policy),
        "latest_unit": (policy.latest.unit or None) if policy.latest else None,
        "rules": policy.latest.rules if policy.latest else [],
        "tests": policy.latest.tests if policy.latest else [],
        "sentences": [card.as_json() for card in rules_for(actor, policy.latest)],
        "shadows": _shadows_json(actor, policy),
    }


def _shadows_json(actor: User, policy: Policy) -> list[dict[str, Any]]:
    shadows = shadows_for(actor, policy)
    numbers = rule_numbers_for(actor, policy) if shadows else {}
    found = [(shadow, numbers.get(shadow.rule, RuleNumbers())) for shadow in shadows]
    return [
        {**shadow.as_json(), "judged": count.shadow_seen, "would_have": count.shadow_matched} for shadow, count in found
    ]


def version_json(version: PolicyVersion) -> dict[str, Any]:
    """The version as ``PolicyVersionLine`` describes it."""
    names = ("number", "unit", "digest", "created_at", "rules", "tests")
    return {**{name: getattr(version, name) for name in names}, "author": version.author.username}


def unit_of(actor: User, slug: str | None) -> BusinessUnit | None:
    """The unit that a body names. Raises InvalidError."""
    if slug is None:
        return None
    try:
        return unit_for(actor, slug, perm=PUBLISH)
    except NotFoundError as error:
        raise InvalidError(errors={"unit": ["There is no such unit, or you publish no policies there."]}) from error


def _said(body: dict[str, Any]) -> dict[str, Any]:
    return {"name": body.get("name", ""), "rules": body["rules"], "tests": body.get("tests", [])}


class Policies(PlaneView):
    """``/policies/``."""

    @extend_schema(
        operation_id="list_policies",
        responses={200: PolicyPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("state", "unit", "q", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Policies that you may see, by slug; filters ``state``, ``unit``, ``q``."""
        known_params(request, "state", "unit", "q")
        rows = policies_for(self.actor)
        for name, path in (("state", "state"), ("unit", "unit__slug"), ("q", "name__icontains")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, policy_line, order=("slug",))

    @extend_schema(
        operation_id="create_policy", request=NewPolicyBody, responses={201: PolicyDetailSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Write a policy; it judges nothing until it is published."""
        body = self.body(NewPolicyBody)
        unit = unit_of(self.actor, body.get("unit"))

        def answer() -> tuple[int, Any]:
            if Policy.objects.filter(slug=body["slug"]).exists():
                raise ConflictError("A policy with this slug exists.")
            policy, _outcome = save_policy(self.actor, slug=body["slug"], unit=unit, **_said(body))
            return 201, policy_json(self.actor, policy)

        return self.once(answer)


class PolicyDetail(PlaneView):
    """``/policies/{slug}/``."""

    @extend_schema(operation_id="get_policy", responses={200: PolicyDetailSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One policy with the rules of its latest version."""
        return Response(policy_json(self.actor, policy_for(self.actor, slug)))

    @extend_schema(
        operation_id="replace_policy", request=PolicyBody, responses={200: PolicyDetailSerializer, **PROBLEMS}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Write the next version, unless it says the same; what is in force stays in force until published."""
        policy = policy_for(self.actor, slug, perm=PUBLISH)
        body = self.body(PolicyBody)
        unit = unit_of(self.actor, body.get("unit"))

        def answer() -> tuple[int, Any]:
            changed, _outcome = save_policy(self.actor, slug=policy.slug, unit=unit, **_said(body))
            return 200, policy_json(self.actor, changed)

        return self.once(answer)

    @extend_schema(
        operation_id="retire_policy",
        parameters=[REASON],
        responses={202: ProposalSerializer, 204: None, **PROBLEMS},
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Take it out of force where that can only tighten (204); else propose that (202), and somebody else releases.

        Its versions and the verdicts that named it stay.
        """
        policy = policy_for(self.actor, slug, perm=PUBLISH)
        made = retire_policy(self.actor, policy=policy, reason=reason_of(request))
        if made.state == ProposalState.OPEN:
            return Response(proposal_json(self.actor, made), status=202)
        return Response(status=204)


class PolicyRollback(PlaneView):
    """``/policies/{slug}/roll-back/``."""

    @extend_schema(
        operation_id="roll_back_policy",
        request=RollBackBody,
        responses={200: ProposalSerializer, 202: ProposalSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Propose that an earlier version holds again (202); in force at once where that can only tighten (200)."""
        policy = policy_for(self.actor, slug, perm=PUBLISH)
        said: dict[str, Any] = self.body(RollBackBody)

        def answer() -> tuple[int, Any]:
            made = roll_back_policy(self.actor, policy=policy, **said)
            return (202 if made.state == ProposalState.OPEN else 200), proposal_json(self.actor, made)

        return self.once(answer)


class PolicyVersions(PlaneView):
    """``/policies/{slug}/versions/``."""

    @extend_schema(
        operation_id="list_policy_versions",
        responses={200: PolicyVersionPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request, slug: str) -> Response:
        """Versions, newest first."""
        known_params(request)
        policy = policy_for(self.actor, slug)
        return page_of(request, versions_for(self.actor, policy), version_json, order=("-number",))


class PolicyCheck(PlaneView):
    """``/policies/{slug}/check/``."""

    @extend_schema(operation_id="check_policy", request=CheckPolicyBody, responses={200: PolicyCheckAnswer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Compile every rule, look up what it names, and run the tests; nothing changes."""
        policy = policy_for(self.actor, slug)
        latest = policy.latest
        stored = {"rules": latest.rules, "tests": latest.tests} if latest else {"rules": [], "tests": []}
        said = {**stored, **self.body(CheckPolicyBody)}
        found = check_policy(self.actor, **said, policy=policy, is_written=said["rules"] is stored["rules"])
        if said["rules"] is stored["rules"] and policy.latest_id == policy.in_force_id:
            found += tuple(idle_rules_for(self.actor, policy))
        is_sound = all(finding.is_warning for finding in found)
        covered = latest.unit if latest else policy.unit.slug if policy.unit else ""
        tried = try_rules(self.actor, **said, unit=covered) if is_sound else []
        return Response(
            {
                "ok": is_sound and all(result.has_passed for result in tried),
                "findings": [finding.as_json() for finding in found],
                "tests": [result.as_json() for result in tried],
            }
        )


class PolicyPublish(PlaneView):
    """``/policies/{slug}/publish/``."""

    @extend_schema(
        operation_id="publish_policy", request=PublishPolicyBody, responses={200: PublishedPolicy, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a version that somebody else wrote in force: a new release, which judges the next request.

        The version of a proposal to retire takes the policy out of force.
        """
        policy = policy_for(self.actor, slug, perm=PUBLISH)
        seen: dict[str, Any] = self.body(PublishPolicyBody)

        def answer() -> tuple[int, Any]:
            release = publish_policy(self.actor, policy=policy, **seen)
            numbers = {line["policy"]: line["version"] for line in release.policies}
            return 200, {"slug": slug, "version": numbers.get(slug), "release": release.number}

        return self.once(answer)
