"""Log records that agents sent, for people."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.telemetry.api.spans import instant_in, uuid_in
from apps.telemetry.models import LogRecord
from apps.telemetry.rules.severities import WORDS
from apps.telemetry.selectors import LONGEST_TEXT, LogFilter, logs_for

FILTERS = [
    OpenApiParameter("agent", str, description="An agent's slug."),
    OpenApiParameter("service", str, description="The name that the sender has for itself."),
    OpenApiParameter("run", str, description="A run's id."),
    OpenApiParameter("trace", str, description="A trace's id, in hex."),
    OpenApiParameter("level", str, enum=list(WORDS), description="That or graver."),
    OpenApiParameter("text", str, description="What stands in the body, in any case."),
    OpenApiParameter("since", str, description="An instant: that happened then or later."),
]


class LogSerializer(serializers.Serializer[Any]):
    """What an agent reported, without what was said to models. It is its word, and no evidence."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    service = serializers.CharField()
    at = serializers.DateTimeField(help_text="By the agent's clock.")
    severity = serializers.IntegerField(help_text="As OpenTelemetry counts, 1 to 24; 0 for none.")
    level = serializers.ChoiceField(["", *WORDS])
    event = serializers.CharField()
    body = serializers.CharField()
    attributes = serializers.JSONField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    run = serializers.UUIDField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    action = serializers.UUIDField(allow_null=True)
    received_at = serializers.DateTimeField()


class LogPage(serializers.Serializer[Any]):
    """A page of log records."""

    results = LogSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def log_json(row: LogRecord) -> dict[str, Any]:
    """The record as ``LogSerializer`` describes it."""
    same = ("id", "service", "at", "severity", "level", "event", "body", "attributes", "trace_id", "span_id")
    return {
        **{name: getattr(row, name) for name in same},
        "agent": row.agent.slug,
        "run": row.run_id,
        "task": row.task_id,
        "action": row.action_id,
        "received_at": row.created_at,
    }


def filter_of(request: Request) -> LogFilter:
    """What the query asks for. Raises InvalidError for what does not fit."""
    said = {one.name: request.query_params.get(one.name, "") for one in FILTERS}
    wrong = dict[str, list[str]]()
    run, since = uuid_in(said["run"], "run", wrong), instant_in(said["since"], "since", wrong)
    if said["level"] and said["level"] not in WORDS:
        wrong["level"] = [f"One of: {', '.join(WORDS)}."]
    if len(said["text"]) > LONGEST_TEXT:
        wrong["text"] = [f"At most {LONGEST_TEXT} characters."]
    if wrong:
        raise InvalidError(errors=wrong)
    return LogFilter(
        agent=said["agent"],
        service=said["service"],
        run=run,
        trace=said["trace"],
        severity=WORDS.get(said["level"], 0),
        text=said["text"],
        since=since,
    )


class Logs(PlaneView):
    """``/logs/``."""

    @extend_schema(operation_id="list_logs", parameters=FILTERS, responses={200: LogPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What agents reported in their logs, the last received first.

        ``text`` stands in the body, among the newest 20,000 that else fit.
        """
        known_params(request, *(one.name for one in FILTERS))
        return page_of(request, logs_for(self.actor, filter_of(request)), log_json)
