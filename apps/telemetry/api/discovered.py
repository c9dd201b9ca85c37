"""Endpoints of discovered agents: names under which agents send and that belong to none that is known."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.models import Agent
from apps.agents.rules import MAX_DISMISS_REASON
from apps.agents.selectors import agent_for
from apps.core.api import PlaneView, StrictSerializer, Text, known_params, page_of
from apps.core.errors import InvalidError, NotFoundError
from apps.core.gate import refuse_agents
from apps.core.models import User
from apps.core.schema import PROBLEMS
from apps.telemetry.models import DiscoveredAgent
from apps.telemetry.rules.discovered import DiscoveredState
from apps.telemetry.selectors import decidable_for, discovered_for, one_discovered_for
from apps.telemetry.services import adopt_as_new, adopt_discovered, block_discovered, ignore_discovered

MANAGE = "agents.manage_agent"
SEEN = "The state that you saw: where it is another one by now, nothing is decided (409)."


class DiscoveryBody(StrictSerializer):
    """What is decided of what was seen, and why."""

    seen = serializers.ChoiceField([state.value for state in DiscoveredState], help_text=SEEN)
    reason = Text(max_length=MAX_DISMISS_REASON)


class DiscoveryAdoption(DiscoveryBody):
    """Which agent it is: one that there is (``agent``), or a new draft (``slug``, ``name``, ``owner``)."""

    agent = Text(max_length=63, required=False)
    slug = serializers.SlugField(max_length=63, required=False)
    name = Text(max_length=120, required=False)
    owner = Text(max_length=150, required=False)


class DiscoveryIgnoring(DiscoveryBody):
    """Until when it is let be: within a year."""

    until = serializers.DateTimeField()


class DiscoveredSerializer(serializers.Serializer[Any]):
    """A name under which an agent sent spans and that is none of its own."""

    id = serializers.UUIDField()
    sender = serializers.CharField(help_text="The agent with whose key they were sent.")
    service = serializers.CharField(help_text="service.name, its first 120 characters.")
    state = serializers.CharField(help_text=", ".join(DiscoveredState))
    spans = serializers.IntegerField(help_text="Came under it since it was noted, kept or not.")
    found_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    adopted_as = serializers.CharField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    may_decide = serializers.BooleanField()


class DiscoveredPage(serializers.Serializer[Any]):
    """A page of them."""

    results = DiscoveredSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def discovered_json(found: DiscoveredAgent, decidable: Collection[UUID]) -> dict[str, Any]:
    """It as ``DiscoveredSerializer`` describes it."""
    same = ("service", "state", "spans", "last_at", "until", "decided_at", "reason")
    return {
        "id": found.pk,
        "sender": found.sender.slug,
        **{name: getattr(found, name) for name in same},
        "found_at": found.created_at,
        "adopted_as": found.adopted_as.slug if found.adopted_as else None,
        "decided_by": found.decided_by.username if found.decided_by else None,
        "may_decide": found.state != DiscoveredState.ADOPTED and found.sender_id in decidable,
    }


class DiscoveredAgents(PlaneView):
    """``/discovered-agents/``."""

    @extend_schema(operation_id="list_discovered_agents", responses={200: DiscoveredPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Names that belong to no known agent, those that came last first; filters ``agent`` (sender), ``state``."""
        known_params(request, "agent", "state")
        refuse_agents(self.actor)
        state = request.query_params.get("state", "")
        if state and state not in list(DiscoveredState):
            raise InvalidError(errors={"state": [f"One of: {', '.join(DiscoveredState)}."]})
        rows = discovered_for(self.actor, agent=request.query_params.get("agent", ""), state=state)
        decidable = decidable_for(self.actor)
        return page_of(request, rows, lambda row: discovered_json(row, decidable), order=("-last_at", "-id"))


class Deciding(PlaneView, ABC):
    """What the three decisions share."""

    def decided(self, discovered_id: UUID, body: type[DiscoveryBody]) -> Response:
        """Decide about one that the caller sees."""
        refuse_agents(self.actor)
        found, said = one_discovered_for(self.actor, discovered_id), self.body(body)

        def answer() -> tuple[int, Any]:
            self.decide(found, **said)
            return 200, discovered_json(one_discovered_for(self.actor, discovered_id), decidable_for(self.actor))

        return self.once(answer)

    @abstractmethod
    def decide(self, found: DiscoveredAgent, **said: Any) -> None:
        """The decision."""


class Adoption(Deciding):
    """``/discovered-agents/{id}/adopt/``."""

    @extend_schema(
        operation_id="adopt_discovered_agent",
        request=DiscoveryAdoption,
        responses={200: DiscoveredSerializer, **PROBLEMS},
    )
    def post(self, request: Request, discovered_id: UUID) -> Response:
        """Say which agent it is, or make a draft of it; under this name nothing of its sender is unknown any more."""
        return self.decided(discovered_id, DiscoveryAdoption)

    def decide(self, found: DiscoveredAgent, **said: Any) -> None:
        """An agent that there is, or a new one."""
        new = {name: said.pop(name) for name in ("slug", "name", "owner") if name in said}
        agent = said.pop("agent", "")
        if bool(agent) is bool(new):
            raise InvalidError(errors={"agent": ["Either agent, or slug, name and owner."]})
        if agent:
            adopt_discovered(self.actor, found=found, agent=self._agent(agent), **said)
            return
        if missing := {"slug", "name", "owner"} - new.keys():
            raise InvalidError(errors={name: ["Wanted for a new agent."] for name in sorted(missing)})
        owner = User.objects.filter(username=new.pop("owner"), kind="human").first()
        if owner is None:
            raise InvalidError(errors={"owner": ["There is no such person."]})
        adopt_as_new(self.actor, found=found, owner=owner, **new, **said)

    def _agent(self, slug: str) -> Agent:
        try:
            return agent_for(self.actor, slug, perm=MANAGE)
        except NotFoundError as error:
            raise InvalidError(errors={"agent": ["There is no such agent, or you do not manage it."]}) from error


class Ignoring(Deciding):
    """``/discovered-agents/{id}/ignore/``."""

    @extend_schema(
        operation_id="ignore_discovered_agent",
        request=DiscoveryIgnoring,
        responses={200: DiscoveredSerializer, **PROBLEMS},
    )
    def post(self, request: Request, discovered_id: UUID) -> Response:
        """Let it be for a time; what comes is kept and counted. If it comes afterwards, it is open again."""
        return self.decided(discovered_id, DiscoveryIgnoring)

    def decide(self, found: DiscoveredAgent, **said: Any) -> None:
        """Until then."""
        ignore_discovered(self.actor, found=found, **said)


class Blocking(Deciding):
    """``/discovered-agents/{id}/block/``."""

    @extend_schema(
        operation_id="block_discovered_agent", request=DiscoveryBody, responses={200: DiscoveredSerializer, **PROBLEMS}
    )
    def post(self, request: Request, discovered_id: UUID) -> Response:
        """Take no spans and logs of its sender under this name any more; its key opens what it opened."""
        return self.decided(discovered_id, DiscoveryBody)

    def decide(self, found: DiscoveredAgent, **said: Any) -> None:
        """From the next request on."""
        block_discovered(self.actor, found=found, **said)
