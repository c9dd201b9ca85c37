"""Endpoints of people's sessions: where somebody is signed in, and ending it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import Session
from apps.access.selectors import person_for, sessions_for
from apps.access.services import end_session, end_sessions_of
from apps.core.api import PlaneView, known_params
from apps.core.gate import require_human
from apps.core.schema import PROBLEMS


class SessionSerializer(serializers.Serializer[Any]):
    """A browser in which one is signed in; never its key."""

    id = serializers.UUIDField()
    address = serializers.CharField()
    browser = serializers.CharField()
    began_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()


class SessionList(serializers.Serializer[Any]):
    """All of them: there are ten at most."""

    results = SessionSerializer(many=True)


class EndedSessions(serializers.Serializer[Any]):
    """How many ended."""

    ended = serializers.IntegerField()


def session_json(row: Session) -> dict[str, Any]:
    """The session as ``SessionSerializer`` describes it."""
    return {"id": row.ref, **{name: getattr(row, name) for name in ("address", "browser", "began_at", "seen_at")}}


class OwnSessions(PlaneView):
    """``/me/sessions/``."""

    @extend_schema(operation_id="list_own_sessions", responses={200: SessionList, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Where you are signed in, newest first."""
        known_params(request)
        require_human(self.actor)
        return Response({"results": [session_json(row) for row in sessions_for(self.actor)]})


class OwnSession(PlaneView):
    """``/me/sessions/{id}/``."""

    @extend_schema(operation_id="end_own_session", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, ref: UUID) -> Response:
        """Sign out there; it acts on the next request."""
        end_session(self.actor, ref=ref)
        return Response(status=204)


class SessionsOf(PlaneView):
    """``/users/{username}/sessions/``."""

    @extend_schema(operation_id="end_sessions", responses={200: EndedSessions, **PROBLEMS})
    def delete(self, request: Request, username: str) -> Response:
        """Sign somebody out everywhere, as who manages access may. Their tokens stay: revoke those one by one."""
        return Response({"ended": end_sessions_of(self.actor, user=person_for(self.actor, username))})
