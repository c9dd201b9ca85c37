"""The doors of the router: agents claim tasks, keep them alive, and say what came of them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules.traces import baggage_of, traceparent_of
from apps.core.api import (
    AnyJson,
    JsonObject,
    PlaneView,
    StrictBoolean,
    StrictInteger,
    StrictSerializer,
    Text,
    wait_params,
)
from apps.core.schema import PROBLEMS
from apps.workflows.models import Run, Task
from apps.workflows.selectors.tasks import TaskShown, task_for, tasks_shown
from apps.workflows.services import (
    ask_about_task,
    claim_tasks,
    complete_task,
    fail_task,
    heartbeat_task,
    release_task,
)

MAX_WAIT_S = 30
MAX_CLAIM = 20
WORDS_MAX = 20_000


class ClaimSerializer(StrictSerializer):
    """How many tasks, of which capabilities (all of the agent's, if none are named), and how long to wait for one."""

    limit = StrictInteger(min_value=1, max_value=MAX_CLAIM, required=False)
    wait = StrictInteger(min_value=0, max_value=MAX_WAIT_S, required=False)
    capabilities = serializers.ListField(child=Text(max_length=63), max_length=100, required=False)


class LeaseSerializer(StrictSerializer):
    """The lease's token."""

    lease = Text(max_length=64)


class CompleteSerializer(LeaseSerializer):
    """The output, and the agent's words about it."""

    output = AnyJson()
    reasoning = Text(max_length=WORDS_MAX, required=False, allow_blank=True)
    confidence = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    sources = serializers.ListField(child=JsonObject(), max_length=50, required=False)

    def validate_confidence(self, value: Any) -> Any:
        """A number, not text that looks like one."""
        if isinstance(self.initial_data.get("confidence"), bool | str):
            raise serializers.ValidationError("A number from 0 to 1.")
        return value


class ErrorSerializer(StrictSerializer):
    """What went wrong."""

    code = Text(max_length=80)
    message = Text(max_length=1000, allow_blank=True)


class FailSerializer(LeaseSerializer):
    """What went wrong, and whether another try makes sense."""

    error = ErrorSerializer()
    retryable = StrictBoolean()


class QuestionSerializer(LeaseSerializer):
    """A question to people; ``schema`` or ``options`` say what an answer may be."""

    question = Text(max_length=4000)
    schema = JsonObject(required=False, allow_null=True)
    options = serializers.ListField(child=AnyJson(), max_length=50, required=False)


class LeaseShown(serializers.Serializer[Any]):
    """The token that proves who holds the task, and until when."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TaskSerializer(serializers.Serializer[Any]):
    """A task under a lease."""

    id = serializers.UUIDField()
    lease = LeaseShown()
    run = serializers.UUIDField()
    workflow = serializers.CharField()
    step = serializers.CharField()
    round = serializers.IntegerField()
    item = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    capability = serializers.CharField()
    instructions = serializers.CharField()
    input = serializers.JSONField(allow_null=True)
    output_schema = serializers.JSONField(allow_null=True)
    context = serializers.JSONField()  # type: ignore[assignment] # the interface's word
    idempotency_key = serializers.CharField()
    due_at = serializers.DateTimeField(allow_null=True)
    traceparent = serializers.CharField(help_text="W3C Trace Context: continue it, and your spans are the task's.")
    baggage = serializers.CharField(help_text="W3C Baggage: `acp.run.id` and `acp.step.id`.")


class ClaimedSerializer(serializers.Serializer[Any]):
    """The tasks that were taken."""

    tasks = TaskSerializer(many=True)


class BeatSerializer(serializers.Serializer[Any]):
    """Until when the lease runs, and whether to go on."""

    expires_at = serializers.DateTimeField(allow_null=True)
    cancel_requested = serializers.BooleanField()
    instruction = serializers.ChoiceField(["continue", "pause", "cancel"])


class RunStateSerializer(serializers.Serializer[Any]):
    """Where the run is now."""

    state = serializers.CharField()
    run = serializers.UUIDField()


class ReleasedSerializer(serializers.Serializer[Any]):
    """The task is back in the queue."""

    state = serializers.CharField()
    task = serializers.UUIDField()


class AskedSerializer(serializers.Serializer[Any]):
    """The item that waits for people."""

    task = serializers.UUIDField()
    escalation = serializers.JSONField()


def task_json(shown: TaskShown) -> dict[str, Any]:
    """The task as ``TaskSerializer`` describes it."""
    task = shown.task
    return {
        "id": task.pk,
        "lease": {"token": str(task.fence), "expires_at": task.lease_until},
        "run": task.run_id,
        "workflow": task.workflow.slug,
        "step": task.step,
        "round": task.round,
        "item": task.item if shown.is_one_of_many else None,
        "attempt": task.number,
        "capability": task.capability,
        "instructions": shown.instructions,
        "input": task.input,
        "output_schema": shown.output_schema,
        "context": shown.context,
        "idempotency_key": f"{task.run_id}:{task.step}:{task.round}:{task.item}",
        "due_at": task.timeout_at,
        "traceparent": traceparent_of(task.run_id, task.pk),
        "baggage": baggage_of(run=task.run_id, task=task.pk),
    }


def run_answer(run: Run) -> Response:
    """The run that went on."""
    return Response({"state": run.state, "run": run.pk})


class TaskClaim(PlaneView):
    """``/tasks/claim/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="claim_tasks", request=ClaimSerializer, responses={200: ClaimedSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Take tasks under a lease of 60 seconds; with ``wait`` the answer is held until there is one."""
        body = self.body(ClaimSerializer)
        tasks = claim_tasks(self.actor, limit=body.get("limit", 1), capabilities=body.get("capabilities"))
        return Response({"tasks": [task_json(shown) for shown in tasks_shown(self.actor, tasks)]})


class TaskDetail(PlaneView):
    """``/tasks/{id}/``."""

    @extend_schema(operation_id="get_task", responses={200: TaskSerializer, **PROBLEMS})
    def get(self, request: Request, task_id: UUID) -> Response:
        """A task that the agent holds."""
        wait_params(request)
        return Response(task_json(task_for(self.actor, task_id)))


class TaskHeartbeat(PlaneView):
    """``/tasks/{id}/heartbeat/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="heartbeat_task", request=LeaseSerializer, responses={200: BeatSerializer, **PROBLEMS})
    def post(self, request: Request, task_id: UUID) -> Response:
        """Keep the lease."""
        until, instruction = heartbeat_task(self.actor, task_id=task_id, lease=self.body(LeaseSerializer)["lease"])
        return Response({"expires_at": until, "cancel_requested": instruction == "cancel", "instruction": instruction})


class TaskComplete(PlaneView):
    """``/tasks/{id}/complete/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="complete_task", request=CompleteSerializer, responses={200: RunStateSerializer, **PROBLEMS}
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Hand in the output; the same again is 200, another is 409 ``completion_conflict``."""
        return run_answer(complete_task(self.actor, task_id=task_id, **self.body(CompleteSerializer)))


class TaskFail(PlaneView):
    """``/tasks/{id}/fail/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="fail_task", request=FailSerializer, responses={200: RunStateSerializer, **PROBLEMS})
    def post(self, request: Request, task_id: UUID) -> Response:
        """Say that it did not work."""
        body = self.body(FailSerializer)
        error = body.pop("error")
        return run_answer(fail_task(self.actor, task_id=task_id, **body, **error))


class TaskRelease(PlaneView):
    """``/tasks/{id}/release/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="release_task", request=LeaseSerializer, responses={200: ReleasedSerializer, **PROBLEMS}
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Give the task back for somebody else."""
        task: Task = release_task(self.actor, task_id=task_id, lease=self.body(LeaseSerializer)["lease"])
        return Response({"state": "ready", "task": task.pk})


class TaskAsk(PlaneView):
    """``/tasks/{id}/ask/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="ask_about_task", request=QuestionSerializer, responses={201: AskedSerializer, **PROBLEMS}
    )
    def post(self, request: Request, task_id: UUID) -> Response:
        """Ask people instead of guessing: the task rests, and comes back with the answer."""
        item = ask_about_task(self.actor, task_id=task_id, **self.body(QuestionSerializer))
        shown = {
            "id": item.pk,
            "url": f"/inbox/{item.pk}/",
            "state": item.state,
            "due_at": item.due_at,
            "expires_at": item.expires_at,
        }
        return Response({"task": task_id, "escalation": shown}, status=201)
