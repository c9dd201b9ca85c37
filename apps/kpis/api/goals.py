"""The endpoints of baselines and targets."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.kpis.models import Baseline, Target
from apps.kpis.models.goals import LIVE
from apps.kpis.rules.goals import BaselineState
from apps.kpis.selectors import baseline_for, baselines_for, target_for, targets_for
from apps.kpis.selectors.goals import correction_of, ended_baselines_for, state_of
from apps.kpis.services import (
    approve_baseline,
    decline_baseline,
    delete_target,
    remove_baseline,
    save_baseline,
    save_target,
)
from apps.kpis.services.baselines import PROPOSED


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
    kpi = Text(max_length=40, help_text="A figure of the plane, or the slug of one of your own.")
    value = Number()
    source = Text(max_length=300)  # type: ignore[assignment] # a field of ours, not DRF's attribute
    n = StrictInteger(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)
    period = Text(max_length=80, required=False, allow_blank=True)
    owner = Text(max_length=150, required=False, help_text="Who answers for it; you, or whoever did, unless named.")
    reason = Text(max_length=300, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateField(source="valid_from")}

    def validate_owner(self, username: str) -> User:
        """The person of this name."""
        owner = User.objects.filter(username=username, kind="human", is_active=True).first()
        if owner is None:
            raise serializers.ValidationError("There is no such person.")
        return owner


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
    owner = serializers.CharField(allow_null=True)
    version = serializers.IntegerField()
    entered_by = serializers.CharField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    state = serializers.ChoiceField(
        [state.value for state in BaselineState],
        help_text="`unapproved` counts, and is shown as such, where no approved one applied before.",
    )
    reason = serializers.CharField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Since when it counts no more.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """With ``from``, which is a word of Python."""
        return {**super().get_fields(), "from": serializers.DateField()}


class BaselineDetailSerializer(BaselineSerializer):
    """A baseline, with the correction that waits of it."""

    correction = BaselineSerializer(allow_null=True)


class ApprovalBody(StrictSerializer):
    """Which version was looked at; without it, what waits."""

    version = StrictInteger(min_value=1, max_value=2**31 - 1, required=False)


class BaselinePage(serializers.Serializer[Any]):
    """A page of baselines."""

    results = BaselineSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class TargetBody(StrictSerializer):
    """A KPI as it should be."""

    slug = serializers.SlugField(max_length=120)
    workflow = Text(max_length=63, required=False, allow_blank=True)
    kpi = Text(max_length=40, help_text="A figure of the plane, or the slug of one of your own.")
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


def baseline_json(actor: User, row: Baseline) -> dict[str, Any]:
    """The baseline as ``BaselineSerializer`` describes it."""
    names = ("slug", "workflow", "kpi", "source", "n", "period", "reason", "approved_at", "ended_at")
    named = {name: getattr(row, name) for name in names}
    people = {
        name: person.username if (person := getattr(row, name)) else None
        for name in ("owner", "entered_by", "approved_by")
    }
    value = {"value": float(row.value), "from": row.valid_from, "version": row.number}
    return {**named, **people, **value, "state": state_of(actor, row)}


def baseline_detail(actor: User, slug: str) -> dict[str, Any]:
    """The baseline as ``BaselineDetailSerializer`` describes it."""
    row = baseline_for(actor, slug)
    waits = correction_of(actor, row)
    return {**baseline_json(actor, row), "correction": baseline_json(actor, waits) if waits else None}


def target_json(row: Target) -> dict[str, Any]:
    """The target as ``TargetSerializer`` describes it."""
    named = {name: getattr(row, name) for name in ("slug", "workflow", "kpi", "direction")}
    return {**named, "value": float(row.value), "tolerance": float(row.tolerance)}


class Baselines(PlaneView):
    """``/baselines/``."""

    @extend_schema(operation_id="list_baselines", responses={200: BaselinePage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Baselines, by slug; filters ``workflow`` and ``kpi``."""
        rows = _goals(request, baselines_for(self.actor))
        return page_of(request, rows, partial(baseline_json, self.actor), order=("slug",))

    @extend_schema(
        operation_id="create_baseline", request=BaselineBody, responses={201: BaselineDetailSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """Say how a KPI was before automation."""
        body = self.body(BaselineBody)

        def answer() -> tuple[int, Any]:
            _refuse_known(Baseline.objects.filter(LIVE, slug=body["slug"]).exists())
            save_baseline(self.actor, **body)
            return 201, baseline_detail(self.actor, body["slug"])

        return self.once(answer)


class BaselineDetail(PlaneView):
    """``/baselines/{slug}/``."""

    @extend_schema(operation_id="get_baseline", responses={200: BaselineDetailSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One baseline."""
        return Response(baseline_detail(self.actor, slug))

    @extend_schema(
        operation_id="change_baseline",
        request=BaselineChange,
        responses={200: BaselineDetailSerializer, 202: BaselineDetailSerializer, **PROBLEMS},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Say it anew, whole; one that is approved stays as it is, and its correction waits for somebody else (202)."""
        baseline_for(self.actor, slug)
        body = self.body(BaselineChange)

        def answer() -> tuple[int, Any]:
            _row, said = save_baseline(self.actor, slug=slug, **body)
            return 202 if said == PROPOSED else 200, baseline_detail(self.actor, slug)

        return self.once(answer)

    @extend_schema(operation_id="delete_baseline", responses={202: BaselineDetailSerializer, 204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Remove a baseline that nobody approved; of one that is approved ask somebody else to (202)."""
        if remove_baseline(self.actor, slug=baseline_for(self.actor, slug).slug):
            return Response(status=204)
        return Response(baseline_detail(self.actor, slug), status=202)


class BaselineVersions(PlaneView):
    """``/baselines/{slug}/versions/``."""

    @extend_schema(operation_id="list_baseline_versions", responses={200: BaselinePage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """The versions that were approved and count no more, by version: what figures were held against then."""
        known_params(request)
        rows = ended_baselines_for(self.actor, slug).order_by()
        return page_of(request, rows, partial(baseline_json, self.actor), order=("number",))


class BaselineApproval(PlaneView):
    """``/baselines/{slug}/approve/``."""

    @extend_schema(
        operation_id="approve_baseline", request=ApprovalBody, responses={200: BaselineSerializer, **PROBLEMS}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Approve what waits of it, by somebody else than who entered it: itself, its correction, or its removal."""
        approve = partial(approve_baseline, number=self.body(ApprovalBody).get("version"))
        return self.once(partial(_approved, self.actor, slug, approve))


class BaselineDecline(PlaneView):
    """``/baselines/{slug}/decline/``."""

    @extend_schema(operation_id="decline_baseline", request=None, responses={200: BaselineSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Decline its correction or its removal, or take back one's own."""
        return self.once(partial(_approved, self.actor, slug, decline_baseline))


def _approved(actor: User, slug: str, answer: Callable[..., Baseline]) -> tuple[int, Any]:
    """As the answer left it: removed ones too."""
    row = answer(actor, slug=baseline_for(actor, slug).slug)
    return 200, baseline_json(actor, row)


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
        delete_target(self.actor, target=target_for(self.actor, slug))
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
