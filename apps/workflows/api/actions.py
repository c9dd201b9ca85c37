"""The doors of actions: agents ask, look, wait, consume and report."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Action
from apps.agents.rules import ANSWERED_AT_ONCE, FINAL_ACTIONS, ActionState, Execution
from apps.agents.rules.traces import baggage_of, traceparent_of
from apps.agents.selectors import action_for, actions_for, taken_back_by
from apps.agents.services import note_repetition
from apps.connectors.selectors.exclusive import is_in_line
from apps.core.api import (
    ErasedMark,
    JsonObject,
    PlaneView,
    StrictBoolean,
    StrictInteger,
    StrictSerializer,
    Text,
    known_params,
    page_of,
    problem_of,
    wait_params,
)
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import remembering
from apps.core.models import User
from apps.core.rules import MAX_COST_MINOR
from apps.core.schema import PROBLEMS, WAIT
from apps.oversight.selectors import grant_of_action, open_question_of, waiting_item_of_action
from apps.policies.selectors.quiet import quieted_for
from apps.workflows.api.verdicts import told_verdict
from apps.workflows.selectors.places import place_of_task
from apps.workflows.selectors.veils import action_shown_to
from apps.workflows.services.actions import (
    Ask,
    Place,
    check_action,
    consume_action,
    report_outcome,
    submit_action,
    take_back_action,
)

WORDS_MAX = 20_000


class SourceSerializer(StrictSerializer):
    """Where the agent says that it knows something from."""

    title = Text(max_length=300)
    url = Text(max_length=2000, required=False)
    operation = Text(max_length=120, required=False)
    entry = Text(max_length=120, required=False)
    as_of = serializers.DateTimeField(required=False)


class EvidenceSerializer(StrictSerializer):
    """What the agent attaches."""

    title = Text(max_length=300)
    url = Text(max_length=2000, required=False)
    text = Text(max_length=WORDS_MAX, required=False)


class AskSerializer(StrictSerializer):
    """What an agent sends to ask for an action."""

    operation = Text(max_length=120)
    parameters = JsonObject()
    goal = Text(max_length=WORDS_MAX, required=False, allow_blank=True)
    reasoning = Text(max_length=WORDS_MAX, required=False, allow_blank=True)
    alternatives = serializers.ListField(child=Text(max_length=2000), max_length=20, required=False)
    confidence = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    sources = SourceSerializer(many=True, required=False)
    evidence = EvidenceSerializer(many=True, required=False)
    reference = Text(max_length=200, required=False, allow_blank=True)
    task = serializers.UUIDField(required=False, allow_null=True)
    on_behalf_of = Text(max_length=150, required=False, allow_blank=True)
    execution = serializers.ChoiceField([execution.value for execution in Execution], required=False)

    def validate_confidence(self, value: Any) -> Any:
        """A number, not text that looks like one."""
        raw = self.initial_data.get("confidence")
        if isinstance(raw, bool | str):
            raise serializers.ValidationError("A number from 0 to 1.")
        return value


class EscalationLink(serializers.Serializer[Any]):
    """The item that waits for people."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    quorum = serializers.IntegerField()


class QuestionSerializer(serializers.Serializer[Any]):
    """What people ask the agent before they decide; answer it with a comment."""

    text = serializers.CharField()
    by = serializers.CharField()
    at = serializers.DateTimeField()


class GrantLink(serializers.Serializer[Any]):
    """The single-use permission that an approval released."""

    id = serializers.UUIDField()
    expires_at = serializers.DateTimeField()


