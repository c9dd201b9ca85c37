"""Endpoints of secrets: written, rotated, destroyed; read by nobody."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.agents.rules import Environment
from apps.connectors import services
from apps.connectors.api.connectors import SecretSerializer, secret_json
from apps.connectors.rules.places import CREDENTIALS
from apps.connectors.selectors import connector_for, secrets_for
from apps.connectors.services.secrets import OVERLAP_S_MAX
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params
from apps.core.errors import InvalidError
from apps.core.gate import require_human
from apps.core.schema import PROBLEMS


class SecretBody(StrictSerializer):
    """A secret; it is never answered again.

    ``environment``: ``test`` opens the test address. ``overlap_s``: how long the one before stands in; 0: not at all.
    """

    secret = Text(max_length=4096, trim_whitespace=False)
    environment = serializers.ChoiceField([one.value for one in Environment], required=False)
    overlap_s = StrictInteger(min_value=0, max_value=OVERLAP_S_MAX, required=False)


class SecretVersions(serializers.Serializer[Any]):
    """All versions; there is no next page."""

    results = SecretSerializer(many=True)
    next = serializers.CharField(allow_null=True)


WHERE = OpenApiParameter("environment", str, enum=[one.value for one in Environment], description="`live` by default.")


def _credential_of(request: Request) -> str:
    """Whose secret ``?environment=`` means; the live one where nothing is said."""
    known_params(request, "environment")
    asked = request.query_params.get("environment", Environment.LIVE)
    if asked not in CREDENTIALS:
        raise InvalidError(errors={"environment": [f"One of: {', '.join(CREDENTIALS)}."]})
    return CREDENTIALS[asked]


class ConnectorSecretView(PlaneView):
    """``/connectors/{slug}/secret/``."""

    @extend_schema(
        operation_id="set_connector_secret", request=SecretBody, responses={200: SecretSerializer, **PROBLEMS}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Set or rotate the secret. Only its fingerprint is answered; the one before ends at once, or later."""
        connector = connector_for(self.actor, slug)
        body = self.body(SecretBody)
        credential = CREDENTIALS[body.pop("environment", Environment.LIVE)]
        made, _outcome = services.set_secret(self.actor, connector=connector, credential=credential, **body)
        return Response(secret_json(made))

    @extend_schema(operation_id="drop_connector_secret", parameters=[WHERE], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Destroy the secret, and the one that stands in for it."""
        connector = connector_for(self.actor, slug)
        services.drop_secret(self.actor, connector=connector, credential=_credential_of(request))
        return Response(status=204)


class OlderSecretView(PlaneView):
    """``/connectors/{slug}/secret/older/``."""

    @extend_schema(operation_id="drop_older_connector_secret", parameters=[WHERE], responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Destroy the secret that was replaced and stands in still."""
        connector = connector_for(self.actor, slug)
        services.drop_older_secret(self.actor, connector=connector, credential=_credential_of(request))
        return Response(status=204)


class ConnectorSecrets(PlaneView):
    """``/connectors/{slug}/secrets/``."""

    @extend_schema(operation_id="list_connector_secrets", responses={200: SecretVersions, **PROBLEMS})
    def get(self, request: Request, slug: str) -> Response:
        """Every version that there was, newest first, for the people who manage the system: fingerprints, who, when."""
        known_params(request)
        connector = connector_for(self.actor, slug)
        require_human(self.actor)
        return Response({"results": [secret_json(found) for found in secrets_for(self.actor, connector)], "next": None})
