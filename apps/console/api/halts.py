"""Endpoints of halts: their targets live on many floors, so their door is up here."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Action
from apps.console.selectors import halt_target_for
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.schema import PROBLEMS
from apps.halts.models import Halt, Trip
from apps.halts.rules import HaltScope
from apps.halts.selectors import halt_for, halts_for
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation
from apps.oversight.selectors import decisions_taken_back_for, grants_taken_back_for, taken_back_by
from apps.workflows.selectors.stopped import counted_for, in_flight_of

KINDS = ("grants", "decisions")
FLYING = ("stopped", "finished", "unknown")


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


class TakenBackSerializer(serializers.Serializer[Any]):
    """What a halt took back: a grant with its action, or an item whose held decision was opened again."""

    kind = serializers.ChoiceField(KINDS)
    id = serializers.UUIDField(help_text="Of the grant; of the item, where a decision was opened again.")
    action = serializers.UUIDField(allow_null=True)
    operation = serializers.CharField()
    agent = serializers.CharField()
    amount_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField()
    escalation = serializers.UUIDField(allow_null=True, help_text="Whose approval it was; null where rules alone did.")
    waits_in = serializers.UUIDField(allow_null=True, help_text="The newest item of it that you may see.")
    state = serializers.CharField(help_text="Of the action now; of the item, where a decision was opened again.")
    at = serializers.DateTimeField(help_text="When it was released or asked for.")


class TakenBackPage(serializers.Serializer[Any]):
    """A page of them, and how many there are that you may see."""

    results = TakenBackSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    count = serializers.IntegerField()


def grant_json(grant: Any) -> dict[str, Any]:
    """A grant that was taken back, as ``TakenBackSerializer`` describes it."""
    action = grant.action
    return {
        "kind": "grants",
        "id": grant.pk,
        "action": action.pk,
        "operation": action.operation,
        "agent": action.agent.slug if action.agent else "",
        "amount_minor": action.amount_minor,
        "currency": action.currency,
        "escalation": grant.escalation_id,
        "waits_in": grant.now_item,
        "state": action.state,
        "at": grant.created_at,
    }


def item_json(item: Escalation) -> dict[str, Any]:
    """An item whose held decision was opened again."""
    action = item.action
    return {
        "kind": "decisions",
        "id": item.pk,
        "action": action.pk if action else None,
        "operation": action.operation if action else "",
        "agent": item.agent.slug if item.agent else "",
        "amount_minor": action.amount_minor if action else None,
        "currency": action.currency if action else "",
        "escalation": item.pk,
        "waits_in": item.pk,
        "state": item.state,
        "at": item.created_at,
    }


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


class HaltTakenBack(PlaneView):
    """``/halts/{id}/taken-back/``."""

    @extend_schema(
        operation_id="list_taken_back",
        responses={200: TakenBackPage, **PROBLEMS},
        parameters=[OpenApiParameter("kind", str), OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request, halt_id: UUID) -> Response:
        """What a halt took back in your units, newest first: ``kind=grants`` (the default) or ``decisions``."""
        known_params(request, "kind")
        halt = halt_for(self.actor, halt_id)
        kind = request.query_params.get("kind", "grants")
        if kind not in KINDS:
            raise InvalidError(errors={"kind": [f"One of: {', '.join(KINDS)}."]})
        counts = taken_back_by(self.actor, [halt.pk])[halt.pk]
        if kind == "grants":
            answer = page_of(request, grants_taken_back_for(self.actor, halt), grant_json)
        else:
            answer = page_of(request, decisions_taken_back_for(self.actor, halt), item_json)
        answer.data["count"] = counts.grants if kind == "grants" else counts.decisions
        return answer


class FlyingSerializer(serializers.Serializer[Any]):
    """An action that was allowed and had not ended when a halt came."""

    action = serializers.UUIDField()
    operation = serializers.CharField()
    agent = serializers.CharField()
    state = serializers.CharField(help_text="Now.")


class InFlightSerializer(serializers.Serializer[Any]):
    """What was in flight, by what became of it; ``settled_after_s``: until the last that had begun ended."""

    stopped = FlyingSerializer(many=True)
    finished = FlyingSerializer(many=True)
    unknown = FlyingSerializer(many=True)
    settled_after_s = serializers.FloatField(allow_null=True)


def flying_json(action: Action) -> dict[str, Any]:
    """The action as ``FlyingSerializer`` describes it."""
    agent = action.agent.slug if action.agent else ""
    return {"action": action.pk, "operation": action.operation, "agent": agent, "state": action.state}


class HaltInFlight(PlaneView):
    """``/halts/{id}/in-flight/``."""

    @extend_schema(operation_id="get_halt_in_flight", responses={200: InFlightSerializer, **PROBLEMS})
    def get(self, request: Request, halt_id: UUID) -> Response:
        """What was allowed and had not ended when a halt came, in your units: stopped, finished, or unknown."""
        flight = in_flight_of(self.actor, halt_for(self.actor, halt_id))
        kinds = {name: [flying_json(row) for row in getattr(flight, name)] for name in FLYING}
        return Response({**kinds, "settled_after_s": flight.settled_after_s})


class CountedActionSerializer(serializers.Serializer[Any]):
    """One action that a breaker counted, and why it went as it did."""

    id = serializers.UUIDField()
    operation = serializers.CharField()
    agent = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    causes = serializers.ListField(child=serializers.CharField())


class CountedSerializer(serializers.Serializer[Any]):
    """What the breaker behind a halt counted. ``cause``: the one that it counts alone; empty: any."""

    breaker = serializers.CharField()
    kind = serializers.CharField()
    cause = serializers.CharField(allow_blank=True)
    currency = serializers.CharField(allow_blank=True)
    measured = serializers.IntegerField()
    threshold = serializers.IntegerField()
    actions = CountedActionSerializer(many=True, help_text="The last that it counted, of your units.")


class HaltCounted(PlaneView):
    """``/halts/{id}/counted/``."""

    @extend_schema(operation_id="get_halt_counted", responses={200: CountedSerializer, **PROBLEMS})
    def get(self, request: Request, halt_id: UUID) -> Response:
        """What a breaker counted before it engaged this halt; 404 where a person engaged it."""
        trip = Trip.objects.filter(halt=halt_for(self.actor, halt_id)).select_related("breaker").first()
        if trip is None:
            raise NotFoundError
        actions = [
            {
                "id": row.pk,
                "operation": row.operation,
                "agent": row.agent.slug if row.agent else None,
                "state": row.state,
                "causes": list(causes),
            }
            for row, causes in counted_for(self.actor, trip)
        ]
        return Response(
            {
                "breaker": trip.breaker.slug,
                "kind": trip.breaker.kind,
                "cause": trip.cause,
                "currency": trip.breaker.currency,
                "measured": trip.measured,
                "threshold": trip.threshold,
                "actions": actions,
            }
        )


class HaltLift(PlaneView):
    """``/halts/{id}/lift/``."""

    @extend_schema(operation_id="lift_halt", request=LiftBody, responses={200: HaltSerializer, **PROBLEMS})
    def post(self, request: Request, halt_id: UUID) -> Response:
        """Lift a halt that somebody else engaged."""
        reason = self.body(LiftBody)["reason"]

        def answer() -> tuple[int, Any]:
            return 200, halt_json(lift_halt(self.actor, halt_id=halt_id, reason=reason))

        return self.once(answer)
