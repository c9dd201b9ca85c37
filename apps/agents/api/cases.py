"""Endpoints of the tests that are stored with an agent: what it would ask for, and what it should be told."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent, AgentCase
from apps.agents.rules.cases import CaseResult, Expected
from apps.agents.selectors import agent_for, case_for, cases_for, trial_for
from apps.agents.services import add_case, change_case, remove_case
from apps.core.api import EmptyBody, JsonObject, PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.gate import refuse_agents
from apps.core.schema import PROBLEMS

MANAGE = "agents.manage_agent"
EXPECTED = [expected.value for expected in Expected]


class CaseBody(StrictSerializer):
    """One test. ``expect``: ``refused`` where it should not come to the rules at all."""

    name = Text(max_length=80)
    operation = Text(max_length=120)
    parameters = JsonObject()
    expect = serializers.ChoiceField(EXPECTED)


class CaseSerializer(serializers.Serializer[Any]):
    """A stored test."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    operation = serializers.CharField()
    parameters = serializers.JSONField()
    expect = serializers.ChoiceField(EXPECTED)
    by = serializers.CharField()
    at = serializers.DateTimeField()


class CasePage(serializers.Serializer[Any]):
    """A page of them."""

    results = CaseSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class CaseResultSerializer(serializers.Serializer[Any]):
    """What came of one; ``why``: the rule that decided, or why it was refused."""

    name = serializers.CharField()
    operation = serializers.CharField()
    passed = serializers.BooleanField()
    expected = serializers.CharField()
    got = serializers.CharField(allow_blank=True)
    why = serializers.CharField(allow_blank=True)


class TrialSerializer(serializers.Serializer[Any]):
    """All of them, run just now. ``allowed_again``: of ``rejected`` actions, those that nobody would be asked about."""

    results = CaseResultSerializer(many=True)
    broken = serializers.IntegerField()
    rejected = serializers.IntegerField()
    allowed_again = serializers.ListField(child=serializers.UUIDField())


def case_json(case: AgentCase) -> dict[str, Any]:
    """The test as ``CaseSerializer`` describes it."""
    return {"id": case.pk, **case.said, "by": case.made_by.username, "at": case.created_at}


def result_json(result: CaseResult) -> dict[str, Any]:
    """The result as ``CaseResultSerializer`` describes it."""
    names = ("name", "operation", "passed", "expected", "got", "why")
    return {name: getattr(result, name) for name in names}


class AgentTests(PlaneView):
    """``/agents/{slug}/tests/``."""

    @extend_schema(operation_id="list_agent_tests", responses={200: CasePage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """The tests of an agent, newest first."""
        known_params(request)
        return page_of(request, cases_for(self.actor, agent_for(self.actor, slug)), case_json)

    @extend_schema(operation_id="create_agent_test", request=CaseBody, responses={201: CaseSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """Store one more; the agent's gate asks it from then on."""
        agent = managed(self, slug)
        body = self.body(CaseBody)
        return self.once(lambda: (201, case_json(add_case(self.actor, agent=agent, **body))))


class AgentTestDetail(PlaneView):
    """``/agents/{slug}/tests/{id}/``."""

    @extend_schema(operation_id="get_agent_test", responses={200: CaseSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str, case_id: UUID) -> Response:
        """One test."""
        return Response(case_json(case_for(self.actor, agent_for(self.actor, slug), case_id)))

    @extend_schema(operation_id="change_agent_test", request=CaseBody, responses={200: CaseSerializer, **PROBLEMS})
    def put(self, request: Request, slug: str, case_id: UUID) -> Response:
        """Say it otherwise."""
        agent = managed(self, slug)
        case = case_for(self.actor, agent, case_id)
        body = self.body(CaseBody)
        return self.once(lambda: (200, case_json(change_case(self.actor, agent=agent, case=case, **body))))

    @extend_schema(operation_id="delete_agent_test", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str, case_id: UUID) -> Response:
        """Take it away; the gate asks it no more."""
        agent = managed(self, slug)
        remove_case(self.actor, agent=agent, name=case_for(self.actor, agent, case_id).name)
        return Response(status=204)


class AgentTestRun(PlaneView):
    """``/agents/{slug}/tests/run/``."""

    @extend_schema(operation_id="run_agent_tests", request=None, responses={200: TrialSerializer, **PROBLEMS})
    def post(self, request: Request, slug: str) -> Response:
        """What the plane would say to each test now, and to what people rejected. Nothing runs, nobody is asked."""
        agent = managed(self, slug)
        self.only(EmptyBody)
        trial = trial_for(self.actor, agent)
        return Response(
            {
                "results": [result_json(result) for result in trial.results],
                "broken": trial.broken,
                "rejected": trial.rejected,
                "allowed_again": list(trial.allowed_again),
            }
        )


def managed(view: PlaneView, slug: str) -> Agent:
    """The agent, for a person who manages it. Raises NotAllowedError, NotFoundError."""
    refuse_agents(view.actor)
    return agent_for(view.actor, slug, perm=MANAGE)
