"""The calls that the plane made to a system: never what was said."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.models import ConnectorCall
from apps.connectors.selectors import calls_for, connector_for
from apps.core.api import PlaneView, known_params, page_of
from apps.core.gate import require_human
from apps.core.schema import PROBLEMS


class ConnectorCallSerializer(serializers.Serializer[Any]):
    """One call. ``code`` is empty where it succeeded; ``said``: why the egress guard refused it."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    purpose = serializers.CharField()
    operation = serializers.CharField(allow_null=True)
    end = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    code = serializers.CharField()
    said = serializers.CharField()
    in_trouble = serializers.BooleanField()
    duration_ms = serializers.IntegerField()
    action = serializers.UUIDField(allow_null=True)
    environment = serializers.CharField()


class ConnectorCallPage(serializers.Serializer[Any]):
    """A page of calls."""

    results = ConnectorCallSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def call_json(call: ConnectorCall) -> dict[str, Any]:
    """The call as ``ConnectorCallSerializer`` describes it."""
    names = ("id", "purpose", "end", "status", "code", "said", "in_trouble", "duration_ms", "environment")
    return {
        **{name: getattr(call, name) for name in names},
        "at": call.created_at,
        "operation": call.operation.slug if call.operation else None,
        "action": call.action_id,
    }


class ConnectorCalls(PlaneView):
    """``/connectors/{slug}/calls/``."""

    @extend_schema(operation_id="list_connector_calls", responses={200: ConnectorCallPage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """Calls of five weeks, newest first; filters ``code``, ``end``, ``environment``, ``operation``, ``purpose``."""
        known_params(request, "code", "end", "environment", "operation", "purpose")
        connector = connector_for(self.actor, slug)
        require_human(self.actor)
        rows = calls_for(self.actor, connector)
        paths = {"code": "code", "end": "end", "operation": "operation__slug", "purpose": "purpose"}
        paths["environment"] = "environment"
        for name, path in paths.items():
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, call_json)
