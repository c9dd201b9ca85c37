"""How often an agent asks."""

from django.db import models

from apps.agents.models.agents import Agent


class RequestRate(models.Model):
    """The requests of one agent in one minute: one row per agent, written only where its requests are limited."""

    agent = models.OneToOneField(Agent, models.CASCADE, primary_key=True, related_name="+")
    minute = models.DateTimeField()
    requests = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.requests} of {self.agent_id}"
