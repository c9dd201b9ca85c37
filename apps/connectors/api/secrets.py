"""Endpoints of secrets: written, rotated, destroyed; read by nobody."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import services
from apps.connectors.api.connectors import SecretSerializer, secret_json
from apps.connectors.selectors import connector_for, secrets_for
from apps.connectors.services.secrets import OVERLAP_S_MAX
from apps.core.api import PlaneView, StrictInteger, StrictSerializer, Text, known_params
from apps.core.gate import require_human
from apps.core.schema import PROBLEMS


class SecretBody(StrictSerializer):
    """A secret; it is never answered again. ``overlap_s``: how long the one before stands in; 0: destroyed at once."""

    secret = Text(max_length=4096, trim_whitespace=False)
    overlap_s = StrictInteger(min_value=0, max_value=OVERLAP_S_MAX, required=False)


class SecretVersions(serializers.Serializer[Any]):
    """All versions; there is no next page."""

    results = SecretSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ConnectorSecretView(PlaneView):
    """``/connectors/{slug}/secret/``."""

    @extend_schema(
        operation_id="set_connector_secret", request=SecretBody, responses={200: SecretSerializer, **PROBLEMS}
    )
    def put(self, request: Request, slug: str) -> Response:
        """Set or rotate the secret. Only its fingerprint is answered; the one before ends at once, or later."""
        connector = connector_for(self.actor, slug)
        made, _outcome = services.set_secret(self.actor, connector=connector, **self.body(SecretBody))
        return Response(secret_json(made))

    @extend_schema(operation_id="drop_connector_secret", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Destroy the secret, and the one that stands in for it."""
        services.drop_secret(self.actor, connector=connector_for(self.actor, slug))
        return Response(status=204)


class OlderSecretView(PlaneView):
    """``/connectors/{slug}/secret/older/``."""

    @extend_schema(operation_id="drop_older_connector_secret", responses={204: None, **PROBLEMS})
    def delete(self, request: Request, slug: str) -> Response:
        """Destroy the secret that was replaced and stands in still."""
        services.drop_older_secret(self.actor, connector=connector_for(self.actor, slug))
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
