"""The doors of runs: start, look, wait, intervene."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import (
    AnyJson,
    ErasedMark,
    PlaneView,
    StrictBoolean,
    StrictSerializer,
    Text,
    known_params,
    page_of,
    wait_params,
)
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS, WAIT
from apps.workflows.models import Run
from apps.workflows.models.definitions import number_of_version
from apps.workflows.rules.states import Kind, RunState, StepState, TakenBack
from apps.workflows.selectors import run_for, runs_for
from apps.workflows.selectors.reading import StepShown, steps_of
from apps.workflows.selectors.veils import veil_over, veiled_steps
from apps.workflows.selectors.waiting import waiting_for
from apps.workflows.services import cancel_run, pause_run, resume_run, start_run


class StartSerializer(StrictSerializer):
    """What starts a run."""

    workflow = Text(max_length=63)
    input = AnyJson()
    key = Text(max_length=200, required=False, allow_null=True)
    business_unit = Text(max_length=63, required=False, allow_null=True)
    on_behalf_of = Text(max_length=150, required=False, allow_null=True)


class ReasonSerializer(StrictSerializer):
    """Why."""

    reason = Text(max_length=2000)


class CancelSerializer(ReasonSerializer):
    """Why, and whether what was done is taken back."""

    compensate = StrictBoolean(required=False)


class ResumeSerializer(StrictSerializer):
    """Why, if there is something to say."""

    reason = Text(max_length=2000, required=False, allow_blank=True)


class StepSerializer(serializers.Serializer[Any]):
    """One round of one step."""

    name = serializers.CharField()
    round = serializers.IntegerField()
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    state = serializers.ChoiceField([state.value for state in StepState])
    current = serializers.BooleanField()
    outcome = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    agent = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    error = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    taken_back = serializers.ChoiceField([much.value for much in TakenBack], allow_null=True)
    waiting_for = serializers.ListField(child=serializers.JSONField())


class RunLine(serializers.Serializer[Any]):
    """A run in a list."""

    id = serializers.UUIDField()
    workflow = serializers.CharField()
    unit = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in RunState])
    final = serializers.BooleanField()
    outcome = serializers.CharField(allow_null=True)
    key = serializers.CharField(allow_null=True)
    started_by = serializers.CharField()
    on_behalf_of = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)
    overdue = serializers.BooleanField()


class RunSerializer(RunLine):
    """A run, whole."""

    version = serializers.IntegerField()
    steps = StepSerializer(many=True)
    waiting_for = serializers.ListField(child=serializers.JSONField())
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    cost = serializers.JSONField(allow_null=True)
    erased = ErasedMark(allow_null=True)


class RunPage(serializers.Serializer[Any]):
    """A page of runs."""

    results = RunLine(many=True)
    next = serializers.CharField(allow_null=True)


def line_json(run: Run) -> dict[str, Any]:
    """The run as ``RunLine`` describes it."""
    return {
        "id": run.pk,
        "workflow": run.workflow.slug,
        "unit": run.unit.slug,
        "state": run.state,
        "final": run.is_over,
        "outcome": run.outcome or None,
        "key": run.key,
        "started_by": run.started_by.username,
        "on_behalf_of": run.on_behalf_of.username if run.on_behalf_of else None,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "due_at": run.due_at,
        "overdue": run.overdue_at is not None,
    }


def run_json(actor: User, run_id: UUID) -> dict[str, Any]:
    """The run as ``RunSerializer`` describes it. Raises NotFoundError."""
    run = run_for(actor, run_id)
    waits = waiting_for(actor, run)
    steps = steps_of(actor, run, waits)
    veil = veil_over(actor, run, steps)
    return {
        **line_json(run),
        "version": number_of_version(run.version_id),
        "steps": [step_json(step) for step in veiled_steps(veil, steps)],
        "waiting_for": [waiting.as_json() for waiting in waits],
        "input": veil.over(run.input),
        "output": veil.over(run.output),
        "error": veil.over(run.error),
        "cost": _cost(actor, run),
        "erased": run.erased,
    }


def _cost(actor: User, run: Run) -> Any:
    """What the run cost so far, from the floor that knows prices; null without it."""
    path = getattr(settings, "RUN_COSTS", "")
    return import_string(path)(actor, run.pk) if path else None


def step_json(step: StepShown) -> dict[str, Any]:
    """The step as ``StepSerializer`` describes it."""
    names = (
        "name", "round", "kind", "state", "current", "outcome", "started_at", "finished_at", "agent", "attempts",
        "error", "output", "taken_back",
    )  # fmt: skip
    found = {name: getattr(step, name) for name in names}
    return {**found, "waiting_for": [waiting.as_json() for waiting in step.waiting_for]}


class Runs(PlaneView):
    """``/runs/``."""

    for_agents = True

    @extend_schema(
        operation_id="start_a_run",
        request=StartSerializer,
        responses={201: RunSerializer, **PROBLEMS},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Start a run; an open run of the same workflow with the same key is 409 ``duplicate_key`` with its id."""
        body = self.body(StartSerializer)

        def answer() -> tuple[int, Any]:
            run = start_run(self.actor, **body)
            return 201, run_json(self.actor, run.pk)

        return self.once(answer, required=True)

    @extend_schema(
        operation_id="list_runs",
        responses={200: RunPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("workflow", "state", "key", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Runs, newest first."""
        known_params(request, "workflow", "state", "key")
        rows = runs_for(self.actor)
        for name, path in (("workflow", "workflow__slug"), ("state", "state"), ("key", "key")):
            if value := request.query_params.get(name):
                if name == "state" and value not in list(RunState):
                    raise InvalidError(errors={"state": [f"One of {', '.join(RunState)}."]})
                rows = rows.filter(**{path: value})
        return page_of(request, rows, line_json)


class RunDetail(PlaneView):
    """``/runs/{id}/``."""

    @extend_schema(operation_id="get_run", responses={200: RunSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, run_id: UUID) -> Response:
        """One run; with ``wait`` the answer is held while its state stays."""
        wait_params(request)
        return Response(run_json(self.actor, run_id))


class RunCancel(PlaneView):
    """``/runs/{id}/cancel/``."""

    for_agents = True

    @extend_schema(operation_id="cancel_run", request=CancelSerializer, responses={200: RunSerializer, **PROBLEMS})
    def post(self, request: Request, run_id: UUID) -> Response:
        """End a run; what was done is taken back unless ``compensate`` is false."""
        run_for(self.actor, run_id)
        body = self.body(CancelSerializer)

        def answer() -> tuple[int, Any]:
            run = cancel_run(self.actor, run_id=run_id, **body)
            return 200, run_json(self.actor, run.pk)

        return self.once(answer)


class RunPause(PlaneView):
    """``/runs/{id}/pause/``."""

    for_agents = True

    @extend_schema(operation_id="pause_run", request=ReasonSerializer, responses={200: RunSerializer, **PROBLEMS})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a run rest."""
        run_for(self.actor, run_id)
        reason = self.body(ReasonSerializer)["reason"]

        def answer() -> tuple[int, Any]:
            run = pause_run(self.actor, run_id=run_id, reason=reason)
            return 200, run_json(self.actor, run.pk)

        return self.once(answer)


class RunResume(PlaneView):
    """``/runs/{id}/resume/``."""

    for_agents = True

    @extend_schema(operation_id="resume_run", request=ResumeSerializer, responses={200: RunSerializer, **PROBLEMS})
    def post(self, request: Request, run_id: UUID) -> Response:
        """Let a paused run go on."""
        run_for(self.actor, run_id)
        reason = self.body(ResumeSerializer).get("reason", "")

        def answer() -> tuple[int, Any]:
            run = resume_run(self.actor, run_id=run_id, reason=reason)
            return 200, run_json(self.actor, run.pk)

        return self.once(answer)
