"""The endpoints that answer."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules import DEFINITIONS, LIVE, BucketSize, Figure, Unit
from apps.kpis.rules.definitions import RELEASES, UPTIME
from apps.kpis.rules.filters import PARTS, Compare, FilterProblem, KpiFilter, filter_of
from apps.kpis.selectors import Answer, Live, Point, Total, behind_for, definition_for, kpis_for, live_for
from apps.kpis.selectors.business import OwnTotal, own_for
from apps.kpis.selectors.courses import Course, courses_for
from apps.kpis.selectors.goals import TIME_KPI
from apps.kpis.selectors.names import require_names
from apps.kpis.selectors.releases import release_figures_for
from apps.kpis.selectors.rows_told import row_told
from apps.kpis.selectors.uptime import Uptime, uptime_for

PARAMS = ("workflow", "unit", "agent", "version", "from", "to", "tz", "bucket", "compare", "simulated", "range")
FILTERS = [
    OpenApiParameter("workflow", str, description="A workflow's slug."),
    OpenApiParameter("unit", str, description="A unit's slug; the units below it are included."),
    OpenApiParameter("agent", str, description="An agent's slug: runs in which it took part."),
    OpenApiParameter("version", int, description="A workflow version's number."),
    OpenApiParameter("from", str, description="Included: a date (local midnight) or an instant. Default: 30 days."),
    OpenApiParameter("to", str, description="Not included: a date or an instant."),
    OpenApiParameter("tz", str, description="The zone of days, weeks and months; the reporting zone by default."),
    OpenApiParameter("bucket", str, enum=[size.value for size in BucketSize], description="How wide a point is."),
    OpenApiParameter("compare", str, enum=[one.value for one in Compare], description="What totals are held against."),
    OpenApiParameter("simulated", bool, description="Whether simulated history counts; false unless asked."),
    OpenApiParameter("range", str, description="24h, 7d, 30d, 12w or quarter, instead of from and to."),
]
AGENT_VERSION = OpenApiParameter("agent_version", int, description="The agent's version, for figures of actions.")


class FigureCoverageSerializer(serializers.Serializer[Any]):
    """For how much of everything a figure speaks."""

    counted = serializers.IntegerField()
    of = serializers.IntegerField()


OPERATION = OpenApiParameter("operation", str, description="An operation's slug, for figures of actions.")
PARTS_ASKED = [
    OpenApiParameter("error", str, description="A class of error, of `error_rate` and `failed`; as `splits` names it."),
    OpenApiParameter("step", str, description="A step that failed, of `error_rate` and `failed`."),
    OpenApiParameter(
        "reason", str, description="What sent runs to people, of `escalation_rate`; as `splits` names it."
    ),
    OpenApiParameter(
        "hour",
        str,
        description="When people were asked, of `escalation_rate`: 1-09 is Monday from nine by the clocks of `tz`.",
    ),
    OPERATION,
    OpenApiParameter(
        "capability", str, description="That of the tasks in which actions were asked for; ~none: in none."
    ),
]
"""One part of a figure, one at a time."""


class TotalSerializer(serializers.Serializer[Any]):
    """One KPI of the whole period; null where there is nothing to divide by."""

    value = serializers.FloatField(allow_null=True)
    reason = serializers.CharField(required=False, help_text="Why there is no value, where it is null.")
    unit = serializers.CharField()
    currency = serializers.CharField(required=False)
    n = serializers.IntegerField()
    numerator = serializers.FloatField(required=False)
    denominator = serializers.FloatField(required=False)
    low = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    baseline = serializers.FloatField(required=False, help_text="Counts and sums: per day.")
    baseline_approved = serializers.BooleanField(
        required=False, help_text="Whether somebody else approved what was entered; of savings, all that may be in it."
    )
    target = serializers.FloatField(required=False, help_text="Counts and sums: per day.")
    status = serializers.CharField(required=False)
    previous = serializers.FloatField(required=False, allow_null=True)
    coverage = FigureCoverageSerializer(required=False, help_text="Where not all that there is can be counted.")


class LiveSerializer(serializers.Serializer[Any]):
    """The figures of one moment."""

    as_of = serializers.DateTimeField()
    figures = serializers.DictField(child=TotalSerializer())
    definitions = serializers.DictField(child=serializers.CharField())


class UptimeSerializer(TotalSerializer):
    """How much of the time something could be relied on; of systems, calls instead of minutes."""

    up = serializers.IntegerField()
    down = serializers.IntegerField()
    unobserved = serializers.IntegerField(help_text="Minutes at which the plane did not look; in no share.")


class OwnSerializer(TotalSerializer):
    """A KPI that people defined, over the period."""

    name = serializers.CharField()
    workflow = serializers.CharField()
    suffix = serializers.CharField(help_text="The word behind the number.")
    faults = serializers.IntegerField(help_text="Runs whose value could not be made; in no n.")
    without = serializers.IntegerField(help_text="Runs that have none to give; in no n.")
    missing = serializers.IntegerField(help_text="Succeeded runs not gone through by the definition of now; in no n.")


class KpisSerializer(serializers.Serializer[Any]):
    """The answer to a question about KPIs."""

    filter = serializers.JSONField()
    tz = serializers.CharField()
    as_of = serializers.DateTimeField()
    lag_s = serializers.FloatField()
    totals = serializers.DictField(child=TotalSerializer())
    series = serializers.ListField(child=serializers.JSONField())
    live = LiveSerializer(help_text="What is open now: no period limits it.")
    uptime = serializers.DictField(child=UptimeSerializer(), help_text="Of the period; no version limits it.")
    releases = serializers.DictField(child=TotalSerializer(), help_text="How versions came into force in the period.")
    own = serializers.DictField(child=OwnSerializer(), help_text="Of the workflow that is asked for, else of all.")
    definitions = serializers.DictField(child=serializers.CharField())


class BehindSerializer(serializers.Serializer[Any]):
    """A run behind a number; for all else, the decision, cost, action or incident that counts."""

    run = serializers.UUIDField(allow_null=True)
    workflow = serializers.CharField()
    version = serializers.IntegerField(required=False)
    key = serializers.CharField(required=False)
    state = serializers.CharField(required=False)
    outcome = serializers.CharField(required=False)
    started_at = serializers.DateTimeField(required=False)
    finished_at = serializers.DateTimeField(required=False, allow_null=True)
    cycle_time_s = serializers.FloatField(required=False, allow_null=True)
    cost_minor = serializers.FloatField(required=False)
    touches = serializers.IntegerField(required=False)
    escalation = serializers.UUIDField(required=False)
    kind = serializers.CharField(required=False)
    requested_at = serializers.DateTimeField(required=False)
    decided_at = serializers.DateTimeField(required=False)
    latency_s = serializers.FloatField(required=False)
    open_s = serializers.FloatField(required=False, allow_null=True, help_text="Of it, open hours of its calendar.")
    edited = serializers.BooleanField(required=False)
    amount_minor = serializers.FloatField(required=False, allow_null=True)
    currency = serializers.CharField(required=False)
    incurred_at = serializers.DateTimeField(required=False)
    priced_by = serializers.CharField(required=False)
    is_estimated = serializers.BooleanField(required=False, help_text="Of people's time: nothing recorded how long.")
    action = serializers.UUIDField(required=False, allow_null=True)
    agent = serializers.CharField(required=False)
    operation = serializers.CharField(required=False)
    ended_at = serializers.DateTimeField(required=False, allow_null=True)
    decided = serializers.BooleanField(required=False, allow_null=True, help_text="Approved as it was asked.")
    reviewed = serializers.BooleanField(required=False, allow_null=True, help_text="Found right afterwards.")
    read_back = serializers.BooleanField(required=False, allow_null=True, help_text="The system shows what was done.")
    taken_back = serializers.BooleanField(required=False)
    alone = serializers.BooleanField(required=False, help_text="Done, and nobody had been asked.")
    about = serializers.CharField(required=False)
    began_at = serializers.DateTimeField(required=False)
    took_s = serializers.FloatField(required=False, allow_null=True)
    value = serializers.FloatField(required=False, allow_null=True)
    fault = serializers.CharField(required=False)
    calls = serializers.IntegerField(required=False)
    in_trouble = serializers.IntegerField(required=False)
    simulated = serializers.BooleanField()


class BehindPage(serializers.Serializer[Any]):
    """A page of what is behind a number."""

    results = BehindSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def asked_in(query: Mapping[str, str]) -> KpiFilter:
    """The filter of a query string. Raises InvalidError with the parameter that does not fit."""
    try:
        return filter_of(query, now=database_now(), zone=reporting_zone())
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem


def seen_in(actor: User, query: Mapping[str, str]) -> KpiFilter:
    """The same, of what ``actor`` sees. Raises InvalidError also for a name that names nothing of it."""
    asked = asked_in(query)
    require_names(actor, asked)
    return asked


def figure_json(figure: Figure) -> dict[str, Any]:
    """A figure alone: value, unit, sample and what it is made of."""
    found: dict[str, Any] = {"value": figure.value, "unit": str(figure.definition.unit), "n": figure.n}
    if figure.value is None:
        found["reason"] = _(figure.why_none)
    if figure.definition.unit == Unit.MINOR:
        found["currency"] = figure.currency
    for name in ("numerator", "denominator", "low", "high"):
        if (value := getattr(figure, name)) is not None:
            found[name] = value
    return found


def total_json(total: Total) -> dict[str, Any]:
    """The total as ``TotalSerializer`` describes it."""
    found = figure_json(total.figure)
    if total.baseline is not None:
        found |= {"baseline": round(total.baseline.value, 4), "baseline_approved": total.baseline.approved}
    if total.target is not None:
        found |= {"target": total.target.value, "status": str(total.status)}
    if total.previous is not None:
        found["previous"] = total.previous.value
    if total.coverage is not None:
        found["coverage"] = {"counted": total.coverage.counted, "of": total.coverage.whole}
    return found


def totals_json(answer: Answer) -> dict[str, Any]:
    """Every total; savings say whether all that they are counted against was approved."""
    found = {key: total_json(total) for key, total in answer.totals.items()}
    if found["savings_minor"]["value"] is not None:
        found["savings_minor"]["baseline_approved"] = answer.goals.are_costs_approved(answer.asked.workflow)
    if found["time_saved_s"]["value"] is not None:
        found["time_saved_s"]["baseline_approved"] = answer.goals.are_costs_approved(answer.asked.workflow, TIME_KPI)
    return found


def point_json(point: Point, own: Mapping[str, Figure]) -> dict[str, Any]:
    """One bucket with every KPI; ``own``: those of one's own, by the names that files have for them."""
    ends = {"bucket": point.bucket.label, "start": point.bucket.start, "end": point.bucket.end}
    return {**ends, "partial": point.partial, **{key: one.value for key, one in {**point.figures, **own}.items()}}


