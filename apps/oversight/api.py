"""Endpoints of what waits for people. Agents are turned away, and the ledger says that they tried."""

import time
from typing import Any
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import AnyJson, JsonObject, PlaneView, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.authentication import SessionAuthentication
from apps.core.errors import InvalidError
from apps.core.gate import refuse_agents, require_human
from apps.core.rules import MAX_INTEGER, Risk
from apps.core.schema import PROBLEMS, WAIT
from apps.oversight.models import Escalation
from apps.oversight.rules import (
    MAX_COMMENT,
    MAX_HOLD_S,
    MAX_REASON,
    STEP_UP_S,
    EscalationState,
    Kind,
    VoteVerdict,
)
from apps.oversight.selectors import (
    INBOX_ORDER,
    detail_for,
    escalation_for,
    escalations_for,
    filtered,
    row_for,
    standing_for,
)
from apps.oversight.services import (
    cast_vote,
    claim_escalation,
    comment_escalation,
    release_escalation,
    undo_decision,
    withdraw_vote,
)

FILTERS = ("state", "queue", "risk", "agent", "kind", "operation", "workflow", "run", "q")
WORDS: dict[str, list[str]] = {"state": list(EscalationState), "risk": list(Risk), "kind": list(Kind)}


class VoteSerializer(serializers.Serializer[Any]):
    """One person's say."""

    by = serializers.CharField()
    verdict = serializers.ChoiceField([verdict.value for verdict in VoteVerdict])
    at = serializers.DateTimeField()


class QuorumSerializer(serializers.Serializer[Any]):
    """How many must approve, and who said what; hidden on high tiers until one has voted."""

    needed = serializers.IntegerField()
    votes = VoteSerializer(many=True)
    hidden = serializers.BooleanField()


class GroupSerializer(serializers.Serializer[Any]):
    """People who must agree."""

    queue = serializers.CharField()
    role = serializers.CharField(allow_null=True)
    needed = serializers.IntegerField()
    distinct_units = serializers.BooleanField()


