"""The endpoints of event logs. They are imported by page and command: a log is a file."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.kpis.models import EventLog, LogCase
from apps.kpis.rules.eventlogs import CasePart, asked_cases, way_digest
from apps.kpis.selectors import event_log_for, event_logs_for
from apps.kpis.selectors.cases import ORDER, cases_for


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
    attributes = serializers.ListField(child=serializers.DictField(), required=False)
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
        return Response(event_log_line(log) | _with_digests(log.figures))


def _with_digests(figures: dict[str, Any]) -> dict[str, Any]:
    """Each variant with the digest by which its cases are asked for."""
    told = figures["map"]
    variants = [{**one, "digest": way_digest(one["activities"])} for one in told["variants"]]
    return {**figures, "map": {**told, "variants": variants}}


class LogCaseLine(serializers.Serializer[Any]):
    """A case: ``times`` is for how many events it counts in what was asked for, ``did`` its activities in order."""

    case = serializers.CharField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    cycle_s = serializers.FloatField()
    handovers = serializers.IntegerField()
    reworked = serializers.BooleanField()
    cost = serializers.CharField(allow_null=True, help_text="In major units of the reporting currency.")
    times = serializers.IntegerField()
    did = serializers.ListField(child=serializers.CharField())
    by = serializers.ListField(child=serializers.CharField(allow_blank=True))
    told = serializers.DictField(child=serializers.CharField(), help_text="What is said of the case as a whole.")


class LogCasePage(serializers.Serializer[Any]):
    """A page of cases."""

    results = LogCaseLine(many=True)
    next = serializers.CharField(allow_null=True)


def case_line(case: LogCase) -> dict[str, Any]:
    """The case as ``LogCaseLine`` describes it."""
    said = {name: getattr(case, name) for name in ("first_at", "last_at", "cycle_s", "handovers", "reworked", "times")}
    cost = None if case.cost is None else f"{case.cost.normalize():f}"
    return {"case": case.name, **said, "cost": cost, "did": case.did, "by": case.by, "told": case.told}


ASKED = [
    OpenApiParameter("of", str, enum=[str(part) for part in CasePart], description="What the cases are behind."),
    OpenApiParameter("name", str, description="The activity, resource, week, variant's digest or value."),
    OpenApiParameter("before", str, description="With of=follows: the activity that `name` follows."),
    OpenApiParameter("key", str, description="With of=attribute: which; without `name`, cases that say nothing of it."),
]


class EventLogCases(PlaneView):
    """``/event-logs/{id}/cases/``."""

    @extend_schema(operation_id="list_event_log_cases", parameters=ASKED, responses={200: LogCasePage, **PROBLEMS})
    def get(self, request: Request, log_id: UUID) -> Response:
        """The cases behind a figure of a log, the longest first."""
        known_params(request, "of", "name", "before", "key")
        try:
            asked = asked_cases(request.query_params.dict())
        except ValueError as error:
            field, text = error.args
            raise InvalidError(errors={field: [text]}) from error
        _log, rows = cases_for(self.actor, log_id, asked)
        return page_of(request, rows, case_line, order=ORDER)
