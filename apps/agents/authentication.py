"""Agents' keys and tokens at the API's door."""

from typing import Any

from rest_framework.authentication import BaseAuthentication

from apps.agents.models import AgentCredential
from apps.agents.services import access_tokens, authenticate_agent
from apps.agents.services.credentials import PREFIX, act_as
from apps.agents.services.rates import count_request
from apps.core.authentication import bearer_of, resource_of_api
from apps.core.http import caller_address
from apps.core.models import User


class AgentKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer acp_agt_...`` or ``acp_tok_...``: an agent. The agent is ``request.user.agent``."""

    def authenticate(self, request: Any) -> tuple[User, AgentCredential] | None:
        """The agent's principal, with the credential. Whether the agent may act is the pipeline's question.

        Raises RateLimitedError where the agent's requests are limited and it asks too often.
        """
        token = bearer_of(request)
        if token is None or not token.startswith((f"{PREFIX}_", f"{access_tokens.PREFIX}_")):
            return None
        address = caller_address(request)
        if token.startswith(f"{PREFIX}_"):
            credential = authenticate_agent(token, address=address)
        else:
            credential = access_tokens.authenticate_access_token(token, resource=resource_of_api(), address=address)
        count_request(credential.agent)  # before anything is written of the request
        act_as(credential, request.headers.get("Acp-Agent-Version", ""))
        user = credential.agent.user
        user.agent = credential.agent  # the row that the key found: no second query for it
        return user, credential

    def authenticate_header(self, request: Any) -> str:
        """So that a missing credential is 401, not 403."""
        return "Bearer"
