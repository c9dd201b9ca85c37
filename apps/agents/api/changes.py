"""Endpoints that move agents along their life, alone or with a second person."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.api.agents import AgentSerializer, agent_json
from apps.agents.models import ChangeRequest
from apps.agents.rules import GATE_DAYS, AgentState, ChangeEnd, ChangeKind, Handover, Proof
from apps.agents.selectors import agent_for, change_for, changes_for, gate_for
from apps.agents.services import agree_to_change, ask_change, drop_change
from apps.core.api import PlaneView, StrictBoolean, StrictSerializer, Text, known_params, page_of
from apps.core.schema import PROBLEMS

MANAGE = "agents.manage_agent"


class StateBody(StrictSerializer):
    """Where the agent's life goes on."""

    state = serializers.ChoiceField([state.value for state in AgentState])
    reason = Text(max_length=500, required=False, allow_blank=True)
    override = StrictBoolean(required=False, help_text="Active although the gate says no: somebody else has to agree.")


class AgentChangeBody(StrictSerializer):
    """What of the agent is to be another, and why: its state, its risk tier, its unit, or the number of its version."""

    kind = serializers.ChoiceField([kind.value for kind in ChangeKind])
    to = Text(max_length=63)
    handover = serializers.ChoiceField(
        [handover.value for handover in Handover],
        required=False,
        help_text="Of a version: the one before finishes what it holds (drain), or its tasks go back to the queue.",
    )
    reason = Text(max_length=500, required=False, allow_blank=True)
    override = StrictBoolean(required=False, help_text="Active although the gate says no: somebody else has to agree.")


class AgentChangeDropBody(StrictSerializer):
    """Why it is refused; whoever asked for it may withdraw it without."""

    reason = Text(max_length=500, required=False, allow_blank=True)


class AgentChangeAgreeBody(StrictSerializer):
    """Nothing to say."""


class AgentChangeSerializer(serializers.Serializer[Any]):
    """A change that takes two people: who asked, why, until when somebody else can agree, what became of it."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in ChangeKind])
    basis = serializers.CharField()
    to = serializers.CharField()
    handover = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    overridden = serializers.ListField(child=serializers.CharField())
    leaves = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Of a move: rules and budgets that would hold no more, and what would come to let through.",
    )
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_by = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField([end.value for end in ChangeEnd], allow_null=True)


class AgentChangePage(serializers.Serializer[Any]):
    """A page of them."""

    results = AgentChangeSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def change_json(change: ChangeRequest) -> dict[str, Any]:
    """The change as ``AgentChangeSerializer`` describes it."""
    names = ("id", "kind", "basis", "to", "reason", "overridden", "leaves", "expires_at")
    return {
        **{name: getattr(change, name) for name in names},
        "agent": change.agent.slug,
        "asked_by": change.asked_by.username,
        "asked_at": change.created_at,
        "handover": change.handover or None,
        "ended_by": change.ended_by.username if change.ended_by else None,
        "outcome": change.outcome or None,
    }


MADE_OR_ASKED = {200: AgentSerializer, 202: AgentChangeSerializer, **PROBLEMS}


class AgentStateView(PlaneView):
    """``/agents/{slug}/state/``."""

    @extend_schema(operation_id="change_agent_state", request=StateBody, responses=MADE_OR_ASKED)
    def post(self, request: Request, slug: str) -> Response:
        """Move an agent along its life; it acts on the agent's next request. 202: somebody else has to agree first."""
        body = self.body(StateBody)
        return self.once(lambda: self.ask(slug, kind="state", to=body.pop("state"), **body))

    def ask(self, slug: str, **asked: Any) -> tuple[int, Any]:
        """Make the change, or ask for it."""
        agent = agent_for(self.actor, slug, perm=MANAGE)
        if change := ask_change(self.actor, agent=agent, **asked):
            return 202, change_json(change)
        return 200, agent_json(agent_for(self.actor, slug))


class AgentChanges(AgentStateView):
    """``/agents/{slug}/changes/``."""

    @extend_schema(operation_id="list_agent_changes", responses={200: AgentChangePage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """What somebody asked to change that takes two people, newest first; ``outcome`` null: it waits."""
        known_params(request)
        return page_of(request, changes_for(self.actor, agent_for(self.actor, slug)), change_json)

    @extend_schema(operation_id="change_agent_with_two", request=AgentChangeBody, responses=MADE_OR_ASKED)
    def post(self, request: Request, slug: str) -> Response:
        """Change an agent's state, risk tier, unit or current version.

        202: somebody else has to agree, within seven days.
        """
        body = self.body(AgentChangeBody)
        return self.once(lambda: self.ask(slug, **body))


class ComparedSerializer(serializers.Serializer[Any]):
    """The same share of the version before, over ``n``; ``low`` to ``high``: the 95 % interval of now less before."""

    version = serializers.IntegerField()
    share = serializers.FloatField()
    n = serializers.IntegerField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class CriterionSerializer(serializers.Serializer[Any]):
    """One line of the gate; ``value`` null: there was nothing to measure; ``n``: over how many it was measured."""

    proof = serializers.ChoiceField([proof.value for proof in Proof])
    value = serializers.FloatField(allow_null=True)
    threshold = serializers.FloatField()
    n = serializers.IntegerField()
    passed = serializers.BooleanField()
    compared = ComparedSerializer(allow_null=True)


class GateSerializer(serializers.Serializer[Any]):
    """Whether the agent has shown what it takes to be active, line by line."""

    passed = serializers.BooleanField()
    days = serializers.IntegerField()
    criteria = CriterionSerializer(many=True)


class AgentGate(PlaneView):
    """``/agents/{slug}/gate/``."""

    @extend_schema(operation_id="get_agent_gate", responses={200: GateSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """What the agent's present version did in 90 days against each line of the gate between pilot and active."""
        lines = gate_for(self.actor, agent_for(self.actor, slug))
        criteria = [asdict(line) for line in lines]
        return Response({"passed": all(line.passed for line in lines), "days": GATE_DAYS, "criteria": criteria})


class AgentChangeAgreement(PlaneView):
    """``/agents/{slug}/changes/{id}/agree/``."""

    @extend_schema(
        operation_id="agree_to_agent_change",
        request=AgentChangeAgreeBody,
        responses={200: AgentSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """Agree with what somebody else asked for: it is made."""
        self.body(AgentChangeAgreeBody)

        def answer() -> tuple[int, Any]:
            agent = agent_for(self.actor, slug, perm=MANAGE)
            agree_to_change(self.actor, change=change_for(self.actor, agent, change_id))
            return 200, agent_json(agent_for(self.actor, slug))

        return self.once(answer)


class AgentChangeEnd(PlaneView):
    """``/agents/{slug}/changes/{id}/drop/``."""

    @extend_schema(
        operation_id="drop_agent_change",
        request=AgentChangeDropBody,
        responses={200: AgentChangeSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str, change_id: UUID) -> Response:
        """Withdraw what one asked for, or refuse what somebody else did, with a reason. Nothing changes."""
        reason = self.body(AgentChangeDropBody).get("reason", "")

        def answer() -> tuple[int, Any]:
            agent = agent_for(self.actor, slug, perm=MANAGE)
            change = change_for(self.actor, agent, change_id)
            return 200, change_json(drop_change(self.actor, change=change, reason=reason))

        return self.once(answer)
