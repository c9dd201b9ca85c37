"""Endpoints of drills of halts: evidence of how long stopping takes."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import NotAllowedError
from apps.core.schema import PROBLEMS
from apps.halts.models import HaltDrill
from apps.halts.rules import DrillState, Flaw, HaltScope
from apps.halts.selectors import drill_for, drills_for, may_see_drills
from apps.halts.services import start_drill

PLAIN = (
    "id", "state", "scope", "target", "reason", "created_at", "begun_at", "asked_at", "engaged_at", "stopped_at",
    "last_claim_at", "ended_at", "claims", "refused", "escaped", "time_to_stop_ms", "flaw",
)  # fmt: skip


class DrillBody(StrictSerializer):
    """Which kind of halt to practise, and why."""

    scope = serializers.ChoiceField([scope.value for scope in HaltScope])
    reason = Text(max_length=500)


class HaltDrillSerializer(serializers.Serializer[Any]):
    """A drill of a halt, and what it measured by the database's clock; null while it has not, or was abandoned."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in DrillState])
    scope = serializers.CharField()
    target = serializers.CharField(help_text="Made up for the drill; of a unit, a real one. Nothing real was stopped.")
    reason = serializers.CharField()
    started_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    begun_at = serializers.DateTimeField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True, help_text="When the halt was asked for.")
    engaged_at = serializers.DateTimeField(allow_null=True, help_text="When no claim was under way any more.")
    stopped_at = serializers.DateTimeField(allow_null=True, help_text="By then the halt had committed.")
    last_claim_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    claims = serializers.IntegerField(allow_null=True, help_text="Committed before the halt.")
    refused = serializers.IntegerField(allow_null=True, help_text="Tried behind it, and refused.")
    escaped = serializers.IntegerField(
        allow_null=True, help_text="Committed behind it. Anything but 0 fails the drill."
    )
    time_to_stop_ms = serializers.IntegerField(allow_null=True, help_text="From `asked_at` to `stopped_at`.")
    flaw = serializers.ChoiceField(["", *(flaw.value for flaw in Flaw)], help_text="Why it failed.")


class HaltDrillPage(serializers.Serializer[Any]):
    """A page of drills."""

    results = HaltDrillSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def drill_json(drill: HaltDrill) -> dict[str, Any]:
    """The drill as ``HaltDrillSerializer`` describes it."""
    return {**{name: getattr(drill, name) for name in PLAIN}, "started_by": drill.started_by.username}


class HaltDrills(PlaneView):
    """``/halts/drills/``."""

    @extend_schema(
        operation_id="list_halt_drills",
        responses={200: HaltDrillPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """Drills of halts, newest first, with what each measured."""
        known_params(request)
        if not may_see_drills(self.actor):
            raise NotAllowedError
        return page_of(request, drills_for(self.actor), drill_json)

    @extend_schema(operation_id="start_halt_drill", request=DrillBody, responses={202: HaltDrillSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Have a worker practise a halt on synthetic work. It stops nothing real; one at a time, one a minute."""
        body = self.body(DrillBody)
        return self.once(lambda: (202, drill_json(start_drill(self.actor, **body))))


class HaltDrillDetail(PlaneView):
    """``/halts/drills/{id}/``."""

    @extend_schema(operation_id="get_halt_drill", responses={200: HaltDrillSerializer, **PROBLEMS})
    def get(self, request: Request, drill_id: UUID) -> Response:
        """One drill."""
        return Response(drill_json(drill_for(self.actor, drill_id)))
