"""Endpoints of waivers: what they are for lives on many floors, so their door is up here."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.console.selectors import halt_target_for
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import refuse_agents
from apps.core.schema import PROBLEMS
from apps.policies.models import Waiver
from apps.policies.rules.waivers import MAX_DAYS, MAX_TIMES, WaiverScope, WaiverState
from apps.policies.selectors import policy_for
from apps.policies.selectors.waivers import uses_of, waiver_for, waivers_for
from apps.policies.services.waivers import VIEW, approve_waiver, ask_waiver, decline_waiver, end_waiver


class WaiverBody(StrictSerializer):
    """Which rule should have no say over what, for how long and how often; ``target`` is a slug."""

    policy = Text(max_length=63)
    rule = Text(max_length=63)
    scope = serializers.ChoiceField([scope.value for scope in WaiverScope])
    target = Text(max_length=120)
    reason = Text(max_length=500)
    days = StrictInteger(min_value=1, max_value=MAX_DAYS, help_text="From its approval on.")
    times = StrictInteger(min_value=1, max_value=MAX_TIMES)


class WaiverAnswerBody(StrictSerializer):
    """Why."""

    reason = Text(max_length=500, required=False, allow_blank=True)


class WaiverSerializer(serializers.Serializer[Any]):
    """A waiver. It lifts its rule while ``live``, until ``until`` and as often as ``left`` says."""

    id = serializers.UUIDField()
    policy = serializers.CharField()
    rule = serializers.CharField()
    effect = serializers.CharField(help_text="What it lifts: deny or require_approval.")
    scope = serializers.CharField()
    target = serializers.CharField()
    reason = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in WaiverState])
    days = serializers.IntegerField()
    times = serializers.IntegerField()
    used = serializers.IntegerField()
    left = serializers.IntegerField()
    until = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField()
    at = serializers.DateTimeField()
    approved_by = serializers.CharField(allow_null=True)
    ended_by = serializers.CharField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    answer = serializers.CharField(allow_blank=True)


class WaiverDetailSerializer(WaiverSerializer):
    """The same with the newest actions that used it."""

    uses = serializers.JSONField(help_text="[{action, number, at}], newest first, at most 20.")


class WaiverPage(serializers.Serializer[Any]):
    """A page of waivers."""

    results = WaiverSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def waiver_json(waiver: Waiver) -> dict[str, Any]:
    """The waiver as ``WaiverSerializer`` describes it."""
    plain = ("rule", "effect", "scope", "target", "reason", "state", "days", "times", "used", "left", "until")
    return {
        "id": waiver.pk,
        "policy": waiver.policy.slug,
        **{name: getattr(waiver, name) for name in plain},
        "by": waiver.maker.username,
        "at": waiver.created_at,
        "approved_by": waiver.approver.username if waiver.approver else None,
        "ended_by": waiver.ended_by.username if waiver.ended_by else None,
        "ended_at": waiver.ended_at,
        "answer": waiver.answer,
    }


class Waivers(PlaneView):
    """``/waivers/``."""

    @extend_schema(
        operation_id="list_waivers",
        responses={200: WaiverPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("state", "policy", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Waivers of the policies that you may see, newest first; filters ``state``, ``policy``."""
        known_params(request, "state", "policy")
        rows = waivers_for(self.actor)
        for name, path in (("state", "state"), ("policy", "policy__slug")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, waiver_json, order=("-id",))

    @extend_schema(operation_id="ask_waiver", request=WaiverBody, responses={201: WaiverSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Ask for one; it lifts nothing until somebody else who may lower enforcement has approved it."""
        refuse_agents(self.actor)
        body: dict[str, Any] = self.body(WaiverBody)
        try:
            policy = policy_for(self.actor, body.pop("policy"))
        except NotFoundError as error:
            raise InvalidError(errors={"policy": ["There is no such policy."]}) from error
        try:
            halt_target_for(self.actor, body["scope"], body["target"], perm=VIEW)
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error
        return self.once(lambda: (201, waiver_json(ask_waiver(self.actor, policy=policy, **body))))


class WaiverDetail(PlaneView):
    """``/waivers/{id}/``."""

    @extend_schema(operation_id="get_waiver", responses={200: WaiverDetailSerializer, **PROBLEMS})
    def get(self, request: Request, waiver_id: UUID) -> Response:
        """One waiver, and what used it."""
        found = waiver_for(self.actor, waiver_id)
        uses = [
            {"action": use.action_id, "number": use.number, "at": use.created_at} for use in uses_of(self.actor, found)
        ]
        return Response({**waiver_json(found), "uses": uses})


class _Answer(PlaneView):
    def answered(self, waiver_id: UUID, command: Callable[..., Waiver], **said: Any) -> Response:
        """The waiver once ``command`` is carried out."""
        found = waiver_for(self.actor, waiver_id)
        return self.once(lambda: (200, waiver_json(command(self.actor, waiver=found, **said))))


class WaiverApprove(_Answer):
    """``/waivers/{id}/approve/``."""

    @extend_schema(operation_id="approve_waiver", request=None, responses={200: WaiverSerializer, **PROBLEMS})
    def post(self, request: Request, waiver_id: UUID) -> Response:
        """Let it lift its rule from the next request on; never by who asked for it."""
        return self.answered(waiver_id, approve_waiver)


class WaiverDecline(_Answer):
    """``/waivers/{id}/decline/``."""

    @extend_schema(
        operation_id="decline_waiver", request=WaiverAnswerBody, responses={200: WaiverSerializer, **PROBLEMS}
    )
    def post(self, request: Request, waiver_id: UUID) -> Response:
        """Say no, with the reason."""
        reason = self.body(WaiverAnswerBody).get("reason", "")
        return self.answered(waiver_id, decline_waiver, reason=reason)


class WaiverEnd(_Answer):
    """``/waivers/{id}/end/``."""

    @extend_schema(operation_id="end_waiver", request=WaiverAnswerBody, responses={200: WaiverSerializer, **PROBLEMS})
    def post(self, request: Request, waiver_id: UUID) -> Response:
        """Give the rule its say again from the next request on."""
        return self.answered(waiver_id, end_waiver, reason=self.body(WaiverAnswerBody).get("reason", ""))
