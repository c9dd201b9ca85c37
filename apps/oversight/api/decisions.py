"""Decisions: a vote, taking it back, taking back what is held."""

import time
from typing import Any
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import AnyJson, EmptyBody, JsonObject, StrictInteger, StrictSerializer, Text
from apps.core.authentication import SessionAuthentication
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.oversight.api.escalations import VoteSerializer
from apps.oversight.api.people import PersonView
from apps.oversight.models import Escalation
from apps.oversight.rules import MAX_HOLD_S, MAX_REASON, STEP_UP_S, EscalationState, VoteVerdict
from apps.oversight.selectors import drill_json, drill_of
from apps.oversight.services import cast_vote, undo_decision, withdraw_vote


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
    drill = serializers.JSONField(allow_null=True, help_text="It was an exercise: {outcome, fault, path, source}.")


def decided_json(actor: User, item: Escalation) -> dict[str, Any]:
    """The item after a vote, as ``DecidedSerializer`` describes it."""
    votes = item.votes.filter(voided_at=None).select_related("voter").order_by("id")
    return {
        "id": item.pk,
        "state": item.state,
        "version": item.version,
        "votes": [{"by": vote.voter.username, "verdict": vote.verdict, "at": vote.created_at} for vote in votes],
        "needed": item.quorum_needed,
        "releases_at": item.releases_at,
        "drill": drill_json(drill_of(actor, item)),
    }


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
            return 200, decided_json(self.actor, item)

        return self.once(answer)


def _is_fresh(request: Request) -> bool:
    """Whether the person proved again who they are; a token proves only that somebody has it."""
    if not isinstance(request.successful_authenticator, SessionAuthentication):
        return False
    moments = [record["at"] for record in get_authentication_records(request, request.user)]
    return time.time() - max(moments, default=0) < STEP_UP_S


class Undo(PersonView):
    """``/escalations/{id}/undo/``."""

    @extend_schema(operation_id="undo_decision", request=EmptyBody, responses={200: DecidedSerializer, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Withdraw your decision while it is held."""
        self.body(EmptyBody)
        return self.once(
            lambda: (200, decided_json(self.actor, undo_decision(self.actor, escalation_id=escalation_id)))
        )


class Withdraw(PersonView):
    """``/escalations/{id}/withdraw/``."""

    @extend_schema(operation_id="withdraw_vote", request=EmptyBody, responses={200: DecidedSerializer, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Take your vote back while the item still waits for others."""
        self.body(EmptyBody)
        return self.once(
            lambda: (200, decided_json(self.actor, withdraw_vote(self.actor, escalation_id=escalation_id)))
        )
