"""Control charts and what is worth a look over the API: the numbers of their pages."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import EmptyBody, PlaneView, StrictInteger, StrictSerializer, Text, known_params
from apps.core.errors import InvalidError, NotFoundError
from apps.core.schema import PROBLEMS
from apps.kpis.api.kpis import FILTERS, asked_in
from apps.kpis.models.clock import database_now
from apps.kpis.rules.anomalies import OF_HOURS, Unusual
from apps.kpis.rules.control import Why
from apps.kpis.selectors.anomalies import AnomalySeen, anomalies_for, anomaly_for, anomaly_seen_for
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.weeks import ControlChart, WeekPoint, control_charts_for
from apps.kpis.services import mute_anomaly, unmute_anomaly
from apps.kpis.services.anomalies import MUTED_DAYS

LIMITS = ("workflow", "unit", "agent", "tz", "simulated")
"""What limits control charts; they read all weeks and all versions, whatever the period."""


class WeekPointSerializer(serializers.Serializer[Any]):
    """One whole week: seconds, or a share 0..1; null where nothing can be said."""

    week = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    low = serializers.FloatField(allow_null=True, help_text="The lower limit.")
    high = serializers.FloatField(allow_null=True, help_text="The upper limit.")
    worth_a_look = serializers.ChoiceField([one.value for one in Why], allow_null=True)
    version = serializers.IntegerField(allow_null=True, help_text="The version whose first whole week it is.")


class ControlChartSerializer(serializers.Serializer[Any]):
    """One figure, the oldest week first."""

    formula = serializers.CharField()
    centre = serializers.FloatField(allow_null=True, help_text="Null while fewer than 24 weeks say what is usual.")
    worth_a_look = serializers.IntegerField(help_text="How many weeks are.")
    weeks = WeekPointSerializer(many=True)


class ControlChartsSerializer(serializers.Serializer[Any]):
    """The charts of a workflow by their figures; none before a week is over."""

    workflow = serializers.CharField()
    tz = serializers.CharField()
    charts = serializers.DictField(child=ControlChartSerializer())


class UnusualHourSerializer(serializers.Serializer[Any]):
    """Hours in a row that were out of line; counts are those of the last one."""

    id = serializers.UUIDField()
    workflow = serializers.CharField()
    kind = serializers.ChoiceField([one.value for one in Unusual if one in OF_HOURS])
    began_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    count = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Of failures: runs that finished in that hour.")
    expected = serializers.FloatField()
    chance = serializers.FloatField(help_text="How likely chance alone does as much.")
    muted = serializers.BooleanField(help_text="Nobody is told of the like of it now.")
    muted_until = serializers.DateTimeField(allow_null=True)
    mute_reason = serializers.CharField(allow_blank=True)


class UnusualHoursPage(serializers.Serializer[Any]):
    """What was found in 60 days."""

    results = UnusualHourSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class WorthALookSerializer(UnusualHourSerializer):
    """One thing worth a look; the numbers are those of the last hour, week, look or day that showed it."""

    kind = serializers.ChoiceField([one.value for one in Unusual])
    open = serializers.BooleanField(help_text="It goes on; never of hours, and until is then the last that showed it.")
    kpi = serializers.CharField(allow_blank=True, help_text="Of a target: which figure missed it.")
    count = serializers.IntegerField(help_text="Of an SLA the runs past it, of a backlog what is open.")
    of = serializers.IntegerField(help_text="Of a target n, of an SLA open runs, of a backlog its growth in 28 days.")
    value = serializers.FloatField(allow_null=True, help_text="Of a target: the figure, counts and sums by the day.")
    expected = serializers.FloatField(help_text="Of a target its value, of a backlog the most open in eight weeks.")
    chance = serializers.FloatField(allow_null=True, help_text="How likely chance alone does as much, where known.")
    text = serializers.CharField(help_text="The same in words.")
    behind = serializers.CharField(help_text="The page that lists what is behind it.")


class WorthALookPage(serializers.Serializer[Any]):
    """What goes on, and what was found in 60 days."""

    results = WorthALookSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class MuteBody(StrictSerializer):
    """For how long, and why."""

    days = StrictInteger(min_value=1, max_value=MUTED_DAYS, help_text="From now on.")
    reason = Text(max_length=500)


def point_json(point: WeekPoint) -> dict[str, Any]:
    """The week as ``WeekPointSerializer`` describes it."""
    numbers = {name: getattr(point, name) for name in ("value", "n", "low", "high", "version")}
    week = {"week": point.week.label, "start": point.week.start, "end": point.week.end}
    return {**week, **numbers, "worth_a_look": point.why and point.why.value}


def chart_json(found: ControlChart) -> dict[str, Any]:
    """The chart as ``ControlChartSerializer`` describes it."""
    weeks = [point_json(line.point) for line in reversed(found.lines)]
    return {"formula": found.formula, "centre": found.centre, "worth_a_look": found.looks, "weeks": weeks}


def unusual_json(one: AnomalySeen) -> dict[str, Any]:
    """The hours as ``UnusualHourSerializer`` describes them."""
    row = one.row
    names = ("id", "kind", "began_at", "until", "count", "of", "expected", "chance", "muted_until", "mute_reason")
    return {**{name: getattr(row, name) for name in names}, "workflow": row.workflow.slug, "muted": one.muted}


def worth_json(one: AnomalySeen) -> dict[str, Any]:
    """It as ``WorthALookSerializer`` describes it."""
    row = one.row
    more = {"open": row.is_open, "kpi": row.figure, "value": row.value, "text": one.sentence, "behind": one.href}
    return unusual_json(one) | more


class ControlCharts(PlaneView):
    """``/kpis/control-charts/``."""

    @extend_schema(
        operation_id="get_control_charts",
        parameters=[one for one in FILTERS if one.name in LIMITS],
        responses={200: ControlChartsSerializer, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Every whole week of a workflow against its own first weeks; 404 for one of which no run may be counted."""
        known_params(request, *LIMITS)
        workflow = request.query_params.get("workflow", "")
        if not workflow:
            raise InvalidError(errors={"workflow": ["The slug of a workflow."]})
        asked = asked_in(request.query_params.dict())
        if workflow not in workflows_for(self.actor):
            raise NotFoundError
        charts = {one.key: chart_json(one) for one in control_charts_for(self.actor, asked)}
        return Response({"workflow": workflow, "tz": asked.zone.key, "charts": charts})


