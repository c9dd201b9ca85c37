"""Proposing a rule because of an item."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api import StrictInteger, StrictSerializer, Text
from apps.core.rules import MAX_INTEGER
from apps.core.schema import PROBLEMS
from apps.oversight.api.people import PersonView
from apps.oversight.selectors import asking_beside, escalation_for, proposed_json
from apps.oversight.services import end_touched_drill, propose_rule
from apps.policies.rules import MAX_QUORUM, PROPOSABLE


class ProposeBody(StrictSerializer):
    """What should hold for the like of the item: allowed up to an amount, denied or asked above it."""

    effect = serializers.ChoiceField([effect.value for effect in PROPOSABLE])
    reason = Text(max_length=500)
    policy = Text(max_length=63, required=False)
    amount_minor = StrictInteger(min_value=0, max_value=MAX_INTEGER, required=False, allow_null=True)
    same_agent = serializers.BooleanField(required=False)
    same_target = serializers.BooleanField(required=False)
    people = StrictInteger(min_value=1, max_value=MAX_QUORUM, required=False)


class ProposedRule(serializers.Serializer[Any]):
    """A draft that was written because of the item; ``GET /proposals/{id}/`` has it whole."""

    id = serializers.UUIDField()
    policy = serializers.CharField()
    version = serializers.IntegerField()
    rule = serializers.CharField()
    effect = serializers.CharField()
    state = serializers.CharField()
    by = serializers.CharField()


class ProposedAnswer(ProposedRule):
    """The draft, and the rules of other policies that would go on asking."""

    still_asking = serializers.ListField(child=serializers.CharField())


class Propose(PersonView):
    """``/escalations/{id}/propose-rule/``."""

    @extend_schema(operation_id="propose_rule", request=ProposeBody, responses={201: ProposedAnswer, **PROBLEMS})
    def post(self, request: Request, escalation_id: UUID) -> Response:
        """Write a draft of the policy that asked; it judges nothing until somebody else publishes its version."""
        said: dict[str, Any] = self.body(ProposeBody)
        item = escalation_for(self.actor, escalation_id)
        end_touched_drill(self.actor, escalation_id=escalation_id)

        def answer() -> tuple[int, Any]:
            made = propose_rule(self.actor, escalation_id=escalation_id, **said)
            beside = asking_beside(self.actor, item, made.policy.slug) if made.effect == "allow" else []
            return 201, {**proposed_json(made), "still_asking": beside}

        return self.once(answer)
