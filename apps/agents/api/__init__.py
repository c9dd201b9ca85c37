"""Endpoints of agents: who I am, the inventory, versions, keys, states, stored tests, flags."""

from apps.agents.api.access_tokens import AgentToken, AgentTokens
from apps.agents.api.agents import (
    AgentCredentialDetail,
    AgentCredentials,
    AgentDetail,
    Agents,
    Me,
)
from apps.agents.api.cases import AgentTestDetail, AgentTestRun, AgentTests
from apps.agents.api.changes import AgentChangeAgreement, AgentChangeEnd, AgentChanges, AgentGate, AgentStateView
from apps.agents.api.flags import FlagDismissal, Flags
from apps.agents.api.versions import AgentVersionDetail, AgentVersions

__all__ = [
    "AgentChangeAgreement",
    "AgentChangeEnd",
    "AgentChanges",
    "AgentCredentialDetail",
    "AgentCredentials",
    "AgentDetail",
    "AgentGate",
    "AgentStateView",
    "AgentTestDetail",
    "AgentTestRun",
    "AgentTests",
    "AgentToken",
    "AgentTokens",
    "AgentVersionDetail",
    "AgentVersions",
    "Agents",
    "FlagDismissal",
    "Flags",
    "Me",
]
