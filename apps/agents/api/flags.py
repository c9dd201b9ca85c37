"""Endpoints of flags: agents that keep asking for what people rejected."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Repetition
from apps.agents.rules import FLAG_WHY, MAX_DISMISS_REASON, FlagState
from apps.agents.selectors import dismissible_for, flag_for, flags_for
from apps.agents.services import dismiss_flag
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.schema import PROBLEMS


class DismissBody(StrictSerializer):
    """Why a flag says nothing any more."""

    reason = Text(max_length=MAX_DISMISS_REASON)


class FlagSerializer(serializers.Serializer[Any]):
    """An agent that was flagged, what for, and what became of it."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    why = serializers.ChoiceField([FLAG_WHY], help_text="It kept asking for what people rejected.")
    state = serializers.ChoiceField([state.value for state in FlagState])
    action = serializers.UUIDField(help_text="The action that was rejected.")
    operation = serializers.CharField()
    reference = serializers.CharField()
    times = serializers.IntegerField(help_text="How often it asked again.")
    last_at = serializers.DateTimeField()
    flagged_at = serializers.DateTimeField()
    dismissed_at = serializers.DateTimeField(allow_null=True)
    dismissed_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_blank=True, help_text="Why it was dismissed; agents are not told.")
    may_dismiss = serializers.BooleanField()


class FlagPage(serializers.Serializer[Any]):
    """A page of flags."""

    results = FlagSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def flag_json(actor: User, flag: Repetition, dismissible: Collection[UUID]) -> dict[str, Any]:
    """The flag as ``FlagSerializer`` describes it. What people say of an agent is for people, so agents get no word."""
    return {
        "id": flag.pk,
        "agent": flag.agent.slug,
        "why": FLAG_WHY,
        "state": flag.state,
        "action": flag.rejected_id,
        "operation": flag.rejected.operation,
        "reference": flag.rejected.marked_reference,
        "times": flag.times,
        "last_at": flag.last_at,
        "flagged_at": flag.flagged_at,
        "dismissed_at": flag.dismissed_at,
        "dismissed_by": flag.dismissed_by.username if flag.dismissed_by else None,
        "reason": "" if actor.is_agent else flag.dismiss_reason,
        "may_dismiss": flag.is_open and flag.agent_id in dismissible,
    }


class Flags(PlaneView):
    """``/flags/``."""

    @extend_schema(operation_id="list_flags", responses={200: FlagPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Agents that were flagged, newest first; filters ``agent`` and ``state`` (``open``, ``dismissed``)."""
        known_params(request, "agent", "state")
        state = request.query_params.get("state", "")
        if state and state not in list(FlagState):
            raise InvalidError(errors={"state": [f"One of: {', '.join(FlagState)}."]})
        rows = flags_for(self.actor, agent=request.query_params.get("agent", ""), state=state)
        dismissible = dismissible_for(self.actor)
        return page_of(
            request, rows, lambda flag: flag_json(self.actor, flag, dismissible), order=("-flagged_at", "-id")
        )


class FlagDismissal(PlaneView):
    """``/flags/{id}/dismiss/``."""

    @extend_schema(operation_id="dismiss_flag", request=DismissBody, responses={200: FlagSerializer, **PROBLEMS})
    def post(self, request: Request, flag_id: UUID) -> Response:
        """Say why a flag says nothing any more: the agent's owner, or who may suspend it. It counts from anew then."""
        flag = flag_for(self.actor, flag_id)
        body = self.body(DismissBody)

        def answer() -> tuple[int, Any]:
            dismissed = dismiss_flag(self.actor, flag=flag, reason=body["reason"])
            return 200, flag_json(self.actor, dismissed, dismissible_for(self.actor))

        return self.once(answer)