class EscalationRow(serializers.Serializer[Any]):
    """An item in a list."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField([kind.value for kind in Kind])
    state = serializers.ChoiceField([state.value for state in EscalationState])
    version = serializers.IntegerField()
    title = serializers.CharField()
    queue = serializers.CharField(allow_null=True)
    groups = GroupSerializer(many=True)
    unit = serializers.CharField()
    risk = serializers.ChoiceField([risk.value for risk in Risk])
    priority = serializers.IntegerField()
    agent = serializers.CharField(allow_null=True)
    workflow = serializers.CharField(allow_null=True)
    run = serializers.UUIDField(allow_null=True)
    step = serializers.CharField(allow_null=True)
    round = serializers.IntegerField(allow_null=True)
    task = serializers.UUIDField(allow_null=True)
    action = serializers.UUIDField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    amount_minor = serializers.IntegerField(allow_null=True)
    currency = serializers.CharField(allow_null=True)
    target = serializers.CharField(allow_null=True)
    question = serializers.CharField(allow_null=True)
    consequence = serializers.CharField(allow_blank=True)
    quorum = QuorumSerializer()
    allowed = serializers.JSONField(help_text="What you may say now, and what it takes: {approve: {restate, step_up}}.")
    why_not = serializers.CharField(allow_null=True, help_text="Why `allowed` is empty.")
    attempts = serializers.IntegerField()
    edited = serializers.BooleanField()
    supersedes = serializers.UUIDField(allow_null=True)
    claimed_by = serializers.CharField(allow_null=True)
    claimed_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    releases_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    reason_code = serializers.CharField(allow_null=True)
    retry = serializers.CharField(allow_null=True)
    answer = serializers.JSONField(allow_null=True)


class EscalationSerializer(EscalationRow):
    """One item, whole."""

    parameters = serializers.JSONField(allow_null=True)
    subject = serializers.JSONField(allow_null=True)
    asked = serializers.JSONField(allow_null=True, help_text="The parameters before they were edited.")
    patch = serializers.JSONField(help_text="What the edit changed, as a JSON Patch.")
    verdict = serializers.JSONField(allow_null=True)
    schema = serializers.JSONField(allow_null=True)
    options = serializers.JSONField()
    digest = serializers.CharField(allow_null=True)
    view_hash = serializers.CharField()
    winner = serializers.JSONField(allow_null=True)
    agent_says = serializers.JSONField(allow_null=True, help_text="The agent's own words, not verified.")
    thread = serializers.JSONField()
    timeline = serializers.JSONField()


class EscalationPage(serializers.Serializer[Any]):
    """A page of items."""

    results = EscalationRow(many=True)
    next = serializers.CharField(allow_null=True)


class DecisionBody(StrictSerializer):
    """What a person says. ``version`` and ``view_hash`` tell which state of the item they saw."""

    verdict = serializers.ChoiceField([verdict.value for verdict in VoteVerdict])
    version = StrictInteger(min_value=1, max_value=MAX_INTEGER)
    reason = Text(max_length=MAX_REASON, required=False, allow_blank=True)
    reason_code = Text(max_length=40, required=False, allow_blank=True)
    retry = Text(max_length=60, required=False, allow_blank=True)
    parameters = JsonObject(required=False, allow_null=True)
    answer = AnyJson(required=False, allow_null=True)
    view_hash = Text(max_length=71, required=False, allow_blank=True)
    restated = AnyJson(required=False, allow_null=True)
    hold_s = StrictInteger(min_value=0, max_value=MAX_HOLD_S, required=False)


class DecidedSerializer(serializers.Serializer[Any]):
    """The item after a vote."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField([state.value for state in EscalationState])
    version = serializers.IntegerField()
    votes = VoteSerializer(many=True)
    needed = serializers.IntegerField()
    releases_at = serializers.DateTimeField(allow_null=True)


class CommentBody(StrictSerializer):
    """A word below an item."""

    text = Text(max_length=MAX_COMMENT)


class CommentSerializer(serializers.Serializer[Any]):
    """One comment."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class EmptyBody(StrictSerializer):
    """Nothing is said with it."""


def decided_json(item: Escalation) -> dict[str, Any]:
    """The item after a vote, as ``DecidedSerializer`` describes it."""
    votes = item.votes.filter(voided_at=None).select_related("voter").order_by("id")
    return {
        "id": item.pk,
        "state": item.state,
        "version": item.version,
        "votes": [{"by": vote.voter.username, "verdict": vote.verdict, "at": vote.created_at} for vote in votes],
        "needed": item.quorum_needed,
        "releases_at": item.releases_at,
    }


class Escalations(PlaneView):
    """``/escalations/``."""

    @extend_schema(
        operation_id="list_escalations",
        responses={200: EscalationPage, **PROBLEMS},
        parameters=[OpenApiParameter(name, str) for name in (*FILTERS, "cursor", "limit")],
    )
    def get(self, request: Request) -> Response:
        """Items that you may see: newest first; with `state=pending` by due date."""
        known_params(request, *FILTERS)
        wanted = {name: request.query_params[name] for name in FILTERS if request.query_params.get(name)}
        _require_words(wanted)
        rows = filtered(self.actor, escalations_for(self.actor), **wanted)
        standing = standing_for(self.actor)
        order = INBOX_ORDER if wanted.get("state") == EscalationState.PENDING else ("-id",)
        return page_of(request, rows, lambda item: row_for(self.actor, item, standing), order=order)


def _require_words(wanted: dict[str, str]) -> None:
    errors = {
        name: [f"One of: {', '.join(words)}."]
        for name, words in WORDS.items()
        if name in wanted and wanted[name] not in words
    }
    if run := wanted.get("run"):
        try:
            UUID(run)
        except ValueError:
            errors["run"] = ["This is not an id."]
    if errors:
        raise InvalidError(errors=errors)


class EscalationDetail(PlaneView):
    """``/escalations/{id}/``."""

    @extend_schema(operation_id="get_escalation", responses={200: EscalationSerializer, **PROBLEMS}, parameters=WAIT)
    def get(self, request: Request, escalation_id: UUID) -> Response:
        """One item, with everything that its page shows."""
        refuse_agents(self.actor)
        return Response(detail_for(self.actor, escalation_for(self.actor, escalation_id)))


class PersonView(PlaneView):
    """An endpoint that only people use."""

    def check_permissions(self, request: Request) -> None:
        """Agents and systems are refused before their bodies are read."""
        super().check_permissions(request)
        require_human(self.actor)


class Decision(PersonView):
    """``/escalations/{id}/decision/``."""

    @extend_schema(
        operation_id="decide_escalation", request=DecisionBody, responses={200: DecidedSerializer, **PROBLEMS}
    )
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Decide, or vote where several people must agree. A critical tier needs a session that signed in just now."""
        said = {name: value for name, value in self.body(DecisionBody).items() if name == "answer" or value is not None}
        verdict, version = said.pop("verdict"), said.pop("version")
        fresh = _is_fresh(request)

        def answer() -> tuple[int, Any]:
            item = cast_vote(
                self.actor, escalation_id=escalation_id, verdict=verdict, version=version, stepped_up=fresh, **said
            )
            return 200, decided_json(item)

        return self.once(answer)


