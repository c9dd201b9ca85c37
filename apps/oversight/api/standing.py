"""Approving in advance, over the API; only people do."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import EmptyBody, StrictInteger, StrictSerializer, known_params, page_of
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.oversight.api.people import PersonView
from apps.oversight.models import StandingApproval
from apps.oversight.rules import StandingState
from apps.oversight.selectors import standing_approval_for, standing_approvals_for, standing_json
from apps.oversight.selectors.standing import USES_SHOWN
from apps.oversight.services import end_standing_approval, end_touched_drill, make_standing_approval


class StandingBody(StrictSerializer):
    """For how many days, how often, up to which amount each; at most what the rule lets. ``version``: what was seen."""

    version = StrictInteger(min_value=1)
    days = StrictInteger(min_value=1)
    times = StrictInteger(min_value=1)
    up_to_minor = StrictInteger(min_value=1, max_value=MAX_INTEGER, required=False, allow_null=True)


class StandingUseSerializer(serializers.Serializer[Any]):
    """One action that it let run."""

    number = serializers.IntegerField()
    action = serializers.UUIDField()
    amount_minor = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()


class StandingSerializer(serializers.Serializer[Any]):
    """What a person approved in advance: the like of an item, and how often it was used."""

    id = serializers.UUIDField()
    escalation = serializers.UUIDField()
    by = serializers.CharField()
    agent = serializers.CharField()
    operation = serializers.CharField()
    target = serializers.CharField(allow_blank=True)
    currency = serializers.CharField(allow_blank=True)
    rule = serializers.CharField()
    same = serializers.JSONField(help_text="What must be the same besides: parameters by path, with what they said.")
    up_to_minor = serializers.IntegerField(allow_null=True)
    times = serializers.IntegerField()
    used = serializers.IntegerField()
    until = serializers.DateTimeField()
    state = serializers.ChoiceField([state.value for state in StandingState])
    end_why = serializers.CharField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    uses = StandingUseSerializer(many=True, help_text=f"The latest {USES_SHOWN}, newest first.")


class StandingPage(serializers.Serializer[Any]):
    """A page of approvals in advance."""

    results = StandingSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def whole_json(approval: StandingApproval) -> dict[str, Any]:
    """The approval as ``StandingSerializer`` describes it."""
    action = approval.item.action
    uses = getattr(approval, "shown_uses", None)
    if uses is None:
        uses = approval.uses.select_related("action").order_by("-number")[:USES_SHOWN]
    return {
        **standing_json(approval),
        "escalation": approval.item_id,
        "agent": approval.agent.slug,
        "operation": approval.operation,
        "target": action.marked_target if action else "",
        "currency": action.currency if action else "",
        "rule": approval.rule,
        "ended_at": approval.ended_at,
        "ended_by": approval.ended_by.username if approval.ended_by else None,
        "created_at": approval.created_at,
        "uses": [
            {
                "number": use.number,
                "action": use.action_id,
                "amount_minor": use.action.amount_minor,
                "at": use.created_at,
            }
            for use in uses
        ],
    }


class MakeStanding(PersonView):
    """``/escalations/{id}/standing/``."""

    @extend_schema(
        operation_id="approve_in_advance", request=StandingBody, responses={201: StandingSerializer, **PROBLEMS}
    )
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Approve the like of the item in advance: same agent, operation, target and currency. It is not decided so."""
        said: dict[str, Any] = self.body(StandingBody)
        end_touched_drill(self.actor, escalation_id=escalation_id)

        def answer() -> tuple[int, Any]:
            made = make_standing_approval(self.actor, escalation_id=escalation_id, **said)
            return 201, whole_json(standing_approval_for(self.actor, made.pk))

        return self.once(answer)


class StandingApprovals(PersonView):
    """``/standing-approvals/``."""

    @extend_schema(
        operation_id="list_standing_approvals",
        responses={200: StandingPage, **PROBLEMS},
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
    )
    def get(self, request: Request) -> Response:
        """What you approved in advance, newest first, with what each let run."""
        known_params(request)
        return page_of(request, standing_approvals_for(self.actor), whole_json, order=("-id",))


class EndStanding(PersonView):
    """``/standing-approvals/{id}/end/``."""

    @extend_schema(
        operation_id="end_standing_approval", request=EmptyBody, responses={200: StandingSerializer, **PROBLEMS}
    )
    def post(self, request: Request, approval_id: UUID) -> Response:
        """End it: yours, or one in a unit where you may decide. What it let run and has not begun asks people."""
        approval = standing_approval_for(self.actor, approval_id)
        self.body(EmptyBody)

        def answer() -> tuple[int, Any]:
            end_standing_approval(self.actor, approval=approval)
            return 200, whole_json(standing_approval_for(self.actor, approval_id))

        return self.once(answer)
