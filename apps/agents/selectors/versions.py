"""Versions of agents, and what they say."""

from typing import Any

from django.db.models import QuerySet

from apps.agents.models import Agent, AgentVersion
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User

SAID = ("model", "provider", "instructions", "config")
MAX_DIGITS = 9


def versions_for(actor: User, agent: Agent) -> QuerySet[AgentVersion]:
    """The versions of an agent that ``actor`` may see, newest first."""
    rows = visible(actor, "agents.view_agent", AgentVersion.objects.filter(agent=agent))
    return rows.select_related("made_by").order_by("-number")


def version_for(actor: User, agent: Agent, number: str) -> AgentVersion:
    """One of them by its number. Raises NotFoundError."""
    is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
    if is_number and (found := versions_for(actor, agent).filter(number=int(number)).first()):
        return found
    raise NotFoundError


def described(version: AgentVersion) -> dict[str, Any]:
    """What a version says, by name: all that its digest covers."""
    return {name: getattr(version, name) for name in SAID}
