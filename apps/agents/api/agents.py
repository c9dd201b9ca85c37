"""Endpoints of agents: who I am, the inventory, keys."""

from typing import Any
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_for
from apps.agents.authentication import AgentKeyAuthentication
from apps.agents.models import Agent, AgentCredential
from apps.agents.rules import Environment
from apps.agents.selectors import agent_for, agents_for, credentials_for
from apps.agents.services import (
    create_credential,
    register_public_key,
    revoke_credential,
    save_agent,
)
from apps.core.api import (
    AnyJson,
    JsonObject,
    PlaneView,
    StrictInteger,
    StrictSerializer,
    Text,
    known_params,
    page_of,
)
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import MAX_INTEGER, MAX_NETWORKS, Risk
from apps.core.schema import PROBLEMS
from apps.halts.selectors import affecting_for

MANAGE = "agents.manage_agent"


class AgentKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular's registry
    """How the schema names it."""

    target_class = AgentKeyAuthentication
    name = "agentKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer key."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "acp_agt_... or a token of /oauth/token; Acp-Agent-Version names the version",
        }


class AgentBody(StrictSerializer):
    """An agent as an admin writes it."""

    slug = serializers.SlugField(max_length=63)
    name = Text(max_length=120)
    unit = Text(max_length=63)
    owner = Text(max_length=150)
    risk = serializers.ChoiceField([risk.value for risk in Risk], required=False)
    purpose = Text(max_length=500, required=False, allow_blank=True)
    known_limits = Text(max_length=500, required=False, allow_blank=True)
    capabilities = serializers.ListField(child=Text(max_length=120), max_length=100, required=False)
    limits = JsonObject(required=False)


class AgentChange(AgentBody):
    """What of an agent can be changed; what is left out stays."""

    slug = None  # type: ignore[assignment] # the address names it
    name = Text(max_length=120, required=False)
    unit = Text(max_length=63, required=False)
    owner = Text(max_length=150, required=False)


class CredentialBody(StrictSerializer):
    """A new key."""

    days = StrictInteger(min_value=1, max_value=90, required=False)
    version = StrictInteger(min_value=1, max_value=MAX_INTEGER, required=False, help_text="Act as this one only.")
    environment = serializers.ChoiceField(
        [each.value for each in Environment],
        required=False,
        help_text="Of a test key nothing outside is called, and no figure counts it; drafts act with one alone.",
    )
    networks = serializers.ListField(
        child=Text(max_length=50),
        max_length=MAX_NETWORKS,
        required=False,
        help_text="From where alone it may be used: 10.0.0.0/8, 2001:db8::/32.",
    )
    public_key = AnyJson(required=False, help_text="PEM or a JWK: the agent signs, and nothing secret is made.")


class AgentSerializer(serializers.Serializer[Any]):
    """An agent."""

    slug = serializers.CharField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    known_limits = serializers.CharField()
    unit = serializers.CharField()
    owner = serializers.CharField()
    risk = serializers.CharField()
    state = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    limits = serializers.JSONField()


class AgentPage(serializers.Serializer[Any]):
    """A page of agents."""

    results = AgentSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class MeSerializer(serializers.Serializer[Any]):
    """Who I am."""

    kind = serializers.CharField()
    username = serializers.CharField()
    name = serializers.CharField()
    agent = AgentSerializer(allow_null=True)
    environment = serializers.CharField(allow_null=True)
    halts = serializers.JSONField()


class CredentialSerializer(serializers.Serializer[Any]):
    """A key: never its secret, but for ``key`` in the answer that made it."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(["key", "public_key"])
    key_id = serializers.CharField()
    algorithm = serializers.CharField(help_text="By which a public key signs; empty for a key.")
    thumbprint = serializers.CharField(help_text="Of a public key, as RFC 7638 makes it; empty for a key.")
    environment = serializers.CharField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    networks = serializers.ListField(child=serializers.CharField())
    refusals = serializers.IntegerField(help_text="How often it was used dead, or from elsewhere.")
    key = serializers.CharField(required=False)


class CredentialPage(serializers.Serializer[Any]):
    """A page of keys."""

    results = CredentialSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def agent_json(agent: Agent) -> dict[str, Any]:
    """The agent as ``AgentSerializer`` describes it."""
    return {
        "slug": agent.slug,
        "name": agent.name,
        "purpose": agent.purpose,
        "known_limits": agent.known_limits,
        "unit": agent.unit.slug,
        "owner": agent.owner.username,
        "risk": agent.risk,
        "state": agent.state,
        "version": agent.version.number if agent.version else None,
        "capabilities": agent.capabilities,
        "limits": agent.limits,
    }


def credential_json(credential: AgentCredential, key: str = "") -> dict[str, Any]:
    """The key as ``CredentialSerializer`` describes it."""
    names = ("id", "key_id", "environment", "expires_at", "revoked_at", "last_used_at", "networks", "refusals")
    found = {name: getattr(credential, name) for name in (*names, "kind", "algorithm", "thumbprint")}
    return {**found, "key": key} if key else found


def references(actor: User, body: dict[str, Any]) -> dict[str, Any]:
    """The body with its slugs looked up. Raises InvalidError for what is not there, or not the actor's."""
    found: dict[str, Any] = dict(body)
    if "unit" in body:
        found["unit"] = _unit(actor, body["unit"])
    if "owner" in body:
        owner = User.objects.filter(username=body["owner"], kind="human").first()
        if owner is None:
            raise InvalidError(errors={"owner": ["There is no such person."]})
        found["owner"] = owner
    return found


