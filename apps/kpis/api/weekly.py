"""The weekly review over the API: the numbers of the page, and what lies behind one."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params
from apps.core.errors import InvalidError
from apps.core.schema import PROBLEMS
from apps.kpis.rules.weekly import Failed, Line, Part, Row
from apps.kpis.selectors.weekly import behind_week_for, this_week, week_for

WHICH = [
    OpenApiParameter("workflow", str, required=True, description="A workflow's slug."),
    OpenApiParameter(
        "week", str, description="An ISO week such as 2026-W48, in the reporting zone; this one unless asked."
    ),
    OpenApiParameter("simulated", bool, description="Whether simulated history counts; false unless asked."),
]


class LineSerializer(serializers.Serializer[Any]):
    """So many in the week and in the one before."""

    key = serializers.CharField()
    n = serializers.IntegerField()
    before = serializers.IntegerField()
    few = serializers.BooleanField(help_text="Fewer than five: it may be chance.")
    as_asked = serializers.IntegerField(help_text="Of decisions: approved unchanged.")
    expired = serializers.IntegerField()
    median_s = serializers.FloatField(allow_null=True)
    p90_s = serializers.FloatField(allow_null=True, help_text="Null below ten.")
    median_before_s = serializers.FloatField(allow_null=True)
    changed_at = serializers.JSONField(help_text="Where it can be changed: `{kind, name}`; kind may be empty.")


class WeekSerializer(serializers.Serializer[Any]):
    """The lines of each part, the most telling first."""

    workflow = serializers.CharField()
    week = serializers.CharField()
    tz = serializers.CharField()
    over = serializers.BooleanField()
    simulated = serializers.BooleanField(help_text="Whether any of it, or of the week before, is simulated.")
    cut = serializers.BooleanField(help_text="There was more than is read; the newest are counted.")
    parts = serializers.DictField(child=LineSerializer(many=True))


class BehindWeekSerializer(serializers.Serializer[Any]):
    """An item or a run that a line counts."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(["escalation", "run"])
    at = serializers.DateTimeField()
    simulated = serializers.BooleanField(help_text="Then there are facts of it and nothing else.")


class BehindWeekPage(serializers.Serializer[Any]):
    """All that a line counts."""

    results = BehindWeekSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def line_json(line: Line) -> dict[str, Any]:
    """The line as ``LineSerializer`` describes it."""
    numbers = ("key", "n", "before", "as_asked", "expired", "median_s", "p90_s", "median_before_s")
    kind, name = line.source
    told = {each: getattr(line, each) for each in numbers}
    return {**told, "few": line.is_few, "changed_at": {"kind": kind.value, "name": name}}


def row_json(row: Row) -> dict[str, Any]:
    """The row as ``BehindWeekSerializer`` describes it."""
    kind = "run" if isinstance(row, Failed) else "escalation"
    return {"id": row.id, "kind": kind, "at": row.at, "simulated": row.simulated}


def _which(request: Request) -> tuple[str, str]:
    workflow = request.query_params.get("workflow", "")
    if not workflow:
        raise InvalidError(errors={"workflow": ["The slug of a workflow."]})
    return workflow, request.query_params.get("week", "") or this_week()


def _simulated(request: Request) -> bool:
    said = request.query_params.get("simulated", "false")
    if said not in {"true", "false"}:
        raise InvalidError(errors={"simulated": ["true or false."]})
    return said == "true"


class WeeklyReview(PlaneView):
    """``/kpis/weekly-review/``."""

    @extend_schema(operation_id="get_weekly_review", parameters=WHICH, responses={200: WeekSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """One week of a workflow: reasons, what asked, edits by field, waits, failures; each beside the week before."""
        known_params(request, "workflow", "week", "simulated")
        found = week_for(self.actor, *_which(request), simulated=_simulated(request))
        return Response(
            {
                "workflow": found.workflow,
                "week": found.name,
                "tz": found.asked.zone.key,
                "over": found.is_over,
                "simulated": found.simulated,
                "cut": found.review.is_cut,
                "parts": {part.value: [line_json(one) for one in lines] for part, lines in found.review.lines.items()},
            }
        )


class WeeklyReviewBehind(PlaneView):
    """``/kpis/weekly-review/behind/``."""

    @extend_schema(
        operation_id="list_behind_weekly_review",
        parameters=[
            *WHICH,
            OpenApiParameter("part", str, required=True, enum=[part.value for part in Part]),
            OpenApiParameter("key", str, required=True, description="The key of a line."),
        ],
        responses={200: BehindWeekPage, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Exactly the items or runs that a line counts, the newest first."""
        known_params(request, "workflow", "week", "part", "key", "simulated")
        part = request.query_params.get("part", "")
        if part not in list(Part):
            raise InvalidError(errors={"part": [f"One of {', '.join(Part)}."]})
        workflow, week = _which(request)
        key, simulated = request.query_params.get("key", ""), _simulated(request)
        _week, _line, rows = behind_week_for(self.actor, workflow, week, Part(part), key, simulated=simulated)
        return Response({"results": [row_json(row) for row in rows], "next": None})
