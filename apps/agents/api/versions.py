"""Endpoints of versions: what an agent was and is, and what differs between two of them."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import AgentVersion
from apps.agents.selectors import agent_for, described, version_for
from apps.agents.services import save_version
from apps.core.api import JsonObject, PlaneView, StrictBoolean, StrictSerializer, Text, known_params, page_of
from apps.core.differences import ABSENT, differences
from apps.core.schema import PROBLEMS

MANAGE = "agents.manage_agent"


class VersionBody(StrictSerializer):
    """A new version."""

    model = Text(max_length=120, required=False, allow_blank=True)
    provider = Text(max_length=120, required=False, allow_blank=True)
    instructions = Text(max_length=100_000, required=False, allow_blank=True)
    config = JsonObject(required=False)
    changelog = Text(max_length=500, required=False, allow_blank=True)
    activate = StrictBoolean(required=False)


class VersionSerializer(serializers.Serializer[Any]):
    """One version of an agent."""

    number = serializers.IntegerField()
    state = serializers.CharField()
    model = serializers.CharField()
    provider = serializers.CharField()
    digest = serializers.CharField()
    changelog = serializers.CharField()
    created_at = serializers.DateTimeField()


class VersionPage(serializers.Serializer[Any]):
    """A page of versions."""

    results = VersionSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class VersionDifferenceSerializer(serializers.Serializer[Any]):
    """One path at which two versions differ; null where it is not there."""

    path = serializers.CharField()
    kind = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)


class VersionDetailSerializer(VersionSerializer):
    """A version whole, and what it changes of the one that ``against`` names."""

    instructions = serializers.CharField()
    config = serializers.JSONField()
    against = serializers.IntegerField(allow_null=True)
    differences = VersionDifferenceSerializer(many=True)


def version_json(version: AgentVersion) -> dict[str, Any]:
    """The version as ``VersionSerializer`` describes it."""
    names = ("number", "state", "model", "provider", "digest", "changelog", "created_at")
    return {name: getattr(version, name) for name in names}


class AgentVersions(PlaneView):
    """``/agents/{slug}/versions/``."""

    @extend_schema(operation_id="list_agent_versions", responses={200: VersionPage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """Versions, newest first."""
        known_params(request)
        rows = AgentVersion.objects.filter(agent=agent_for(self.actor, slug))
        return page_of(request, rows, version_json)

    @extend_schema(
        operation_id="create_agent_version", request=VersionBody, responses={201: VersionSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make the next version, active at once unless ``activate`` is false; the same content makes none.

        A high-risk agent gets no other version from one person: 409 ``second_person_required``.
        """
        agent = agent_for(self.actor, slug, perm=MANAGE)
        body = self.body(VersionBody)

        def answer() -> tuple[int, Any]:
            version, outcome = save_version(self.actor, agent=agent, **body)
            return (200 if outcome == "unchanged" else 201), version_json(version)

        return self.once(answer)


def _leaf(value: object) -> object:
    return None if value is ABSENT else value


class AgentVersionDetail(PlaneView):
    """``/agents/{slug}/versions/{number}/``."""

    @extend_schema(
        operation_id="get_agent_version",
        parameters=[OpenApiParameter("against", int, description="Compare with this one; else with the current one.")],
        responses={200: VersionDetailSerializer, **PROBLEMS},
    )
    def get(self, request: Request, slug: str, number: int) -> Response:
        """One version, and what it changes of the agent's current one, or of the one that ``against`` names."""
        known_params(request, "against")
        agent = agent_for(self.actor, slug)
        version = version_for(self.actor, agent, str(number))
        named = request.query_params.get("against")
        against = version_for(self.actor, agent, named) if named else agent.version
        found = differences(described(against) if against else None, described(version))
        changed = [
            {"path": row.path, "kind": row.kind, "before": _leaf(row.before), "after": _leaf(row.after)}
            for row in found
            if row.kind != "same"
        ]
        more = {name: getattr(version, name) for name in ("instructions", "config")}
        told = {"against": against.number if against else None, "differences": changed}
        return Response({**version_json(version), **more, **told})
