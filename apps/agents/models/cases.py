"""Tests that are stored with an agent."""

from typing import Any

from django.db import models

from apps.agents.models.agents import Agent
from apps.agents.rules.cases import Expected
from apps.core.models import Record, User, choices_of


class AgentCase(Record):
    """What an agent would ask for, and what the plane should say to it. Asked for nothing, it calls nobody."""

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="cases")
    name = models.CharField(max_length=80)
    operation = models.CharField(max_length=120)
    parameters: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    expected = models.CharField(max_length=16, choices=choices_of(Expected))
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["agent", "name"], name="agent_case_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.agent}"

    @property
    def said(self) -> dict[str, Any]:
        """As a document has it."""
        return {
            "name": self.name,
            "operation": self.operation,
            "parameters": self.parameters,
            "expect": self.expected,
        }
