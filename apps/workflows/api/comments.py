"""The door of words: what an agent answers in the thread of its own item."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.selectors import action_for
from apps.core.api import PlaneView, StrictSerializer, Text
from apps.core.errors import ConflictError
from apps.core.schema import PROBLEMS
from apps.oversight.services import answer_comment


class ActionCommentBody(StrictSerializer):
    """The agent's words in the thread."""

    text = Text(max_length=10_000)


class ActionCommentSerializer(serializers.Serializer[Any]):
    """One comment."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class ActionComments(PlaneView):
    """``/actions/{id}/comments/``."""

    for_agents = True
    for_people = False

    @extend_schema(
        operation_id="comment_action", request=ActionCommentBody, responses={201: ActionCommentSerializer, **PROBLEMS}
    )
    def post(self, request: Request, action_id: UUID) -> Response:
        """Answer a question in the thread of the item that waits for people."""
        action = action_for(self.actor, action_id)
        text = self.body(ActionCommentBody)["text"]

        def answer() -> tuple[int, Any]:
            comment = answer_comment(self.actor, action=action, text=text)
            if comment is None:
                raise ConflictError("Nobody was asked about this action, so there is no thread.", state=action.state)
            return 201, {"id": comment.pk, "text": comment.text, "created_at": comment.created_at}

        return self.once(answer)
