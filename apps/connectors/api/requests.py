"""Endpoints of requests for access: agents ask, people grant or refuse."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors.models import AccessRequest
from apps.connectors.rules.requests import MAX_DAYS, REASON_MAX, RequestEnd
from apps.connectors.selectors import request_for, requests_for
from apps.connectors.services import grant_request, refuse_request, request_access
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import holds
from apps.core.schema import PROBLEMS

STATES = ["open", *(end.value for end in RequestEnd)]


class AccessRequestBody(StrictSerializer):
    """What an agent asks for: an operation, with these parameters (left out or null: all), for so many days, why."""

    operation = Text(max_length=120)
    fields = serializers.ListField(child=Text(max_length=200), max_length=50, allow_null=True, required=False)  # type: ignore[assignment] # its name in the interface
    days = StrictInteger(min_value=1, max_value=MAX_DAYS, required=False)
    reason = Text(max_length=REASON_MAX)


class AccessGrantBody(StrictSerializer):
    """Why it is granted, and until when; left out: so many days as it asked for."""

    reason = Text(max_length=REASON_MAX)
    until = serializers.DateTimeField(required=False, allow_null=True)


class AccessRefuseBody(StrictSerializer):
    """Why it is refused."""

    reason = Text(max_length=REASON_MAX)


class AccessRequestSerializer(serializers.Serializer[Any]):
    """A request for access; ``reason`` is the agent's own text, ``answer`` what people said."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    operation = serializers.CharField()
    fields = serializers.ListField(child=serializers.CharField(), allow_null=True)  # type: ignore[assignment] # as above
    days = serializers.IntegerField()
    reason = serializers.CharField()
    times = serializers.IntegerField()
    state = serializers.ChoiceField(STATES)
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    answer = serializers.CharField()
    answered_by = serializers.CharField(allow_null=True)


class AccessRequestPage(serializers.Serializer[Any]):
    """A page of them."""

    results = AccessRequestSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def request_json(asked: Any) -> dict[str, Any]:
    """The request, one of ``requests_for``, as ``AccessRequestSerializer`` describes it."""
    names = ("id", "operation", "fields", "days", "reason", "times", "expires_at", "answer")
    return {
        **{name: getattr(asked, name) for name in names},
        "agent": asked.agent.slug,
        "state": asked.outcome or ("open" if asked.is_open else RequestEnd.LAPSED.value),
        "asked_at": asked.created_at,
        "answered_by": asked.ended_by.username if asked.ended_by else None,
    }


class OwnAccessRequests(PlaneView):
    """``/me/access-requests/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="list_own_access_requests", responses={200: AccessRequestPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What you asked for and what became of it, newest first."""
        known_params(request)
        if not self.actor.is_agent:
            raise NotAllowedError
        return page_of(request, requests_for(self.actor), _without_names)

    @extend_schema(
        operation_id="request_access",
        request=AccessRequestBody,
        responses={200: AccessRequestSerializer, 201: AccessRequestSerializer, **PROBLEMS},
    )
    def post(self, request: Request) -> Response:
        """Ask people for an operation that you may not use, or not with these parameters."""
        body = self.body(AccessRequestBody)

        def answer() -> tuple[int, Any]:
            asked, is_new = request_access(self.actor, **body)
            return (201 if is_new else 200), _without_names(request_for(self.actor, asked.pk))

        return self.once(answer)


def _without_names(asked: AccessRequest) -> dict[str, Any]:
    """What the agent is told: what people answered, not who they are."""
    return {**request_json(asked), "answered_by": None}


class AccessRequests(PlaneView):
    """``/access-requests/``."""

    @extend_schema(operation_id="list_access_requests", responses={200: AccessRequestPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What agents asked for, newest first; filters ``agent``, ``state``."""
        known_params(request, "agent", "state")
        if not holds(self.actor, "agents.view_agent"):
            raise NotAllowedError
        asked = {name: request.query_params.get(name, "") for name in ("agent", "state")}
        if asked["state"] and asked["state"] not in STATES:
            raise InvalidError(errors={"state": [f"One of: {', '.join(STATES)}."]})
        return page_of(request, requests_for(self.actor, **asked), request_json)


class AccessRequestGrant(PlaneView):
    """``/access-requests/{id}/grant/``."""

    @extend_schema(
        operation_id="grant_access_request",
        request=AccessGrantBody,
        responses={200: AccessRequestSerializer, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        """Grant it: what was asked for, besides what the agent has; acts on its next request."""
        body = self.body(AccessGrantBody)

        def answer() -> tuple[int, Any]:
            grant_request(self.actor, request=request_for(self.actor, request_id), **body)
            return 200, request_json(request_for(self.actor, request_id))

        return self.once(answer)


class AccessRequestRefusal(PlaneView):
    """``/access-requests/{id}/refuse/``."""

    @extend_schema(
        operation_id="refuse_access_request",
        request=AccessRefuseBody,
        responses={200: AccessRequestSerializer, **PROBLEMS},
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        """Refuse it, with a reason; the agent may ask for the same again after seven days."""
        body = self.body(AccessRefuseBody)

        def answer() -> tuple[int, Any]:
            refuse_request(self.actor, request=request_for(self.actor, request_id), **body)
            return 200, request_json(request_for(self.actor, request_id))

        return self.once(answer)