def _unit(actor: User, slug: str) -> BusinessUnit:
    try:
        return unit_for(actor, slug, perm=MANAGE)
    except NotFoundError as error:
        raise InvalidError(errors={"unit": ["There is no such unit, or you manage no agents there."]}) from error


class Me(PlaneView):
    """``/me/``."""

    @extend_schema(operation_id="who_am_i", responses={200: MeSerializer, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Who I am, my state, version and limits, and the halts that affect me."""
        actor = self.actor
        agent = actor.agent if actor.is_agent else None
        halts = [
            {"scope": halt.scope, "target": halt.target, "reason": halt.reason, "since": halt.created_at}
            for halt in affecting_for(
                actor,
                agent=agent.slug if agent else "",
                version=agent.acts_as if agent else "",
                unit_id=agent.unit_id if agent else None,
            )
        ]
        return Response(
            {
                "kind": actor.kind,
                "username": actor.username,
                "name": str(actor),
                "agent": agent_json(agent) if agent else None,
                "environment": agent.environment if agent else None,
                "halts": halts,
            }
        )


class Agents(PlaneView):
    """``/agents/``."""

    @extend_schema(operation_id="list_agents", responses={200: AgentPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Agents that you may see, by slug; filters ``state``, ``unit``, ``q``."""
        known_params(request, "state", "unit", "q")
        rows = agents_for(self.actor)
        for name, path in (("state", "state"), ("unit", "unit__slug"), ("q", "name__icontains")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{path: value})
        return page_of(request, rows, agent_json, order=("slug",))

    @extend_schema(operation_id="create_agent", request=AgentBody, responses={201: AgentSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Make an agent; it begins as a draft."""
        body = references(self.actor, self.body(AgentBody))

        def answer() -> tuple[int, Any]:
            if Agent.objects.filter(slug=body["slug"]).exists():
                raise ConflictError("An agent with this slug exists.")
            agent, _outcome = save_agent(self.actor, **body)
            return 201, agent_json(agent)

        return self.once(answer)


class AgentDetail(PlaneView):
    """``/agents/{slug}/``."""

    @extend_schema(operation_id="get_agent", responses={200: AgentSerializer, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """One agent."""
        return Response(agent_json(agent_for(self.actor, slug)))

    @extend_schema(operation_id="change_agent", request=AgentChange, responses={200: AgentSerializer, **PROBLEMS})
    def patch(self, request: Request, slug: str) -> Response:
        """Change an agent; what is left out stays."""
        agent = agent_for(self.actor, slug, perm=MANAGE)
        body = references(self.actor, self.body(AgentChange))
        names = ("name", "unit", "owner", "risk", "purpose", "known_limits", "capabilities", "limits")
        values = {name: body.get(name, getattr(agent, name)) for name in names}

        def answer() -> tuple[int, Any]:
            changed, _outcome = save_agent(self.actor, slug=slug, **values)
            return 200, agent_json(changed)

        return self.once(answer)


class AgentCredentials(PlaneView):
    """``/agents/{slug}/credentials/``."""

    @extend_schema(operation_id="list_agent_credentials", responses={200: CredentialPage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """An agent's keys, newest first; never their secrets."""
        known_params(request)
        agent = agent_for(self.actor, slug, perm=MANAGE)
        return page_of(request, credentials_for(self.actor, agent), credential_json)

    @extend_schema(
        operation_id="create_agent_credential",
        request=CredentialBody,
        responses={201: CredentialSerializer, **PROBLEMS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a key. ``key`` is in this answer and nowhere else, so this answer is not kept for a repeat.

        With ``public_key`` none is made: the agent signs with its own, and asks ``/oauth/token`` for tokens.
        """
        agent = agent_for(self.actor, slug, perm=MANAGE)
        body = self.body(CredentialBody)
        if "public_key" in body:
            return Response(credential_json(register_public_key(self.actor, agent=agent, **body)), status=201)
        issued = create_credential(self.actor, agent=agent, **body)
        return Response(credential_json(issued.credential, issued.text), status=201)


class AgentCredentialDetail(PlaneView):
    """``/agents/{slug}/credentials/{id}/``."""

    @extend_schema(operation_id="revoke_agent_credential", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str, credential_id: UUID) -> Response:
        """Revoke a key; it acts on the next request."""
        agent = agent_for(self.actor, slug, perm=MANAGE)
        credential = credentials_for(self.actor, agent).filter(pk=credential_id).select_related("agent__unit").first()
        if credential is None:
            raise NotFoundError
        revoke_credential(self.actor, credential=credential)
        return Response(status=204)
