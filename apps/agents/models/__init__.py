"""Agents, their versions and credentials, and the actions they ask for."""

from apps.agents.models.access_tokens import AccessToken, SpentAssertion
from apps.agents.models.actions import Action
from apps.agents.models.agents import Agent, AgentCredential, AgentVersion
from apps.agents.models.cases import AgentCase
from apps.agents.models.changes import ChangeRequest
from apps.agents.models.rates import RequestRate
from apps.agents.models.repetitions import Repetition

__all__ = [
    "AccessToken",
    "Action",
    "Agent",
    "AgentCase",
    "AgentCredential",
    "AgentVersion",
    "ChangeRequest",
    "Repetition",
    "RequestRate",
    "SpentAssertion",
]
