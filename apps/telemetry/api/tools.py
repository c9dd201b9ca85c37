"""Endpoints of the tools that agents used without asking, and of how much of what an agent does is governed."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.agents.rules import MAX_DISMISS_REASON
from apps.agents.selectors import held_or_own_for
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.telemetry.models import ToolFinding
from apps.telemetry.rules.tools import Coverage, FindingState
from apps.telemetry.selectors import COVERAGE_DAYS, coverage_for, dismissible_for, finding_for, findings_for
from apps.telemetry.services import dismiss_finding


class FindingDismissal(StrictSerializer):
    """Why it is right that the agent uses the tool without asking."""

    reason = Text(max_length=MAX_DISMISS_REASON)


class FindingSerializer(serializers.Serializer[Any]):
    """A tool that an agent used without asking."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    tool = serializers.CharField(help_text="As the agent's spans name it.")
    state = serializers.CharField(help_text=", ".join(FindingState))
    calls = serializers.IntegerField(help_text="Of the last 30 days, as far as the spans are kept.")
    last_at = serializers.DateTimeField()
    found_at = serializers.DateTimeField()
    despite_at = serializers.DateTimeField(allow_null=True, help_text="When last used although the plane had refused.")
    dismissed_at = serializers.DateTimeField(allow_null=True)
    dismissed_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was dismissed; agents are not told.")
    may_dismiss = serializers.BooleanField()


class FindingPage(serializers.Serializer[Any]):
    """A page of them."""

    results = FindingSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CoverageSerializer(serializers.Serializer[Any]):
    """Governed calls of tools of all that were seen."""

    agent = serializers.CharField()
    days = serializers.IntegerField()
    seen = serializers.IntegerField()
    governed = serializers.IntegerField()
    ungoverned = serializers.IntegerField()
    dismissed = serializers.IntegerField(help_text="Of the ungoverned, those of tools that were dismissed.")
    value = serializers.FloatField(allow_null=True, help_text="governed / seen, 0..1; null where nothing was seen.")
    low = serializers.FloatField(allow_null=True, help_text="The 95 % Wilson interval.")
    high = serializers.FloatField(allow_null=True)


def finding_json(actor: User, finding: ToolFinding, dismissible: Collection[UUID]) -> dict[str, Any]:
    """The finding as ``FindingSerializer`` describes it. What people say of an agent is for people alone."""
    return {
        "id": finding.pk,
        "agent": finding.agent.slug,
        "tool": finding.tool,
        "state": finding.state,
        "calls": finding.calls or 0,  # type: ignore[attr-defined] # annotated by the selector
        "last_at": finding.last_at,
        "found_at": finding.created_at,
        "despite_at": finding.despite_at,
        "dismissed_at": finding.dismissed_at,
        "dismissed_by": finding.dismissed_by.username if finding.dismissed_by else None,
        "reason": "" if actor.is_agent else finding.dismiss_reason,
        "may_dismiss": finding.dismissed_at is None and finding.agent_id in dismissible,
    }


def coverage_json(agent: Agent, found: Coverage) -> dict[str, Any]:
    """The share as ``CoverageSerializer`` describes it."""
    low, high = found.interval or (None, None)
    return {
        "agent": agent.slug,
        "days": COVERAGE_DAYS,
        "seen": found.seen,
        "governed": found.governed,
        "ungoverned": found.ungoverned,
        "dismissed": found.dismissed,
        "value": found.value,
        "low": low,
        "high": high,
    }


class ToolFindings(PlaneView):
    """``/tool-findings/``."""

    @extend_schema(operation_id="list_tool_findings", responses={200: FindingPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Tools used without asking, last used first; filters ``agent`` and ``state`` (``open``, ``dismissed``)."""
        known_params(request, "agent", "state")
        state = request.query_params.get("state", "")
        if state and state not in list(FindingState):
            raise InvalidError(errors={"state": [f"One of: {', '.join(FindingState)}."]})
        rows = findings_for(self.actor, agent=request.query_params.get("agent", ""), state=state)
        dismissible = dismissible_for(self.actor)
        return page_of(request, rows, lambda row: finding_json(self.actor, row, dismissible), order=("-last_at", "-id"))


class ToolFindingDismissal(PlaneView):
    """``/tool-findings/{id}/dismiss/``."""

    @extend_schema(
        operation_id="dismiss_tool_finding", request=FindingDismissal, responses={200: FindingSerializer, **PROBLEMS}
    )
    def post(self, request: Request, finding_id: UUID) -> Response:
        """Say why it is right: the agent's owner, or who may suspend it. It stays so, and counts all the same."""
        finding = finding_for(self.actor, finding_id)
        body = self.body(FindingDismissal)

        def answer() -> tuple[int, Any]:
            dismiss_finding(self.actor, finding=finding, reason=body["reason"])
            return 200, finding_json(self.actor, finding_for(self.actor, finding_id), dismissible_for(self.actor))

        return self.once(answer)


class AgentCoverage(PlaneView):
    """``/agents/{slug}/coverage/``."""

    @extend_schema(operation_id="get_agent_coverage", responses={200: CoverageSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """Of the tools that the agent's spans of the last 30 days tell of, how many calls the plane was asked about."""
        agent = held_or_own_for(self.actor, perm="agents.view_agent").filter(slug=slug).first()
        if agent is None:
            raise NotFoundError
        return Response(coverage_json(agent, coverage_for(self.actor, agent)))