def own_json(one: OwnTotal) -> dict[str, Any]:
    """The total as ``OwnSerializer`` describes it."""
    found = total_json(one.total)
    said = {"name": one.definition.label, "workflow": one.workflow, "suffix": one.definition.suffix}
    return {**found, **said, "faults": one.faults, "without": one.without, "missing": one.missing}


def uptime_json(one: Uptime) -> dict[str, Any]:
    """The figure as ``UptimeSerializer`` describes it."""
    return {**figure_json(one.figure), "up": one.up, "down": one.down, "unobserved": one.unobserved}


def answer_json(
    answer: Answer,
    live: Live,
    own: list[OwnTotal],
    courses: list[Course],
    uptime: list[Uptime],
    releases: Mapping[str, Figure],
) -> dict[str, Any]:
    """The answer as ``KpisSerializer`` describes it."""
    drawn = [{one.column: one.figures[at] for one in courses} for at in range(len(answer.series))]
    return {
        "filter": answer.asked.described,
        "tz": answer.asked.zone.key,
        "as_of": answer.as_of,
        "lag_s": answer.lag_s,
        "totals": totals_json(answer),
        "series": [point_json(point, figures) for point, figures in zip(answer.series, drawn, strict=True)],
        "live": {
            "as_of": live.as_of,
            "figures": {key: figure_json(one) for key, one in live.figures.items()},
            "definitions": {key: _(one.formula) for key, one in LIVE.items()},
        },
        "uptime": {one.key: uptime_json(one) for one in uptime},
        "releases": {key: figure_json(one) for key, one in releases.items()},
        "own": {one.definition.key: own_json(one) for one in own},
        "definitions": {
            **{key: _(one.formula) for key, one in DEFINITIONS.items()},
            **{key: _(one.formula) for key, one in {**UPTIME, **RELEASES}.items()},
            **{one.definition.key: _(one.definition.formula) for one in own},
        },
    }


