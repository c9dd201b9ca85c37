"""What people said of an agent's work: for the agent itself, and for people who may see it."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.agents.selectors import agent_for
from apps.core.api import (
    ErasedMark,
    PlaneView,
    cursor_param,
    following_url,
    known_params,
    limit_param,
)
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import remembering
from apps.core.models import database_now
from apps.core.schema import PROBLEMS
from apps.oversight.api.people import PersonView
from apps.oversight.rules.feedback import (
    FILTERS,
    MAX_FEEDBACK,
    SETTLED_S,
    FeedbackFilter,
    FeedbackKind,
    Said,
    feedback_filter_of,
)
from apps.oversight.selectors.feedback import all_feedback_for, feedback_for, lines_of

LINES = "application/x-ndjson"


class FeedbackSerializer(serializers.Serializer[Any]):
    """One thing that was said, with the work it was said of."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField([kind.value for kind in FeedbackKind])
    said = serializers.ChoiceField([said.value for said in Said], allow_null=True, help_text="Null once it is erased.")
    at = serializers.DateTimeField()
    action = serializers.UUIDField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    version = serializers.IntegerField(allow_null=True)
    environment = serializers.CharField()
    reference = serializers.CharField()
    run = serializers.UUIDField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    step = serializers.CharField()
    workflow = serializers.CharField()
    reason = serializers.CharField()
    reason_code = serializers.CharField()
    retry = serializers.CharField(allow_null=True)
    patch = serializers.JSONField(help_text="RFC 6902: from what was asked to what was decided.")
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment] # a name of ours, not DRF's
    rules = serializers.JSONField(help_text="Which rules asked people: `{policy, rule, message}`.")
    question = serializers.CharField(allow_null=True)
    answer = serializers.JSONField(allow_null=True)
    expect = serializers.CharField(
        allow_null=True, help_text="Of a mismatch: what reading the system back had to show."
    )
    erased = ErasedMark(allow_null=True)


class FeedbackPage(serializers.Serializer[Any]):
    """A page, newest first. ``as_of``: everything said before it is there; the next ``since``."""

    results = FeedbackSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    as_of = serializers.DateTimeField()


class LinesRenderer(JSONRenderer):
    """Chosen by ``Accept``; a refusal to whoever asked for lines is one line."""

    media_type = LINES
    format = "ndjson"


PARAMS = [
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="Said then or later."),
    OpenApiParameter("said", str, enum=[said.value for said in Said]),
    OpenApiParameter("kind", str, enum=[kind.value for kind in FeedbackKind]),
    *(OpenApiParameter(name, str) for name in ("operation", "version", "cursor", "limit")),
]
ANSWERS = {200: FeedbackPage, (200, LINES): OpenApiTypes.STR, **PROBLEMS}


def filter_of(request: Request) -> FeedbackFilter:
    """What the address asks for. Raises InvalidError."""
    known_params(request, *FILTERS)
    wanted, faults = feedback_filter_of(request.query_params.dict())
    if faults:
        raise InvalidError(errors={name: [fault] for name, fault in faults.items()})
    return wanted


class FeedbackView(PlaneView):
    """What both addresses share."""

    renderer_classes = [JSONRenderer, LinesRenderer]

    def answer(self, request: Request, agent: Agent, wanted: FeedbackFilter) -> HttpResponseBase:
        """A page, or everything as lines."""
        as_of = database_now() - timedelta(seconds=SETTLED_S)
        if getattr(request.accepted_renderer, "format", "") == LinesRenderer.format:
            lines = lines_of(all_feedback_for(self.actor, agent, wanted))
            return StreamingHttpResponse(
                lines, content_type=LINES, headers={"Acp-As-Of": as_of.isoformat(), "Acp-Limit": str(MAX_FEEDBACK)}
            )
        limit = limit_param(request)
        with remembering(self.actor):
            found = feedback_for(self.actor, agent, wanted, behind_of=cursor_param(request, 2), limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = following_url(request, [last.at, last.id]) if last else None
        return Response({"results": [one.told for one in found[:limit]], "next": following, "as_of": as_of})


class MyFeedback(FeedbackView):
    """``/me/feedback/``."""

    @extend_schema(operation_id="list_my_feedback", parameters=PARAMS, responses=ANSWERS)
    def get(self, request: Request) -> HttpResponseBase:
        """What people said of my work and what systems show otherwise, newest first; or all of it as JSON Lines."""
        wanted = filter_of(request)
        if not self.actor.is_agent:
            raise NotAllowedError("Only agents have work of their own here; people read /agents/{slug}/feedback/.")
        return self.answer(request, self.actor.agent, wanted)


class AgentFeedback(FeedbackView, PersonView):
    """``/agents/{slug}/feedback/``."""

    @extend_schema(operation_id="list_agent_feedback", parameters=PARAMS, responses=ANSWERS)
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """The same of an agent, for people: what they may see in the inbox."""
        wanted = filter_of(request)
        return self.answer(request, agent_for(self.actor, slug), wanted)
