"""How the OpenAPI schema names what every endpoint shares."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from apps.core.api import PROBLEM
from apps.core.authentication import SessionAuthentication


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular's registry
    """How the schema names a person's session."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """The session cookie; writes carry a CSRF token too."""
        name = settings.SESSION_COOKIE_NAME
        return {"type": "apiKey", "in": "cookie", "name": name, "description": "With X-CSRFToken on writes."}


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem document (RFC 9457); further members depend on the code."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(  # type: ignore[assignment] # the member is called so in the RFC
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    request_id = serializers.CharField()


REFUSALS = {
    400: "malformed, idempotency_key_required",
    401: "not_authenticated, credential_expired, credential_revoked",
    403: "not_allowed, not_eligible, agent_inactive, live_only, csrf_failed",
    404: "not_found",
    409: "a conflict; the code says which",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    423: "halted",
    429: "rate_limited",
    503: "unavailable",
}
PROBLEMS: dict[Any, Any] = {
    (status, PROBLEM): OpenApiResponse(ProblemSerializer, description=text) for status, text in REFUSALS.items()
}
"""Every documented refusal, for ``extend_schema(responses=...)``."""

WAIT = [
    OpenApiParameter("wait", int, description="Hold the answer for up to this many seconds (at most 30)."),
    OpenApiParameter("state", str, description="While the state is this one; without it, the one found on arrival."),
]
