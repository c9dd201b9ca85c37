"""The doors of interrupts: agents of other frameworks ask in their own shape, wait, and resume."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import ActionState
from apps.core.api import AnyJson, JsonObject, PlaneView, StrictSerializer, Text, problem_of, wait_params
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.core.schema import PROBLEMS, WAIT
from apps.oversight.selectors import open_question_of, waiting_item_of_action
from apps.workflows.api.actions import WORDS_MAX, EscalationLink, QuestionSerializer
from apps.workflows.models import Interrupt
from apps.workflows.rules.interrupts import INTERRUPT_SCHEMA, InterruptState, Progress, Shape, Verdict
from apps.workflows.selectors.interrupts import Answered, answered_for, interrupt_for
from apps.workflows.selectors.places import OUTSIDE, place_of_task
from apps.workflows.services.interrupts import ask_interrupt, resume_interrupt


@extend_schema_field(INTERRUPT_SCHEMA)
class InterruptField(AnyJson):
    """What the framework interrupts with."""


class InterruptBody(StrictSerializer):
    """A framework's interrupt as it came, and what the plane needs to know besides."""

    interrupt = InterruptField()
    response_schema = JsonObject(required=False)
    operations = serializers.DictField(child=Text(max_length=120), required=False)
    reference = Text(max_length=190, required=False, allow_blank=True)
    goal = Text(max_length=WORDS_MAX, required=False, allow_blank=True)
    task = serializers.UUIDField(required=False, allow_null=True)
    on_behalf_of = Text(max_length=150, required=False, allow_blank=True)


class ResumeBody(StrictSerializer):
    """Nothing: what is handed over was decided before."""


class CallSerializer(serializers.Serializer[Any]):
    """One call and what was said of it; ``decision`` null: nothing yet. ``decided_by`` null: no person did."""

    name = serializers.CharField()
    operation = serializers.CharField()
    action = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in ActionState])
    decision = serializers.ChoiceField([verdict.value for verdict in Verdict], allow_null=True)
    why = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_null=True)
    retry = serializers.CharField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    escalation = EscalationLink(allow_null=True)
    question = QuestionSerializer(allow_null=True)


class InterruptSerializer(serializers.Serializer[Any]):
    """An interrupt: ``waiting`` while a call is undecided, ``ready`` to be resumed, ``resumed``."""

    id = serializers.UUIDField()
    shape = serializers.ChoiceField([shape.value for shape in Shape])
    state = serializers.ChoiceField([state.value for state in Progress])
    final = serializers.BooleanField()
    calls = CallSerializer(many=True)
    run = serializers.UUIDField(allow_null=True)
    created_at = serializers.DateTimeField()
    resumed_at = serializers.DateTimeField(allow_null=True)


class ResumedSerializer(InterruptSerializer):
    """The same, with what the framework resumes with, in its own shape."""

    resume = serializers.JSONField()


def interrupt_json(actor: User, interrupt: Interrupt) -> dict[str, Any]:
    """The interrupt as ``InterruptSerializer`` describes it."""
    answered = answered_for(actor, interrupt)
    state = Progress.WAITING if any(one.verdict is None for one in answered) else Progress.READY
    if interrupt.state == InterruptState.RESUMED:
        state = Progress.RESUMED
    return {
        "id": interrupt.pk,
        "shape": interrupt.shape,
        "state": state,
        "final": state == Progress.RESUMED,
        "calls": [_call_json(actor, one) for one in answered],
        "run": interrupt.run_id,
        "created_at": interrupt.created_at,
        "resumed_at": interrupt.resumed_at,
    }


def _call_json(actor: User, one: Answered) -> dict[str, Any]:
    action = one.action
    item = waiting_item_of_action(actor, action) if one.verdict is None else None
    return {
        "name": one.call.name,
        "operation": action.operation,
        "action": action.pk,
        "state": action.state,
        "decision": one.verdict,
        "why": one.why or None,
        "reason": one.reason or None,
        "retry": (action.refusal or {}).get("retry"),
        "decided_by": one.by,
        "escalation": item
        and {"id": item.pk, "url": f"/inbox/{item.pk}/", "expires_at": item.expires_at, "quorum": item.quorum_needed},
        "question": open_question_of(actor, item),
    }


class Interrupts(PlaneView):
    """``/interrupts/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="ask_with_an_interrupt",
        request=InterruptBody,
        responses={201: InterruptSerializer, 202: InterruptSerializer, **PROBLEMS},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Ask for the calls of a framework's interrupt: 201 when all are decided, 202 while people are asked."""
        body = self.body(InterruptBody)
        payload, task = body.pop("interrupt"), body.pop("task", None)
        place = place_of_task(self.actor, task) if task else OUTSIDE

        def answer() -> tuple[int, Any]:
            interrupt = ask_interrupt(self.actor, payload=payload, place=place, **body)
            found = interrupt_json(self.actor, interrupt)
            return 202 if found["state"] == Progress.WAITING else 201, found

        return self.once(answer, required=True)


class InterruptDetail(PlaneView):
    """``/interrupts/{id}/``."""

    @extend_schema(operation_id="get_interrupt", responses={200: InterruptSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, interrupt_id: UUID) -> Response:
        """One interrupt; with ``wait`` the answer is held while its state stays. It never hands an approval over."""
        wait_params(request)
        return Response(interrupt_json(self.actor, interrupt_for(self.actor, interrupt_id)))


class InterruptResume(PlaneView):
    """``/interrupts/{id}/resume/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="resume_interrupt", request=ResumeBody, responses={200: ResumedSerializer, **PROBLEMS})
    def post(self, request: Request, interrupt_id: UUID) -> Response:
        """Take what the framework resumes with. It claims every grant of the calls that may run, all of them, once."""
        interrupt = interrupt_for(self.actor, interrupt_id)
        self.body(ResumeBody)

        def answer() -> tuple[int, Any]:
            resume = resume_interrupt(self.actor, interrupt=interrupt)
            found = interrupt_json(self.actor, interrupt_for(self.actor, interrupt_id))
            if resume is not None:
                return 200, {**found, "resume": resume}
            text = "Something may not run as it was allowed; nothing was handed over. Look at it again."
            refusal = ConflictError(text, state=found["state"])
            return refusal.status, problem_of(refusal, getattr(request, "request_id", ""))

        return self.once(answer)