def _is_fresh(request: Request) -> bool:
    """Whether the person proved again who they are; a token proves only that somebody has it."""
    if not isinstance(request.successful_authenticator, SessionAuthentication):
        return False
    moments = [record["at"] for record in get_authentication_records(request, request.user)]
    return time.time() - max(moments, default=0) < STEP_UP_S


class Claim(PersonView):
    """``/escalations/{id}/claim/``."""

    @extend_schema(operation_id="claim_escalation", request=EmptyBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Say that you look at it, for five minutes; it may be taken over, and that is seen."""
        self.body(EmptyBody)
        claim_escalation(self.actor, escalation_id=escalation_id)
        return Response(row_for(self.actor, escalation_for(self.actor, escalation_id)))


class Release(PersonView):
    """``/escalations/{id}/release/``."""

    @extend_schema(operation_id="release_escalation", request=EmptyBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Let go of your claim."""
        self.body(EmptyBody)
        release_escalation(self.actor, escalation_id=escalation_id)
        return Response(row_for(self.actor, escalation_for(self.actor, escalation_id)))


class Comments(PersonView):
    """``/escalations/{id}/comment/``."""

    @extend_schema(
        operation_id="comment_escalation", request=CommentBody, responses={201: CommentSerializer, **PROBLEMS}
    )
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Write below the item."""
        text = self.body(CommentBody)["text"]

        def answer() -> tuple[int, Any]:
            comment = comment_escalation(self.actor, escalation_id=escalation_id, text=text)
            return 201, {"id": comment.pk, "text": comment.text, "created_at": comment.created_at}

        return self.once(answer)


class Undo(PersonView):
    """``/escalations/{id}/undo/``."""

    @extend_schema(operation_id="undo_decision", request=EmptyBody, responses={200: DecidedSerializer, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Withdraw your decision while it is held."""
        self.body(EmptyBody)
        return self.once(lambda: (200, decided_json(undo_decision(self.actor, escalation_id=escalation_id))))


class Withdraw(PersonView):
    """``/escalations/{id}/withdraw/``."""

    @extend_schema(operation_id="withdraw_vote", request=EmptyBody, responses={200: DecidedSerializer, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Take your vote back while the item still waits for others."""
        self.body(EmptyBody)
        return self.once(lambda: (200, decided_json(withdraw_vote(self.actor, escalation_id=escalation_id))))
