"""The dry run of policies: it needs agents, operations and rules at once, so its door is up here."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import Execution
from apps.agents.selectors import agent_for
from apps.core.api import JsonObject, PlaneView, StrictSerializer, Text
from apps.core.gate import refuse_agents
from apps.core.schema import PROBLEMS
from apps.policies.selectors import matched_rules_for, trace_for
from apps.policies.selectors.quiet import quieted_for
from apps.policies.services import evaluate_action
from apps.workflows.services.actions import Ask, Place
from apps.workflows.services.actions.budgets import weighed_against_budgets
from apps.workflows.services.actions.pipeline import weigh


class EvaluationBody(StrictSerializer):
    """What an agent might ask."""

    agent = Text(max_length=63)
    operation = Text(max_length=120)
    parameters = JsonObject()
    confidence = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    reference = Text(max_length=200, required=False, allow_blank=True)
    on_behalf_of = Text(max_length=150, required=False, allow_blank=True)
    execution = serializers.ChoiceField([execution.value for execution in Execution], required=False)


class EvaluationSerializer(serializers.Serializer[Any]):
    """What would come of it: the verdict with the trace of every rule in scope, and the matched rules in words."""

    agent = serializers.CharField()
    operation = serializers.CharField()
    digest = serializers.CharField()
    consequence = serializers.CharField()
    within_budgets = serializers.BooleanField(allow_null=True, help_text="Now; null where budgets are not asked.")
    verdict = serializers.JSONField()
    sentences = serializers.JSONField()


class PolicyEvaluation(PlaneView):
    """``/policies/evaluate/``."""

    @extend_schema(
        operation_id="evaluate_policies", request=EvaluationBody, responses={200: EvaluationSerializer, **PROBLEMS}
    )
    def post(self, request: Request) -> Response:
        """The verdict that this agent would get. Nothing is stored, nothing runs, nobody is asked."""
        refuse_agents(self.actor)
        body = self.body(EvaluationBody)
        agent = agent_for(self.actor, body.pop("agent"), perm="policies.view_policy")
        weighed = weigh(agent.user, Ask(**body), Place())
        judged = evaluate_action(self.actor, facts=weighed.facts, is_fresh=True)
        said, fits = weighed_against_budgets(self.actor, judged, weighed, Place())
        verdict = quieted_for(self.actor, said.as_json())
        return Response(
            {
                "agent": agent.slug,
                "operation": weighed.permitted.operation.slug,
                "digest": weighed.digest,
                "consequence": weighed.consequence,
                "within_budgets": fits,
                "verdict": {**verdict, "trace": trace_for(self.actor, verdict)},
                "sentences": [card.as_json() for card in matched_rules_for(self.actor, verdict)],
            }
        )
