"""Endpoints of units, roles, people and queues."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from apps.access.authentication import PersonalTokenAuthentication


class PersonalTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular's registry
    """How the schema names it."""

    target_class = PersonalTokenAuthentication
    name = "personalToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "acp_pat_..."}