class UnusualHours(PlaneView):
    """``/kpis/unusual-hours/``."""

    @extend_schema(
        operation_id="list_unusual_hours",
        parameters=[OpenApiParameter("workflow", str, description="A workflow's slug; all of them without one.")],
        responses={200: UnusualHoursPage, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Hours of 60 days that were out of line, the newest 200, in the units in which the reader may count."""
        known_params(request, "workflow")
        found = anomalies_for(self.actor, request.query_params.get("workflow", ""), OF_HOURS)
        return Response({"results": [unusual_json(one) for one in found], "next": None})


class WorthALook(PlaneView):
    """``/kpis/worth-a-look/``."""

    @extend_schema(
        operation_id="list_worth_a_look",
        parameters=[OpenApiParameter("workflow", str, description="A workflow's slug; all of them without one.")],
        responses={200: WorthALookPage, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Unusual hours, missed targets, SLAs and backlogs: what goes on, then the newest of 60 days, 200 at most."""
        known_params(request, "workflow")
        found = anomalies_for(self.actor, request.query_params.get("workflow", ""))
        return Response({"results": [worth_json(one) for one in found], "next": None})


class WorthALookMute(PlaneView):
    """``/kpis/worth-a-look/{id}/mute/``."""

    @extend_schema(
        operation_id="mute_worth_a_look", request=MuteBody, responses={200: WorthALookSerializer, **PROBLEMS}
    )
    def post(self, request: Request, anomaly_id: UUID) -> Response:
        """Tell nobody of the like of it for some days, by whoever sets targets there. It is found and listed on."""
        body = self.body(MuteBody)

        def answer() -> tuple[int, Any]:
            until = database_now() + timedelta(days=body["days"])
            row = anomaly_for(self.actor, anomaly_id)
            mute_anomaly(self.actor, anomaly=row, until=until, reason=body["reason"])
            return 200, worth_json(anomaly_seen_for(self.actor, anomaly_id))

        return self.once(answer)


class WorthALookUnmute(PlaneView):
    """``/kpis/worth-a-look/{id}/unmute/``."""

    @extend_schema(operation_id="unmute_worth_a_look", request=None, responses={200: WorthALookSerializer, **PROBLEMS})
    def post(self, request: Request, anomaly_id: UUID) -> Response:
        """Tell of the like of it again; where it is not muted nothing changes."""
        self.body(EmptyBody)

        def answer() -> tuple[int, Any]:
            unmute_anomaly(self.actor, anomaly=anomaly_for(self.actor, anomaly_id))
            return 200, worth_json(anomaly_seen_for(self.actor, anomaly_id))

        return self.once(answer)
