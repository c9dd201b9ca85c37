"""Who looks at an item, and what is written below it."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import EmptyBody, StrictSerializer, Text
from apps.core.schema import PROBLEMS
from apps.oversight.api.escalations import EscalationRow
from apps.oversight.api.people import PersonView
from apps.oversight.rules import MAX_COMMENT
from apps.oversight.selectors import escalation_for, row_for
from apps.oversight.services import (
    ask_agent,
    claim_escalation,
    comment_escalation,
    end_touched_drill,
    release_escalation,
)


class CommentBody(StrictSerializer):
    """A word below an item. ``ask``: a question to the agent; until it answers, the item's due time stands still."""

    text = Text(max_length=MAX_COMMENT)
    ask = serializers.BooleanField(required=False)

    def validate_ask(self, value: bool) -> bool:
        """True or false, not text that looks like it."""
        if not isinstance(self.initial_data.get("ask"), bool):
            raise serializers.ValidationError("True or false.")
        return value


class CommentSerializer(serializers.Serializer[Any]):
    """One comment."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


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
        """Write below the item; with `ask` as a question that wakes the agent."""
        said = self.body(CommentBody)
        write = ask_agent if said.get("ask") else comment_escalation
        end_touched_drill(self.actor, escalation_id=escalation_id)

        def answer() -> tuple[int, Any]:
            comment = write(self.actor, escalation_id=escalation_id, text=said["text"])
            return 201, {"id": comment.pk, "text": comment.text, "created_at": comment.created_at}

        return self.once(answer)
