"""The door of taking back what an action did."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import ANSWERED_AT_ONCE
from apps.agents.selectors import action_for
from apps.core.api import PlaneView, StrictSerializer, Text
from apps.core.schema import PROBLEMS
from apps.workflows.api.actions import ActionSerializer, action_json
from apps.workflows.services.actions import compensate_action


class CompensateBody(StrictSerializer):
    """Why."""

    reason = Text(max_length=2000)


class ActionCompensate(PlaneView):
    """``/actions/{id}/compensate/``."""

    for_agents = True

    @extend_schema(
        operation_id="compensate_action",
        request=CompensateBody,
        responses={201: ActionSerializer, 202: ActionSerializer, **PROBLEMS},
    )
    def post(self, request: Request, action_id: UUID) -> Response:
        """Ask for what takes a succeeded action back: a new action, judged like any other."""
        action = action_for(self.actor, action_id)
        reason = self.body(CompensateBody)["reason"]

        def answer() -> tuple[int, Any]:
            taking = compensate_action(self.actor, action=action, reason=reason)
            return 201 if taking.state in ANSWERED_AT_ONCE else 202, action_json(self.actor, taking)

        return self.once(answer)
