"""Endpoints that say how autonomous an agent is with each operation, and propose another level."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.selectors import agent_for
from apps.console.selectors.agents import OperationInWords, level_word_for, words_for
from apps.core.api import PlaneView, StrictSerializer, Text, known_params
from apps.core.schema import PROBLEMS
from apps.policies.models import Proposal
from apps.policies.rules import ProposalState
from apps.policies.rules.levels import LevelWish, level_slug
from apps.policies.selectors import policy_for
from apps.policies.services import propose_level

PUBLISH = "policies.publish_policy"


class AutonomyLevelBody(StrictSerializer):
    """``people``: whatever it asks is denied. ``asks``: each time, the people of ``queue``. ``rules``: no own rule."""

    operation = Text(max_length=120)
    level = serializers.ChoiceField([wish.value for wish in LevelWish])
    policy = Text(max_length=63)
    queue = Text(max_length=63, required=False, allow_blank=True)
    reason = Text(max_length=500)


class AutonomyLevelSerializer(serializers.Serializer[Any]):
    """How autonomous an agent is with one operation, as the rules in force have it: 0 people only, 2 asks, 4 acts."""

    operation = serializers.CharField()
    level = serializers.IntegerField()


class AutonomyLevelList(serializers.Serializer[Any]):
    """Those of all operations that it was granted."""

    results = AutonomyLevelSerializer(many=True)


class AutonomyLevelProposal(serializers.Serializer[Any]):
    """The proposal that would make it so; ``released``: it is in force already, as it only denies more."""

    id = serializers.UUIDField()
    policy = serializers.CharField()
    version = serializers.IntegerField()
    rule = serializers.CharField()
    state = serializers.ChoiceField([state.value for state in ProposalState])


def level_json(word: OperationInWords) -> dict[str, Any]:
    """The level as ``AutonomyLevelSerializer`` describes it."""
    return {"operation": word.use.operation.slug, "level": word.autonomy}


def made_json(made: Proposal, rule: str) -> dict[str, Any]:
    """The proposal as ``AutonomyLevelProposal`` describes it."""
    version = made.version.number
    return {"id": made.pk, "policy": made.policy.slug, "version": version, "rule": rule, "state": made.state}


class AgentLevels(PlaneView):
    """``/agents/{slug}/levels/``."""

    @extend_schema(operation_id="list_agent_levels", responses={200: AutonomyLevelList, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """How autonomous the agent is with each operation that it was granted."""
        known_params(request)
        agent = agent_for(self.actor, slug)
        return Response({"results": [level_json(word) for word in words_for(self.actor, agent)]})

    @extend_schema(
        operation_id="propose_agent_level",
        request=AutonomyLevelBody,
        responses={200: AutonomyLevelProposal, 202: AutonomyLevelProposal, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Propose another level: a rule for this agent and operation. 200: in force; 202: somebody else releases it."""
        body: dict[str, Any] = self.body(AutonomyLevelBody)

        def answer() -> tuple[int, Any]:
            agent = agent_for(self.actor, slug)
            operation = level_word_for(self.actor, agent, body["operation"]).use.operation.slug
            policy = policy_for(self.actor, body["policy"], perm=PUBLISH)
            made = propose_level(
                self.actor,
                agent=agent,
                operation=operation,
                policy=policy,
                wish=LevelWish(body["level"]),
                queue=body.get("queue", ""),
                reason=body["reason"],
                instead_of=policy.in_force.number if policy.in_force else 0,
            )
            told = made_json(made, level_slug(agent.slug, operation))
            return (202 if made.state == ProposalState.OPEN else 200), told

        return self.once(answer)
