"""The endpoints of event logs. They are imported by page and command: a log is a file."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params, page_of
from apps.core.schema import PROBLEMS
from apps.kpis.models import EventLog
from apps.kpis.selectors import event_log_for, event_logs_for


class CycleTimes(serializers.Serializer[Any]):
    """First start to last complete of a case, in seconds; percentiles of type 7."""

    p50 = serializers.FloatField()
    mean = serializers.FloatField()
    p90 = serializers.FloatField()
    p95 = serializers.FloatField()


class CostOfCases(serializers.Serializer[Any]):
    """What a case cost at the mean, in major units of the reporting currency, of the cases that say so."""

    cases = serializers.IntegerField()
    mean = serializers.FloatField()


class EventLogLine(serializers.Serializer[Any]):
    """A log in a list."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    workflow = serializers.CharField()
    cases = serializers.IntegerField()
    events = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    tz = serializers.CharField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    imported_at = serializers.DateTimeField()


class EventLogSerializer(EventLogLine):
    """A log with its figures: durations in seconds, shares 0..1; of lists the fifty most frequent."""

    cycle_time_s = CycleTimes()
    variants = serializers.IntegerField()
    rework_share = serializers.FloatField()
    handovers = serializers.IntegerField()
    throughput_weekly = serializers.ListField(child=serializers.DictField())
    activities = serializers.ListField(child=serializers.DictField())
    cost = CostOfCases(allow_null=True, required=False)
    map = serializers.DictField()


class EventLogPage(serializers.Serializer[Any]):
    """A page of logs."""

    results = EventLogLine(many=True)
    next = serializers.CharField(allow_null=True)


LINE = ("id", "name", "workflow", "cases", "events", "duplicates", "tz", "first_at", "last_at", "imported_at")


def event_log_line(log: EventLog) -> dict[str, Any]:
    """The log as ``EventLogLine`` describes it."""
    return {name: getattr(log, name) for name in LINE}


class EventLogs(PlaneView):
    """``/event-logs/``."""

    @extend_schema(operation_id="list_event_logs", responses={200: EventLogPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """What processes were like before, newest first; filter ``workflow``."""
        known_params(request, "workflow")
        rows = event_logs_for(self.actor)
        if (workflow := request.query_params.get("workflow")) is not None:
            rows = rows.filter(workflow=workflow)
        return page_of(request, rows, event_log_line, order=("-id",))


class EventLogDetail(PlaneView):
    """``/event-logs/{id}/``."""

    @extend_schema(operation_id="get_event_log", responses={200: EventLogSerializer, **PROBLEMS})
    def get(self, request: Request, log_id: UUID) -> Response:
        """One log with its figures and its map."""
        log = event_log_for(self.actor, log_id)
        return Response(event_log_line(log) | log.figures)
