"""Endpoints of agents."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from apps.agents.authentication import AgentKeyAuthentication


class AgentKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # drf-spectacular's registry
    """How the schema names it."""

    target_class = AgentKeyAuthentication
    name = "agentKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer key."""
        return {"type": "http", "scheme": "bearer", "description": "acp_agt_..."}