class Kpis(PlaneView):
    """``/kpis/``."""

    @extend_schema(operation_id="get_kpis", parameters=FILTERS, responses={200: KpisSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Totals and series of every KPI, with definitions, as-of and lag."""
        known_params(request, *PARAMS)
        asked = seen_in(self.actor, request.query_params.dict())
        answer = kpis_for(self.actor, asked)
        courses = courses_for(self.actor, answer)
        own = [one.own for one in courses] if asked.workflow else own_for(self.actor, asked)
        uptime = uptime_for(self.actor, asked)
        releases = release_figures_for(self.actor, asked)
        return Response(answer_json(answer, live_for(self.actor, asked), own, courses, uptime, releases))


class KpiRuns(PlaneView):
    """``/kpis/{kpi}/runs/``."""

    @extend_schema(
        operation_id="list_kpi_runs",
        parameters=[*FILTERS, AGENT_VERSION, *PARTS_ASKED],
        responses={200: BehindPage, **PROBLEMS},
    )
    def get(self, request: Request, kpi: str) -> Response:
        """The runs, decisions or costs behind a number, or behind one part of it, the most telling first."""
        known_params(request, *PARAMS, "agent_version", *PARTS)
        definition = definition_for(self.actor, kpi)
        rows, order = behind_for(self.actor, definition, seen_in(self.actor, request.query_params.dict()))
        return page_of(request, rows, row_told, order=order)
