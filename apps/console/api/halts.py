"""Endpoints of halts: their targets live on many floors, so their door is up here."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.console.selectors import halt_target_for
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.schema import PROBLEMS
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import halts_for
from apps.halts.services import engage_halt, lift_halt


class LiftBody(StrictSerializer):
    """Why it may go on."""

    reason = Text(max_length=500)


class HaltBody(StrictSerializer):
    """What to stop, and why."""

    scope = serializers.ChoiceField([scope.value for scope in HaltScope])
    target = Text(max_length=120, required=False, allow_blank=True)
    reason = Text(max_length=500)


class HaltSerializer(serializers.Serializer[Any]):
    """A halt."""

    id = serializers.UUIDField()
    scope = serializers.CharField()
    target = serializers.CharField()
    reason = serializers.CharField()
    engaged_by = serializers.CharField()
    engaged_at = serializers.DateTimeField()
    lifted_by = serializers.CharField(allow_null=True)
    lifted_at = serializers.DateTimeField(allow_null=True)


class HaltPage(serializers.Serializer[Any]):
    """A page of halts."""

    results = HaltSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def halt_json(halt: Halt) -> dict[str, Any]:
    """The halt as ``HaltSerializer`` describes it."""
    return {
        "id": halt.pk,
        "scope": halt.scope,
        "target": halt.target,
        "reason": halt.reason,
        "engaged_by": halt.engaged_by.username,
        "engaged_at": halt.created_at,
        "lifted_by": halt.lifted_by.username if halt.lifted_by else None,
        "lifted_at": halt.lifted_at,
    }


class Halts(PlaneView):
    """``/halts/``."""

    @extend_schema(
        operation_id="list_halts",
        responses={200: HaltPage, **PROBLEMS},
        parameters=[OpenApiParameter("engaged", bool), OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """Halts, newest first; ``engaged=true`` for those that stand."""
        known_params(request, "engaged")
        rows = halts_for(self.actor)
        if request.query_params.get("engaged") == "true":
            rows = rows.filter(lifted_at=None)
        return page_of(request, rows, halt_json)

    @extend_schema(operation_id="engage_halt", request=HaltBody, responses={201: HaltSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Stop something. When this is answered nothing new starts within it."""
        body = self.body(HaltBody)
        target = body.get("target", "")
        try:
            unit = halt_target_for(self.actor, body["scope"], target)
        except NotFoundError as error:
            raise InvalidError(errors={"target": ["There is no such target."]}) from error

        def answer() -> tuple[int, Any]:
            halt = engage_halt(self.actor, scope=body["scope"], target=target, unit=unit, reason=body["reason"])
            return 201, halt_json(halt)

        return self.once(answer)


class HaltLift(PlaneView):
    """``/halts/{id}/lift/``."""

    @extend_schema(operation_id="lift_halt", request=LiftBody, responses={200: HaltSerializer, **PROBLEMS})
    def post(self, request: Request, halt_id: UUID) -> Response:
        """Lift a halt that somebody else engaged."""
        reason = self.body(LiftBody)["reason"]

        def answer() -> tuple[int, Any]:
            return 200, halt_json(lift_halt(self.actor, halt_id=halt_id, reason=reason))

        return self.once(answer)
