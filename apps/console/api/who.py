"""Endpoints that say who may do what, and why."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.rules import PERMISSIONS
from apps.console.selectors.who import Answer, Asked, Reason, asked_for, who_may_for, why_may_for
from apps.core.api import PlaneView, known_params
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS

PLACES = ("unit", "operation", "workflow")
PARAMETERS = [
    OpenApiParameter("permission", str, required=True, enum=list(PERMISSIONS)),
    *(OpenApiParameter(name, str, description="Where; without any: everywhere.") for name in PLACES),
]


class ReasonSerializer(serializers.Serializer[Any]):
    """One way in which somebody may: ``role`` in ``unit`` (null: everywhere), or, ``role`` null, on the object."""

    who = serializers.CharField()
    name = serializers.CharField()
    agent = serializers.CharField(allow_null=True)
    state = serializers.CharField(allow_null=True)
    role = serializers.CharField(allow_null=True)
    unit = serializers.CharField(allow_null=True)
    fields = serializers.ListField(child=serializers.CharField(), allow_null=True)  # type: ignore[assignment] # its name in the interface
    limit = serializers.CharField(allow_null=True)
    granted_by = serializers.CharField()
    granted_at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()


class WhoSerializer(serializers.Serializer[Any]):
    """The answer; ``hidden``: how many more ways there are, given above what you manage or to whom you do not see.

    ``more``: how many there are besides that go beyond what is listed at once.
    """

    permission = serializers.CharField()
    sentence = serializers.CharField()
    may = serializers.BooleanField()
    results = ReasonSerializer(many=True)
    hidden = serializers.IntegerField()
    more = serializers.IntegerField()


def reason_json(reason: Reason) -> dict[str, Any]:
    """The reason as ``ReasonSerializer`` describes it."""
    return {
        "who": reason.who.username,
        "name": reason.name,
        "agent": reason.agent or None,
        "state": reason.state or None,
        "role": reason.role or None,
        "unit": reason.unit or None,
        "fields": reason.fields,
        "limit": reason.limit or None,
        "granted_by": reason.granted_by,
        "granted_at": reason.granted_at,
        "until": reason.until,
        "reason": reason.note,
    }


def answer_json(asked: Asked, found: Answer) -> dict[str, Any]:
    """The answer as ``WhoSerializer`` describes it."""
    return {
        "permission": asked.permission,
        "sentence": asked.sentence,
        "may": found.may,
        "results": [reason_json(reason) for reason in found.reasons],
        "hidden": found.hidden,
        "more": found.more,
    }


class WhoMay(PlaneView):
    """``/access/who/``."""

    @extend_schema(operation_id="who_may", parameters=PARAMETERS, responses={200: WhoSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Everybody who holds a permission there, and why."""
        known_params(request, "permission", *PLACES)
        asked = self.asked(request)
        return Response(answer_json(asked, who_may_for(self.actor, asked)))

    def asked(self, request: Request) -> Asked:
        """What is asked about."""
        given = {name: request.query_params.get(name, "") for name in ("permission", *PLACES)}
        return asked_for(self.actor, **given)


class WhyMay(WhoMay):
    """``/access/why/``."""

    @extend_schema(
        operation_id="why_may",
        parameters=[OpenApiParameter("who", str, required=True), *PARAMETERS],
        responses={200: WhoSerializer, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Why one person or agent holds a permission there; no results and ``may`` false: they do not."""
        known_params(request, "who", "permission", *PLACES)
        asked = self.asked(request)
        if not (who := request.query_params.get("who", "")):
            raise InvalidError(errors={"who": ["A username, or an agent's slug."]})
        return Response(answer_json(asked, why_may_for(self.actor, asked, who)))
