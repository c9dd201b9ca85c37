"""Endpoints of agents: who I am, the inventory, versions, keys, states, flags."""

from apps.agents.api.agents import (
    AgentCredentialDetail,
    AgentCredentials,
    AgentDetail,
    Agents,
    AgentStateView,
    AgentVersions,
    Me,
)
from apps.agents.api.flags import FlagDismissal, Flags

__all__ = [
    "AgentCredentialDetail",
    "AgentCredentials",
    "AgentDetail",
    "AgentStateView",
    "AgentVersions",
    "Agents",
    "FlagDismissal",
    "Flags",
    "Me",
]
