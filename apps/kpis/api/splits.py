"""A figure taken apart over the API: the numbers of its page, each with the address of what it counts."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, known_params
from apps.core.schema import PROBLEMS
from apps.kpis.api.kpis import AGENT_VERSION, FILTERS, PARAMS, TotalSerializer, figure_json, seen_in
from apps.kpis.models.clock import database_now
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors import behind_for, definition_for
from apps.kpis.selectors.kpis import lag_s_for
from apps.kpis.selectors.splits import Split, SplitRow, splits_for


class SplitRowSerializer(serializers.Serializer[Any]):
    """One part of a figure."""

    key = serializers.CharField(help_text="What the parameter of this split is set to.")
    name = serializers.CharField(help_text="The same for people.")
    count = serializers.IntegerField(help_text="So many are in the list behind it.")
    behind = serializers.CharField(help_text="The address that lists exactly these.")
    share = serializers.FloatField(required=False, help_text="Of errors: of all that the split counts, 0..1.")
    running_share = serializers.FloatField(
        required=False, help_text="Of steps: with all above it, of all that the split counts, 0..1."
    )
    figure = TotalSerializer(
        required=False, help_text="Of workflows and operations: the figure of this part alone, with its target."
    )


class SplitSerializer(serializers.Serializer[Any]):
    """The figure taken apart by one thing."""

    split = serializers.CharField(help_text="What its table and its file are called.")
    title = serializers.CharField()
    says = serializers.CharField(help_text="What a reader has to know of it.")
    part = serializers.CharField(help_text="The parameter that limits a list to one part.")
    adds_up = serializers.BooleanField(help_text="Each row behind the figure is in exactly one part.")
    rows = SplitRowSerializer(many=True, help_text="All, in the order of the page; of hours those with something.")


class SplitsSerializer(serializers.Serializer[Any]):
    """A figure with the ways in which it is taken apart; none for most."""

    kpi = serializers.CharField()
    formula = serializers.CharField()
    filter = serializers.JSONField()
    tz = serializers.CharField()
    as_of = serializers.DateTimeField()
    lag_s = serializers.FloatField()
    count = serializers.IntegerField(help_text="So many are in the list behind the figure.")
    behind = serializers.CharField(help_text="The address that lists them.")
    splits = SplitSerializer(many=True)


def _behind(request: Request, definition: Definition, asked: KpiFilter) -> str:
    path = reverse("kpis-api:kpi-runs", args=[definition.key])
    return request.build_absolute_uri(f"{path}?{asked.query}")


def _row_json(request: Request, definition: Definition, row: SplitRow) -> dict[str, Any]:
    found: dict[str, Any] = {"key": row.key, "name": row.label, "count": row.count}
    found["behind"] = _behind(request, definition, row.asked)
    found |= {} if row.share is None else {"share": row.share}
    found |= {} if row.running is None else {"running_share": row.running}
    if row.figure is not None:
        found["figure"] = figure_json(row.figure) | ({} if row.target is None else {"target": row.target})
    return found


def _split_json(request: Request, definition: Definition, split: Split) -> dict[str, Any]:
    told = {"split": split.slug, **{name: getattr(split, name) for name in ("title", "says", "part", "adds_up")}}
    return {**told, "rows": [_row_json(request, definition, row) for row in split.rows]}


class KpiSplits(PlaneView):
    """``/kpis/{kpi}/splits/``."""

    @extend_schema(
        operation_id="get_kpi_splits",
        parameters=[*FILTERS, AGENT_VERSION],
        responses={200: SplitsSerializer, **PROBLEMS},
    )
    def get(self, request: Request, kpi: str) -> Response:
        """A figure by workflow, class of error, step, reason, hour of the week or operation, whichever it has."""
        known_params(request, *PARAMS, "agent_version")
        definition = definition_for(self.actor, kpi)
        asked, now = seen_in(self.actor, request.query_params.dict()), database_now()
        splits = splits_for(self.actor, definition, asked)
        rows: QuerySet[Any] = behind_for(self.actor, definition, asked)[0]
        return Response(
            {
                "kpi": definition.key,
                "formula": _(definition.formula),
                "filter": asked.described,
                "tz": asked.zone.key,
                "as_of": now,
                "lag_s": lag_s_for(self.actor, now),
                "count": rows.order_by().count(),
                "behind": _behind(request, definition, asked),
                "splits": [_split_json(request, definition, split) for split in splits],
            }
        )
