"""Two versions of a workflow or of an agent held against each other."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params
from apps.core.schema import PROBLEMS
from apps.kpis.api.kpis import FILTERS, PARAMS, TotalSerializer, asked_in, figure_json
from apps.kpis.rules.comparing import Difference
from apps.kpis.rules.comparisons import Finding, Outcome
from apps.kpis.selectors.comparing import Comparison, Part, against_in
from apps.kpis.selectors.versions import agent_comparison_for, comparison_for

AGAINST = OpenApiParameter("against", int, description="The older version; by default the one before.")


class FigureDifferenceSerializer(serializers.Serializer[Any]):
    """What the newer version has more, on the same mix of units; seconds, or a share from -1 to 1."""

    value = serializers.FloatField()
    low = serializers.FloatField(help_text="Of the 95 % interval.")
    high = serializers.FloatField()
    p = serializers.FloatField(help_text="How likely chance alone is as far off.")
    needed = serializers.IntegerField(help_text="About how many of each version would show a change worth knowing.")


class ComparedOfVersionsSerializer(serializers.Serializer[Any]):
    """How many of each version the difference is of."""

    now = serializers.IntegerField()
    was = serializers.IntegerField()


class FigureOfVersionsSerializer(serializers.Serializer[Any]):
    """One figure of both versions."""

    outcome = serializers.ChoiceField([one.value for one in Outcome])
    now = TotalSerializer()
    was = TotalSerializer()
    compared = ComparedOfVersionsSerializer()
    difference = FigureDifferenceSerializer(allow_null=True)
    p_adjusted = serializers.FloatField(allow_null=True, help_text="For all figures at once; null where too few.")


class UnitMixSerializer(serializers.Serializer[Any]):
    """Finished runs of one unit."""

    unit = serializers.CharField()
    now = serializers.IntegerField()
    was = serializers.IntegerField()
    compared = serializers.BooleanField(help_text="Both versions ran there.")


class VersionsComparedSerializer(serializers.Serializer[Any]):
    """``version`` held against ``against``."""

    filter = serializers.JSONField()
    tz = serializers.CharField()
    as_of = serializers.DateTimeField()
    version = serializers.IntegerField()
    against = serializers.IntegerField()
    figures = serializers.DictField(child=FigureOfVersionsSerializer())
    mix = UnitMixSerializer(many=True)
    mix_moved = serializers.FloatField(allow_null=True, help_text="Share of runs in other units than before, 0..1.")
    left_out = serializers.IntegerField(help_text="Finished runs of units in which only one of the versions ran.")


class OperationMixSerializer(UnitMixSerializer):
    """Actions of one operation in one unit."""

    operation = serializers.CharField()


class TaskMixSerializer(UnitMixSerializer):
    """Tasks of one capability in one workflow and unit, as often as the agent took them."""

    workflow = serializers.CharField()
    capability = serializers.CharField()


class TasksComparedSerializer(serializers.Serializer[Any]):
    """What the figures of tasks are compared on."""

    mix = TaskMixSerializer(many=True)
    mix_moved = serializers.FloatField(allow_null=True, help_text="Share of tasks of other workflows and so on, 0..1.")
    left_out = serializers.IntegerField(help_text="Tasks of what only one of the versions did.")


class AgentVersionsComparedSerializer(VersionsComparedSerializer):
    """``version`` of an agent held against ``against``; ``mix`` and what follows it are of actions."""

    mix = OperationMixSerializer(many=True)
    mix_moved = serializers.FloatField(allow_null=True, help_text="Share of actions of other operations, units; 0..1.")
    left_out = serializers.IntegerField(help_text="Actions of operations, units that only one of the versions had.")
    tasks = TasksComparedSerializer()


def finding_json(finding: Finding) -> dict[str, Any]:
    """One figure as ``FigureOfVersionsSerializer`` describes it."""
    return {
        "outcome": str(finding.outcome),
        "now": figure_json(finding.pair.now),
        "was": figure_json(finding.pair.was),
        "compared": dict(zip(("now", "was"), finding.pair.compared, strict=True)),
        "difference": _difference(finding.pair.difference),
        "p_adjusted": finding.chance,
    }


def _difference(found: Difference | None) -> dict[str, Any] | None:
    names = ("value", "low", "high", "p", "needed")
    return None if found is None else {name: getattr(found, name) for name in names}


def comparison_json(found: Comparison) -> dict[str, Any]:
    """The comparison as ``VersionsComparedSerializer`` describes it, and what the parts beyond its first did."""
    first, *others = found.parts
    return {
        "filter": found.asked.described,
        "tz": found.asked.zone.key,
        "as_of": found.as_of,
        "version": found.now,
        "against": found.was,
        "figures": {line.key: finding_json(line.finding) for line in found.lines},
        **_part(first),
        **{one.counted: _part(one) for one in others},
    }


def _part(found: Part) -> dict[str, Any]:
    return {
        "mix": [{**one.words, "now": one.now_n, "was": one.was_n, "compared": one.counts} for one in found.mix],
        "mix_moved": found.moved,
        "left_out": found.left_out,
    }


class KpiVersions(PlaneView):
    """``/kpis/versions/``."""

    @extend_schema(
        operation_id="compare_versions",
        parameters=[*FILTERS, AGAINST],
        responses={200: VersionsComparedSerializer, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Two versions of a workflow in one period; without numbers the two newest of which runs ended in it."""
        known_params(request, *PARAMS, "against")
        query = request.query_params.dict()
        asked = asked_in(query)
        found = comparison_for(self.actor, asked, now=asked.version, was=against_in(query))
        return Response(comparison_json(found))


class KpiAgentVersions(PlaneView):
    """``/kpis/agent-versions/``."""

    @extend_schema(
        operation_id="compare_agent_versions",
        parameters=[*FILTERS, AGAINST],
        responses={200: AgentVersionsComparedSerializer, **PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Two versions of an agent in one period; without numbers the newest of which actions or tasks ended in it."""
        known_params(request, *PARAMS, "against")
        query = request.query_params.dict()
        asked = asked_in(query)
        found = agent_comparison_for(self.actor, asked, now=asked.version, was=against_in(query))
        return Response(comparison_json(found))
