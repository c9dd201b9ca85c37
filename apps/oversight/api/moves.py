"""Handing an item on, putting it aside, giving it more time."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import StrictInteger, StrictSerializer, Text
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.oversight.api.escalations import EscalationRow
from apps.oversight.api.people import PersonView
from apps.oversight.models import Escalation
from apps.oversight.rules import MAX_REASON
from apps.oversight.selectors import escalation_for, row_for
from apps.oversight.services import (
    delegate_escalation,
    end_touched_drill,
    escalate_by_hand,
    extend_escalation,
    reassign_escalation,
    snooze_escalation,
)

NAME_MAX, SLUG_MAX = 150, 63


class DelegateBody(StrictSerializer):
    """Who decides in your stead."""

    to = Text(max_length=NAME_MAX)
    reason = Text(max_length=MAX_REASON, required=False, allow_blank=True)


class ReassignBody(StrictSerializer):
    """The queue or the person that sees to it from now on, one of them."""

    queue = Text(max_length=SLUG_MAX, required=False)
    to = Text(max_length=NAME_MAX, required=False)
    reason = Text(max_length=MAX_REASON)


class SnoozeBody(StrictSerializer):
    """Until when you put it aside; null: take it up again."""

    until = serializers.DateTimeField(allow_null=True)


class ExtendBody(StrictSerializer):
    """Until when it may wait, or for how many seconds more, one of them."""

    until = serializers.DateTimeField(required=False)
    by_s = StrictInteger(min_value=1, max_value=MAX_INTEGER, required=False)
    reason = Text(max_length=MAX_REASON)


class EscalateBody(StrictSerializer):
    """Why somebody else must see to it."""

    reason = Text(max_length=MAX_REASON)


class Move(PersonView):
    """What one person does with an item besides deciding: the answer is the item as its list shows it."""

    wants: ClassVar[type[StrictSerializer]]
    fits_drills: ClassVar[bool] = False

    def move(self, request: Request, escalation_id: UUID, service: Callable[..., Escalation]) -> Response:
        """Check the body, do it once, show the item."""
        said = self.body(self.wants)
        if not self.fits_drills:
            end_touched_drill(self.actor, escalation_id=escalation_id)

        def answer() -> tuple[int, Any]:
            service(self.actor, escalation_id=escalation_id, **said)
            return 200, row_for(self.actor, escalation_for(self.actor, escalation_id))

        return self.once(answer)


class Delegate(Move):
    """``/escalations/{id}/delegate/``."""

    wants = DelegateBody

    @extend_schema(operation_id="delegate_escalation", request=DelegateBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Ask somebody who may decide it to do so in your stead; together you have one vote."""
        return self.move(request, escalation_id, delegate_escalation)


class Reassign(Move):
    """``/escalations/{id}/reassign/``."""

    wants = ReassignBody

    @extend_schema(operation_id="reassign_escalation", request=ReassignBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Bring it to another queue, or give it to a person."""
        return self.move(request, escalation_id, reassign_escalation)


class SnoozeView(Move):
    """``/escalations/{id}/snooze/``."""

    wants = SnoozeBody
    fits_drills = True

    @extend_schema(operation_id="snooze_escalation", request=SnoozeBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Put it aside for yourself, at most until four fifths of its time are over."""
        return self.move(request, escalation_id, snooze_escalation)


class Extend(Move):
    """``/escalations/{id}/extend/``."""

    wants = ExtendBody

    @extend_schema(operation_id="extend_escalation", request=ExtendBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Give it more time, at most twice what its queue gives."""
        return self.move(request, escalation_id, extend_escalation)


class Escalate(Move):
    """``/escalations/{id}/escalate/``."""

    wants = EscalateBody

    @extend_schema(operation_id="escalate_escalation", request=EscalateBody, responses={200: EscalationRow, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Bring it to the next level now."""
        return self.move(request, escalation_id, escalate_by_hand)
