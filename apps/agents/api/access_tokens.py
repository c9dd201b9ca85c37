"""Endpoints of the tokens that agents have asked for."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.api.agents import MANAGE
from apps.agents.models import AccessToken
from apps.agents.selectors import access_token_for, access_tokens_for, agent_for
from apps.agents.services import revoke_access_token
from apps.core.api import PlaneView, known_params, page_of
from apps.core.schema import PROBLEMS


class AccessTokenSerializer(serializers.Serializer[Any]):
    """A token that lives: never its text."""

    id = serializers.UUIDField()
    token_id = serializers.CharField()
    key_id = serializers.CharField(help_text="Of the key or public key for which it was given.")
    environment = serializers.CharField()
    resource = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class AccessTokenPage(serializers.Serializer[Any]):
    """A page of them."""

    results = AccessTokenSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def access_token_json(token: AccessToken) -> dict[str, Any]:
    """The token as ``AccessTokenSerializer`` describes it."""
    names = ("id", "resource", "created_at", "expires_at")
    found = {name: getattr(token, name) for name in names}
    credential = token.credential
    return {**found, "token_id": token.key_id, "key_id": credential.key_id, "environment": credential.environment}


class AgentTokens(PlaneView):
    """``/agents/{slug}/tokens/``."""

    @extend_schema(operation_id="list_agent_tokens", responses={200: AccessTokenPage, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """The tokens of an agent that live, newest first; never their texts."""
        known_params(request)
        agent = agent_for(self.actor, slug, perm=MANAGE)
        return page_of(request, access_tokens_for(self.actor, agent), access_token_json)


class AgentToken(PlaneView):
    """``/agents/{slug}/tokens/{id}/``."""

    @extend_schema(operation_id="revoke_agent_token", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str, access_token_id: UUID) -> Response:
        """End a token; it acts on the next request. The key for which it was given may ask for another."""
        agent = agent_for(self.actor, slug, perm=MANAGE)
        revoke_access_token(self.actor, token=access_token_for(self.actor, agent, access_token_id))
        return Response(status=204)
