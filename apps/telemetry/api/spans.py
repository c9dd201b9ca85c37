"""Endpoints of spans: looking at what agents reported, and linking by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.telemetry.models import Span
from apps.telemetry.rules.links import LinkedBy
from apps.telemetry.rules.rejections import Rejection
from apps.telemetry.rules.tools import Despite
from apps.telemetry.selectors import LONGEST_TEXT, SpanFilter, rejected_for, span_for, spans_for, unlinked_for
from apps.telemetry.services import link_by_hand
from apps.workflows.selectors import run_for

FILTERS = ("agent", "service", "run", "trace", "linked", "failed", "since", "version", "text")
TRUTH = {"true": True, "false": False}


class TokensSerializer(serializers.Serializer[Any]):
    """Tokens of one call of a model."""

    input = serializers.IntegerField()
    output = serializers.IntegerField()
    cache_read = serializers.IntegerField()
    cache_write = serializers.IntegerField()
    reasoning = serializers.IntegerField(required=False, help_text="Of the output; absent where the span names none.")
    reported_micro = serializers.IntegerField(
        required=False, help_text="What it cost by its sender's word, in millionths of a US dollar."
    )


class SpanSerializer(serializers.Serializer[Any]):
    """One span as its agent reported it, without what was said to models."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    service = serializers.CharField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    parent_id = serializers.CharField()
    name = serializers.CharField()
    operation = serializers.CharField()
    tool = serializers.CharField()
    tool_call = serializers.CharField(help_text="open, governed, ungoverned, repeat; empty: no call of a tool.")
    governed_by = serializers.UUIDField(allow_null=True, help_text="The action behind the call.")
    despite = serializers.CharField(
        allow_blank=True, help_text=f"How it was made although not allowed: {', '.join(Despite)}; empty otherwise."
    )
    despite_action = serializers.UUIDField(allow_null=True, help_text="The action that was not allowed.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    failed = serializers.BooleanField()
    told_version = serializers.CharField(help_text="The agent's version by its own word; empty: it names none.")
    sent_as = serializers.IntegerField(allow_null=True, help_text="The version whose request brought it.")
    version_differs = serializers.BooleanField(help_text="It names one of the plane's versions, and another.")
    model = serializers.CharField()
    tokens = TokensSerializer(allow_null=True)
    counted = serializers.BooleanField(help_text="Whether its tokens count; those of wrappers and repeats do not.")
    run = serializers.UUIDField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    action = serializers.UUIDField(allow_null=True)
    linked_by = serializers.ChoiceField(["", *[one.value for one in LinkedBy]])
    received_at = serializers.DateTimeField()


class SpanDetailSerializer(SpanSerializer):
    """The same, with its attributes."""

    attributes = serializers.JSONField()


class SpanPage(serializers.Serializer[Any]):
    """A page of spans."""

    results = SpanSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class UnlinkedSerializer(serializers.Serializer[Any]):
    """What one service of one agent sent in the last seven days that belongs to nothing."""

    agent = serializers.CharField()
    service = serializers.CharField()
    spans = serializers.IntegerField()
    traces = serializers.IntegerField()
    last_at = serializers.DateTimeField()


class RejectedSerializer(serializers.Serializer[Any]):
    """How many spans of one agent were kept and rejected in the last 30 days."""

    agent = serializers.CharField()
    kept = serializers.IntegerField()
    rejected = serializers.IntegerField()
    why = serializers.DictField(child=serializers.IntegerField(), help_text=", ".join(Rejection))
    misnamed = serializers.IntegerField(help_text="Kept, and named work that is not the agent's own.")


class LinkBody(StrictSerializer):
    """To which run the trace belongs, and why."""

    run = serializers.UUIDField()
    reason = Text(max_length=500)


class LinkedSerializer(serializers.Serializer[Any]):
    """How many spans were linked."""

    run = serializers.UUIDField()
    spans = serializers.IntegerField()


def span_json(span: Span) -> dict[str, Any]:
    """The span as ``SpanSerializer`` describes it."""
    same = (
        "id", "service", "trace_id", "span_id", "parent_id", "name", "operation", "tool", "tool_call", "governed_by",
        "despite", "despite_action",
        "started_at", "ended_at", "failed", "told_version", "sent_as", "model", "tokens", "linked_by",
    )  # fmt: skip
    return {
        **{name: getattr(span, name) for name in same},
        "agent": span.agent.slug,
        "version_differs": span.is_of_other_version,
        "counted": span.usage_id is not None,
        "run": span.run_id,
        "task": span.task_id,
        "action": span.action_id,
        "received_at": span.created_at,
    }


def filter_of(request: Request) -> SpanFilter:
    """What the query asks for. Raises InvalidError for what does not fit."""
    said = {name: request.query_params.get(name, "") for name in FILTERS}
    wrong = dict[str, list[str]]()
    for name in ("linked", "failed"):
        if said[name] and said[name] not in TRUTH:
            wrong[name] = ["One of: true, false."]
    for name in ("text", "version"):
        if len(said[name]) > LONGEST_TEXT:
            wrong[name] = [f"At most {LONGEST_TEXT} characters."]
    run, since = uuid_in(said["run"], "run", wrong), instant_in(said["since"], "since", wrong)
    if wrong:
        raise InvalidError(errors=wrong)
    return SpanFilter(
        agent=said["agent"],
        service=said["service"],
        run=run,
        trace=said["trace"],
        linked=TRUTH.get(said["linked"]),
        failed=TRUTH.get(said["failed"]),
        since=since,
        version=said["version"],
        text=said["text"],
    )


def uuid_in(text: str, name: str, wrong: dict[str, list[str]]) -> UUID | None:
    """An id in a query, None where none is said; what is none is noted in ``wrong``."""
    try:
        return UUID(text) if text else None
    except ValueError:
        wrong[name] = ["Not an id."]
        return None


def instant_in(text: str, name: str, wrong: dict[str, list[str]]) -> datetime | None:
    """An instant in a query, None where none is said; what is none is noted in ``wrong``."""
    try:
        found = parse_datetime(text) if text else None
    except ValueError:
        found = None
    if text and not (found and found.tzinfo):
        wrong[name] = ["Not an instant with its offset, such as 2026-01-31T12:00:00Z."]
        return None
    return found


class Spans(PlaneView):
    """``/spans/``."""

    @extend_schema(operation_id="list_spans", responses={200: SpanPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Agents' reports, newest first; filters: agent, service, version, run, trace, linked, failed, since, text.

        ``text`` stands in the name, the tool, the model or the attributes. It and ``version`` are looked for among the
        newest 20,000 that else fit.
        """
        known_params(request, *FILTERS)
        return page_of(request, spans_for(self.actor, filter_of(request)).defer("attributes"), span_json)


class SpanDetail(PlaneView):
    """``/spans/{id}/``."""

    @extend_schema(operation_id="get_span", responses={200: SpanDetailSerializer, **PROBLEMS})
    def get(self, request: Request, span_id: UUID) -> Response:
        """One span with its attributes."""
        found = span_for(self.actor, span_id)
        return Response({**span_json(found), "attributes": found.attributes})


class SpanLink(PlaneView):
    """``/spans/{id}/link/``."""

    @extend_schema(operation_id="link_span", request=LinkBody, responses={200: LinkedSerializer, **PROBLEMS})
    def post(self, request: Request, span_id: UUID) -> Response:
        """Say to which run of its agent the span's trace belongs, within seven days; what it used counts then."""
        span, body = span_for(self.actor, span_id), self.body(LinkBody)
        run = run_for(self.actor, body["run"])

        def answer() -> tuple[int, Any]:
            return 200, {"run": run.pk, "spans": link_by_hand(self.actor, span=span, run=run, reason=body["reason"])}

        return self.once(answer)


class UnlinkedSpans(PlaneView):
    """``/spans/unlinked/``."""

    @extend_schema(operation_id="list_unlinked_spans", responses={200: UnlinkedSerializer(many=True), **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What belongs to nothing, by agent and service."""
        known_params(request)
        names = ("agent", "service", "spans", "traces", "last_at")
        return Response([{name: getattr(one, name) for name in names} for one in unlinked_for(self.actor)])


class RejectedSpans(PlaneView):
    """``/spans/rejected/``."""

    @extend_schema(operation_id="list_rejected_spans", responses={200: RejectedSerializer(many=True), **PROBLEMS})
    def get(self, request: Request) -> Response:
        """How many spans were rejected, by agent and reason."""
        known_params(request)
        names = ("agent", "kept", "rejected", "why", "misnamed")
        return Response([{name: getattr(one, name) for name in names} for one in rejected_for(self.actor)])
