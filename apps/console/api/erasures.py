"""Endpoint of erasures: a trail runs through many floors, so its door is up here."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text
from apps.core.schema import PROBLEMS
from apps.workflows.services import erase_trail


class EraseBody(StrictSerializer):
    """Why; kept for ever, so it names nobody."""

    reason = Text(max_length=500)


class ErasureSerializer(serializers.Serializer[Any]):
    """The entry that says it, and how much was erased."""

    entry = serializers.IntegerField()
    trail = serializers.UUIDField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    payloads = serializers.IntegerField()
    actions = serializers.IntegerField()
    items = serializers.IntegerField()


class TrailErase(PlaneView):
    """``/audit/trails/{id}/erase/``."""

    @extend_schema(operation_id="erase_trail", request=EraseBody, responses={200: ErasureSerializer, **PROBLEMS})
    def post(self, request: Request, trail_id: UUID) -> Response:
        """Erase for ever what people and agents wrote on a trail. Decisions, digests, amounts, who and when stay."""
        reason = self.body(EraseBody)["reason"]

        def answer() -> tuple[int, Any]:
            entry = erase_trail(self.actor, trail_id=trail_id, reason=reason)
            told = {name: entry.payload[name] for name in ("payloads", "actions", "items")}
            return 200, {
                "entry": entry.pk,
                "trail": trail_id,
                "at": entry.occurred_at,
                "by": self.actor.username,
                **told,
            }

        return self.once(answer)
