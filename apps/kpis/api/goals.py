"""The endpoints of baselines and targets."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import ConflictError
from apps.core.schema import PROBLEMS
from apps.kpis.models import Baseline, Target
from apps.kpis.rules import DEFINITIONS
from apps.kpis.selectors import baseline_for, baselines_for, target_for, targets_for
from apps.kpis.services import delete_goal, save_baseline, save_target


class Number(serializers.FloatField):
    """A number, not text that looks like one, nor true."""

    def to_internal_value(self, data: Any) -> float:
        """The number."""
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class BaselineBody(StrictSerializer):
    """A KPI before automation; ``value`` in the KPI's own unit, counts and sums per day."""

    slug = serializers.SlugField(max_length=120)
    workflow = Text(max_length=63, required=False, allow_blank=True)
    kpi = serializers.ChoiceField(sorted(DEFINITIONS))
    value = Number()
    source = Text(max_length=300)  # type: ignore[assignment] # a field of ours, not DRF's attribute
    n = StrictInteger(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    period = Text(max_length=80, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateField(source="valid_from")}


class BaselineChange(BaselineBody):
    """The whole of it but for the slug, which the address names."""

    slug = None  # type: ignore[assignment] # the address names it


class BaselineSerializer(serializers.Serializer[Any]):
    """A baseline."""

    slug = serializers.CharField()
    workflow = serializers.CharField()
    kpi = serializers.CharField()
    value = serializers.FloatField()
    source = serializers.CharField()  # type: ignore[assignment] # as above
    n = serializers.IntegerField(allow_null=True)
    period = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateField()}


class BaselinePage(serializers.Serializer[Any]):
    """A page of baselines."""

    results = BaselineSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class TargetBody(StrictSerializer):
    """A KPI as it should be."""

    slug = serializers.SlugField(max_length=120)
    workflow = Text(max_length=63, required=False, allow_blank=True)
    kpi = serializers.ChoiceField(sorted(DEFINITIONS))
    value = Number()
    direction = serializers.ChoiceField(["up", "down"], required=False)
    tolerance = Number(required=False, min_value=0)


class TargetChange(TargetBody):
    """The whole of it but for the slug, which the address names."""

    slug = None  # type: ignore[assignment] # the address names it


class TargetSerializer(serializers.Serializer[Any]):
    """A target."""

    slug = serializers.CharField()
    workflow = serializers.CharField()
    kpi = serializers.CharField()
    value = serializers.FloatField()
    direction = serializers.CharField()
    tolerance = serializers.FloatField()


class TargetPage(serializers.Serializer[Any]):
    """A page of targets."""

    results = TargetSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def baseline_json(row: Baseline) -> dict[str, Any]:
    """The baseline as ``BaselineSerializer`` describes it."""
    named = {name: getattr(row, name) for name in ("slug", "workflow", "kpi", "source", "n", "period")}
    return {**named, "value": float(row.value), "from": row.valid_from}


def target_json(row: Target) -> dict[str, Any]:
    """The target as ``TargetSerializer`` describes it."""
    named = {name: getattr(row, name) for name in ("slug", "workflow", "kpi", "direction")}
    return {**named, "value": float(row.value), "tolerance": float(row.tolerance)}


class Baselines(PlaneView):
    """``/baselines/``."""

    @extend_schema(operation_id="list_baselines", responses={200: BaselinePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Baselines, by slug; filters ``workflow`` and ``kpi``."""
        return page_of(request, _goals(request, baselines_for(self.actor)), baseline_json, order=("slug",))

    @extend_schema(
        operation_id="create_baseline", request=BaselineBody, responses={201: BaselineSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Say how a KPI was before automation."""
        body = self.body(BaselineBody)

        def answer() -> tuple[int, Any]:
            _refuse_known(Baseline.objects.filter(slug=body["slug"]).exists())
            row, _said = save_baseline(self.actor, **body)
            return 201, baseline_json(row)

        return self.once(answer)


class BaselineDetail(PlaneView):
    """``/baselines/{slug}/``."""

    @extend_schema(operation_id="get_baseline", responses={200: BaselineSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One baseline."""
        return Response(baseline_json(baseline_for(self.actor, slug)))

    @extend_schema(
        operation_id="change_baseline", request=BaselineChange, responses={200: BaselineSerializer, **PROBLEMS}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Say it anew, whole; the ledger keeps what it said before."""
        baseline_for(self.actor, slug)
        body = self.body(BaselineChange)

        def answer() -> tuple[int, Any]:
            row, _said = save_baseline(self.actor, slug=slug, **body)
            return 200, baseline_json(row)

        return self.once(answer)

    @extend_schema(operation_id="delete_baseline", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a baseline; the ledger keeps what it said."""
        delete_goal(self.actor, goal=baseline_for(self.actor, slug))
        return Response(status=204)


class Targets(PlaneView):
    """``/targets/``."""

    @extend_schema(operation_id="list_targets", responses={200: TargetPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Targets, by slug; filters ``workflow`` and ``kpi``."""
        return page_of(request, _goals(request, targets_for(self.actor)), target_json, order=("slug",))

    @extend_schema(operation_id="create_target", request=TargetBody, responses={201: TargetSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Say how a KPI should be."""
        body = self.body(TargetBody)

        def answer() -> tuple[int, Any]:
            _refuse_known(Target.objects.filter(slug=body["slug"]).exists())
            row, _said = save_target(self.actor, **body)
            return 201, target_json(row)

        return self.once(answer)


class TargetDetail(PlaneView):
    """``/targets/{slug}/``."""

    @extend_schema(operation_id="get_target", responses={200: TargetSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One target."""
        return Response(target_json(target_for(self.actor, slug)))

    @extend_schema(operation_id="change_target", request=TargetChange, responses={200: TargetSerializer, **PROBLEMS})
    def put(self, request: Request, slug: str) -> Response:
        """Say it anew, whole; the ledger keeps what it said before."""
        target_for(self.actor, slug)
        body = self.body(TargetChange)

        def answer() -> tuple[int, Any]:
            row, _said = save_target(self.actor, slug=slug, **body)
            return 200, target_json(row)

        return self.once(answer)

    @extend_schema(operation_id="delete_target", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a target; the ledger keeps what it said."""
        delete_goal(self.actor, goal=target_for(self.actor, slug))
        return Response(status=204)


def _goals[G: (Baseline, Target)](request: Request, rows: QuerySet[G]) -> QuerySet[G]:
    known_params(request, "workflow", "kpi")
    for name in ("workflow", "kpi"):
        if (value := request.query_params.get(name)) is not None:
            rows = rows.filter(**{name: value})
    return rows


def _refuse_known(known: bool) -> None:
    if known:
        raise ConflictError("There is one with this slug already.")
