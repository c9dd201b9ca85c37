"""What agents ask for beyond what they may use, and what is taken from them together."""

from typing import Any

from django.db import models
from django.db.models import Q

from apps.agents.models import Agent
from apps.connectors.rules.requests import RequestEnd
from apps.core.models import ClockTimestamp, Record, User, choices_of


class RightSizing(Record):
    """That an agent's permissions were narrowed together: what each was and became, so that it can be taken back.

    ``before`` and ``after``: ``[{operation, fields, until, limit}]``; what is in one alone was revoked.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="right_sizings")
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    before: "models.JSONField[Any, Any]" = models.JSONField()
    after: "models.JSONField[Any, Any]" = models.JSONField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["agent", "-id"], name="right_sizing_by_agent")]

    def __str__(self) -> str:
        return f"{self.agent} was narrowed"


class AccessRequest(Record):
    """An agent asks for an operation that it may not use, or not with these ``fields`` (None: with all).

    ``operation`` is what it wrote: there may be none of this name, and the agent is not told. ``reason`` is the agent's
    own text. ``times``: how often it asked meanwhile; ``answer``: why people said yes or no.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="access_requests")
    operation = models.CharField(max_length=120)
    fields: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    days = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=500)
    times = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=7, choices=choices_of(RequestEnd), blank=True)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "operation"], condition=Q(ended_at=None), name="access_requested_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="access_request_ends_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} asks for {self.operation}"

    @staticmethod
    def open() -> Q:
        """Waits for people, by the database's clock."""
        return Q(ended_at=None, expires_at__gt=ClockTimestamp())
