"""Endpoints of rules themselves: which could not be judged, and what they flagged."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params, page_at_once
from apps.core.schema import PROBLEMS
from apps.policies.models import RuleFault, RuleFlag
from apps.policies.rules import Effect, Mode
from apps.policies.selectors.health import (
    actions_seen_of,
    fault_json,
    faults_for,
    menders_of,
    rule_flag_json,
    rule_flags_for,
)


class RuleFaultSerializer(serializers.Serializer[Any]):
    """One cause for which one rule had no value within 30 days. Tests are not counted."""

    policy = serializers.CharField()
    rule = serializers.CharField()
    effect = serializers.ChoiceField([effect.value for effect in Effect])
    mode = serializers.ChoiceField([mode.value for mode in Mode])
    cause = serializers.CharField(help_text="One of a fixed set of phrases, without values that were asked.")
    version = serializers.IntegerField(help_text="Of the policy, the last time.")
    in_force = serializers.IntegerField(allow_null=True, help_text="The version in force now.")
    times = serializers.IntegerField(help_text="How often since `first_at`.")
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    action = serializers.UUIDField(allow_null=True, help_text="The last one; null where you may not see it.")
    agent = serializers.CharField(allow_null=True)
    menders = serializers.ListField(child=serializers.CharField(), help_text="Who may write and release the policy.")


class RuleFaultPage(serializers.Serializer[Any]):
    """A page of them."""

    results = RuleFaultSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class RuleFlagSerializer(serializers.Serializer[Any]):
    """What one rule flagged of one agent on one day (UTC)."""

    agent = serializers.CharField()
    policy = serializers.CharField()
    rule = serializers.CharField(help_text="`confidential` where it is, to those who may not see its policy.")
    day = serializers.DateField()
    times = serializers.IntegerField()
    last_at = serializers.DateTimeField()
    action = serializers.UUIDField(allow_null=True, help_text="The last one; null where you may not see it.")


class RuleFlagPage(serializers.Serializer[Any]):
    """A page of them."""

    results = RuleFlagSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class PolicyHealth(PlaneView):
    """``/policy-health/``."""

    @extend_schema(
        operation_id="list_policy_health",
        responses={200: RuleFaultPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("policy", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Rules that had no value on an action, of the policies that you may see, newest first; filter ``policy``.

        Such a rule counts as a match where it denies, asks or flags, and as none where it allows.
        """
        known_params(request, "policy")
        rows = faults_for(self.actor)
        if policy := request.query_params.get("policy"):
            rows = rows.filter(policy__slug=policy)
        return page_at_once(request, rows, self._lines, order=("-last_at", "-id"))

    def _lines(self, found: list[RuleFault]) -> list[Any]:
        menders, seen = menders_of(self.actor, found), actions_seen_of(self.actor, found)
        return [fault_json(fault, menders, seen) for fault in found]


class RuleFlags(PlaneView):
    """``/rule-flags/``."""

    @extend_schema(
        operation_id="list_rule_flags",
        responses={200: RuleFlagPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("agent", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """What rules flagged within 30 days, of the agents that you may see, own or are, newest first."""
        known_params(request, "agent")
        rows = rule_flags_for(self.actor, agent=request.query_params.get("agent", ""))
        return page_at_once(request, rows, self._lines, order=("-last_at", "-id"))

    def _lines(self, found: list[RuleFlag]) -> list[Any]:
        seen = actions_seen_of(self.actor, found)
        return [rule_flag_json(self.actor, flag, seen) for flag in found]
