"""Endpoints of erasures: a trail runs through many floors, so their door is up here."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import EmptyBody, PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.gate import require
from apps.core.schema import PROBLEMS
from apps.workflows.models import ErasureRequest
from apps.workflows.rules.states import ErasureEnd
from apps.workflows.selectors.erasing import ERASE, erasures_asked_for
from apps.workflows.services import ask_erasure, drop_erasure, erase_trail


class EraseBody(StrictSerializer):
    """Why; kept for ever, so it names nobody."""

    reason = Text(max_length=500)


class DropBody(StrictSerializer):
    """Why it is refused; whoever asked for it may withdraw it without."""

    reason = Text(max_length=500, required=False, allow_blank=True)


class ErasureRequestSerializer(serializers.Serializer[Any]):
    """Who asked to erase a trail, why, until when somebody else can agree, and what became of it."""

    trail = serializers.UUIDField()
    reason = serializers.CharField()
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    outcome = serializers.ChoiceField([end.value for end in ErasureEnd], allow_null=True)


class ErasureRequestPage(serializers.Serializer[Any]):
    """A page of them."""

    results = ErasureRequestSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ErasureSerializer(serializers.Serializer[Any]):
    """The entry that says it, who asked and who agreed, and how much was erased."""

    entry = serializers.IntegerField()
    trail = serializers.UUIDField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    asked_by = serializers.CharField()
    payloads = serializers.IntegerField()
    actions = serializers.IntegerField()
    items = serializers.IntegerField()


def request_json(asked: ErasureRequest) -> dict[str, Any]:
    """The request as ``ErasureRequestSerializer`` describes it."""
    return {
        "trail": asked.trail_id,
        "reason": asked.reason,
        "asked_by": asked.asked_by.username,
        "asked_at": asked.created_at,
        "expires_at": asked.expires_at,
        "outcome": asked.outcome or None,
    }


class Erasures(PlaneView):
    """``/audit/erasures/``."""

    @extend_schema(operation_id="list_erasures_asked_for", responses={200: ErasureRequestPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What somebody asked to erase and nobody answered yet, newest first."""
        known_params(request)
        require(self.actor, ERASE)
        return page_of(request, erasures_asked_for(self.actor), request_json)


class TrailErase(PlaneView):
    """``/audit/trails/{id}/erase/``."""

    @extend_schema(operation_id="ask_erasure", request=EraseBody, responses={202: ErasureRequestSerializer, **PROBLEMS})
    def post(self, request: Request, trail_id: UUID) -> Response:
        """Ask to erase for ever what people and agents wrote on a trail. Somebody else has to agree in seven days."""
        reason = self.body(EraseBody)["reason"]
        return self.once(lambda: (202, request_json(ask_erasure(self.actor, trail_id=trail_id, reason=reason))))


class TrailEraseAgreement(PlaneView):
    """``/audit/trails/{id}/erase/agree/``."""

    @extend_schema(operation_id="erase_trail", request=EmptyBody, responses={200: ErasureSerializer, **PROBLEMS})
    def post(self, request: Request, trail_id: UUID) -> Response:
        """Agree with what somebody else asked for: it is erased. Decisions, digests, amounts, who and when stay."""
        self.body(EmptyBody)

        def answer() -> tuple[int, Any]:
            entry = erase_trail(self.actor, trail_id=trail_id)
            told = {name: entry.payload[name] for name in ("asked_by", "payloads", "actions", "items")}
            return 200, {
                "entry": entry.pk,
                "trail": trail_id,
                "at": entry.occurred_at,
                "by": self.actor.username,
                **told,
            }

        return self.once(answer)


class TrailEraseEnd(PlaneView):
    """``/audit/trails/{id}/erase/drop/``."""

    @extend_schema(operation_id="drop_erasure", request=DropBody, responses={200: ErasureRequestSerializer, **PROBLEMS})
    def post(self, request: Request, trail_id: UUID) -> Response:
        """Withdraw what one asked for, or refuse what somebody else did, with a reason. Nothing is erased."""
        reason = self.body(DropBody).get("reason", "")
        return self.once(lambda: (200, request_json(drop_erasure(self.actor, trail_id=trail_id, reason=reason))))