class ActionSerializer(serializers.Serializer[Any]):
    """One action, as its agent sees it."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in ActionState])
    final = serializers.BooleanField()
    operation = serializers.CharField()
    environment = serializers.CharField()
    parameters = serializers.JSONField()
    digest = serializers.CharField()
    reference = serializers.CharField()
    attempts = serializers.IntegerField()
    consequence = serializers.CharField()
    verdict = serializers.JSONField()
    escalation = EscalationLink(allow_null=True)
    question = QuestionSerializer(allow_null=True)
    grant = GrantLink(allow_null=True)
    result = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    refusal = serializers.JSONField(allow_null=True)
    erased = ErasedMark(allow_null=True)
    agent = serializers.CharField(allow_null=True)
    on_behalf_of = serializers.CharField(allow_null=True)
    run = serializers.UUIDField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    compensates = serializers.UUIDField(allow_null=True)
    compensated_by = serializers.UUIDField(allow_null=True)
    in_line = serializers.BooleanField()
    traceparent = serializers.CharField(help_text="W3C Trace Context: continue it where you carry it out.")
    baggage = serializers.CharField(help_text="W3C Baggage: `acp.run.id`, `acp.step.id`, `acp.action.id`.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class ActionPage(serializers.Serializer[Any]):
    """A page of actions."""

    results = ActionSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CheckSerializer(serializers.Serializer[Any]):
    """The verdict that a request would get."""

    operation = serializers.CharField()
    digest = serializers.CharField()
    consequence = serializers.CharField()
    verdict = serializers.JSONField()
    within_budgets = serializers.BooleanField(allow_null=True, help_text="Now; null where budgets are not asked.")


class DigestSerializer(StrictSerializer):
    """The digest that the agent is about to carry out."""

    digest = Text(max_length=71)


class OutcomeSerializer(StrictSerializer):
    """What came of an action that the agent carried out itself."""

    succeeded = StrictBoolean()
    result = serializers.JSONField(required=False, allow_null=True)
    error = serializers.JSONField(required=False, allow_null=True)
    cost_minor = StrictInteger(min_value=0, max_value=MAX_COST_MINOR, required=False)
    currency = Text(max_length=3, required=False)


class CancelBody(StrictSerializer):
    """Why."""

    reason = Text(max_length=2000, required=False, allow_blank=True)


def action_json(actor: User, action: Action) -> dict[str, Any]:
    """The action as ``ActionSerializer`` describes it."""
    action = action_shown_to(actor, action)
    was_asked = action.verdict.get("effect") == "require_approval"
    item = waiting_item_of_action(actor, action) if was_asked or action.state == ActionState.UNKNOWN else None
    grant = grant_of_action(actor, action) if was_asked or action.execution == Execution.AGENT else None
    return {
        "id": action.pk,
        "state": action.state,
        "final": action.state in FINAL_ACTIONS,
        "operation": action.operation,
        "environment": action.environment,
        "parameters": action.parameters,
        "digest": action.digest,
        "reference": action.reference,
        "attempts": action.attempts,
        "consequence": action.consequence,
        "verdict": told_verdict(action.verdict),
        "escalation": item
        and {"id": item.pk, "url": f"/inbox/{item.pk}/", "expires_at": item.expires_at, "quorum": item.quorum_needed},
        "question": open_question_of(actor, item),
        "grant": grant and {"id": grant.pk, "expires_at": grant.expires_at},
        "result": action.result,
        "error": action.error,
        "refusal": action.refusal,
        "erased": action.erased,
        "agent": action.agent.slug if action.agent else None,
        "on_behalf_of": action.on_behalf_of.username if action.on_behalf_of else None,
        "run": action.run_id,
        "task": action.task_id,
        "compensates": action.compensates_id,
        "compensated_by": taken_back_by(actor, action),
        "in_line": is_in_line(actor, action),
        "traceparent": traceparent_of(action.trail, action.pk),
        "baggage": baggage_of(run=action.run_id, task=action.task_id, action=action.pk),
        "created_at": action.created_at,
        "finished_at": action.finished_at,
    }


class AskingView(PlaneView):
    """What asking and checking share."""

    for_agents = True
    for_people = False

    def ask(self) -> tuple[Ask, Place]:
        """The validated request and its place in a run."""
        body = self.body(AskSerializer)
        task = body.pop("task", None)
        for source in body.get("sources", []):
            if "as_of" in source:
                source["as_of"] = source["as_of"].isoformat()
        return Ask(**body), place_of_task(self.actor, task) if task else Place()


class Actions(AskingView):
    """``/actions/``."""

    @extend_schema(
        operation_id="ask_for_an_action",
        request=AskSerializer,
        responses={201: ActionSerializer, 202: ActionSerializer, **PROBLEMS},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Ask for an action: 201 when it is final already, 202 while it waits or runs."""
        ask, place = self.ask()

        def answer() -> tuple[int, Any]:
            action = submit_action(self.actor, ask=ask, place=place)
            return 201 if action.state in ANSWERED_AT_ONCE else 202, action_json(self.actor, action)

        try:
            return self.once(answer, required=True)
        except ConflictError as error:
            if error.code == "previously_rejected":
                note_repetition(self.actor, rejected_id=UUID(str(error.members["action"])))
            raise

    @extend_schema(
        operation_id="list_actions",
        responses={200: ActionPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in ("state", "agent", "operation", "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Actions, newest first: an agent's own, or those of the units a person may see."""
        known_params(request, "state", "agent", "operation")
        if request.query_params.get("state", ActionState.PROPOSED) not in list(ActionState):
            raise InvalidError(errors={"state": [f"One of {', '.join(ActionState)}."]})
        rows = actions_for(self.actor)
        for name, path in (("state", "state"), ("agent", "agent__slug"), ("operation", "operation")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        with remembering(self.actor):
            return page_of(request, rows, lambda action: action_json(self.actor, action))


class ActionDetail(PlaneView):
    """``/actions/{id}/``."""

    @extend_schema(operation_id="get_action", responses={200: ActionSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, action_id: UUID) -> Response:
        """One action; with ``wait`` the answer is held while its state stays."""
        wait_params(request)
        return Response(action_json(self.actor, action_for(self.actor, action_id)))


class ActionCheck(AskingView):
    """``/actions/check/``."""

    @extend_schema(operation_id="check_action", request=AskSerializer, responses={200: CheckSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """The verdict that this request would get; nothing runs, nothing is reserved and nobody is asked."""
        ask, place = self.ask()
        weighed, verdict, fits = check_action(self.actor, ask=ask, place=place)
        return Response(
            {
                "operation": ask.operation,
                "digest": weighed.digest,
                "consequence": weighed.consequence,
                "verdict": quieted_for(self.actor, verdict.public_json()),
                "within_budgets": fits,
            }
        )


class ActionCancel(PlaneView):
    """``/actions/{id}/cancel/``."""

    for_agents = True
    for_people = False

    @extend_schema(operation_id="cancel_action", request=CancelBody, responses={200: ActionSerializer, **PROBLEMS})
    def post(self, request: Request, action_id: UUID) -> Response:
        """Take an action back before it runs."""
        action = action_for(self.actor, action_id)
        reason = self.body(CancelBody).get("reason", "")

        def answer() -> tuple[int, Any]:
            return 200, action_json(self.actor, take_back_action(self.actor, action=action, reason=reason))

        return self.once(answer)


class ActionConsume(PlaneView):
    """``/actions/{id}/consume/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="consume_grant", request=DigestSerializer, responses={200: ActionSerializer, **PROBLEMS}
    )
    def post(self, request: Request, action_id: UUID) -> Response:
        """Claim the grant for an action that the agent carries out itself; once, and only for this digest."""
        action = action_for(self.actor, action_id)
        digest = self.body(DigestSerializer)["digest"]

        def answer() -> tuple[int, Any]:
            taken = consume_action(self.actor, action=action, digest=digest)
            if taken.state == ActionState.EXECUTING:
                return 200, action_json(self.actor, taken)
            refusal = _not_taken(taken)
            return refusal.status, problem_of(refusal, getattr(request, "request_id", ""))

        return self.once(answer)


def _not_taken(action: Action) -> ConflictError:
    """Why a grant was not claimed, where finding out changed the action."""
    if action.state == ActionState.FAILED and action.error:
        return ConflictError(action.error["message"], code="invalidated", why=action.error["code"], state=action.state)
    return ConflictError("It may not run as it was allowed: it was judged again.", state=action.state)


class ActionOutcome(PlaneView):
    """``/actions/{id}/outcome/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="report_outcome", request=OutcomeSerializer, responses={200: ActionSerializer, **PROBLEMS}
    )
    def post(self, request: Request, action_id: UUID) -> Response:
        """Report what came of an action that the agent carried out itself."""
        action = action_for(self.actor, action_id)
        body = self.body(OutcomeSerializer)

        def answer() -> tuple[int, Any]:
            return 200, action_json(self.actor, report_outcome(self.actor, action=action, **body))

        return self.once(answer)
