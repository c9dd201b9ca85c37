"""Endpoints of one's own tokens for scripts."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import PersonalToken
from apps.access.rules import PERMISSIONS
from apps.access.selectors import token_for, tokens_for
from apps.access.services import create_token, revoke_token
from apps.access.services.tokens import MAX_DAYS, NAME_MAX, token_behind
from apps.core.api import PlaneView, StrictBoolean, StrictInteger, StrictSerializer, Text, known_params, page_of
from apps.core.errors import NotAllowedError
from apps.core.gate import require_human
from apps.core.schema import PROBLEMS


class TokenBody(StrictSerializer):
    """A new token: what it is for, how long it lives, which of one's rights it carries (left out or null: all)."""

    name = Text(max_length=NAME_MAX, required=False, allow_blank=True)
    days = StrictInteger(min_value=1, max_value=MAX_DAYS, required=False)
    permissions = serializers.ListField(
        child=Text(max_length=80), max_length=len(PERMISSIONS), required=False, allow_null=True
    )
    read_only = StrictBoolean(required=False)  # type: ignore[assignment] # its name in the interface


class TokenSerializer(serializers.Serializer[Any]):
    """A token: never its secret, but for ``token`` in the answer that made it."""

    id = serializers.UUIDField()
    key_id = serializers.CharField()
    name = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField(), allow_null=True)
    read_only = serializers.BooleanField()  # type: ignore[assignment] # as above
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    token = serializers.CharField(required=False)


class TokenPage(serializers.Serializer[Any]):
    """A page of them."""

    results = TokenSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def token_json(token: PersonalToken, text: str = "") -> dict[str, Any]:
    """The token as ``TokenSerializer`` describes it."""
    names = ("id", "key_id", "name", "permissions", "read_only", "expires_at", "revoked_at", "last_used_at")
    found = {name: getattr(token, name) for name in names}
    return {**found, "token": text} if text else found


class OwnTokens(PlaneView):
    """``/me/tokens/``."""

    @extend_schema(operation_id="list_own_tokens", responses={200: TokenPage, **PROBLEMS})
    def get(self, request: Request) -> Response:
        """Your tokens, newest first; never their secrets."""
        known_params(request)
        require_human(self.actor)
        return page_of(request, tokens_for(self.actor), token_json)

    @extend_schema(operation_id="create_own_token", request=TokenBody, responses={201: TokenSerializer, **PROBLEMS})
    def post(self, request: Request) -> Response:
        """Make a token, signed in. ``token`` is in this answer and nowhere else, so it is not kept for a repeat."""
        require_human(self.actor)
        if isinstance(request.auth, PersonalToken):
            raise NotAllowedError("A token makes no token: sign in.")
        text = create_token(self.actor, user=self.actor, **self.body(TokenBody))
        return Response(token_json(token_behind(text), text), status=201)


class OwnToken(PlaneView):
    """``/me/tokens/{id}/``."""

    @extend_schema(operation_id="revoke_own_token", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke one of your tokens; it acts on the next request."""
        revoke_token(self.actor, token=token_for(self.actor, token_id))
        return Response(status=204)
