"""Changes to agents that take two people."""

from typing import Any

from django.db import models
from django.db.models import Q, Value

from apps.agents.models.agents import Agent
from apps.agents.rules import ChangeEnd, ChangeKind, Handover
from apps.core.models import ClockTimestamp, Record, User, choices_of


class ChangeRequest(Record):
    """Somebody asks to change an agent; somebody else has to agree before ``expires_at``.

    ``to``: the state, the risk tier, the unit's slug, or the number of the version (``handover``: what then becomes of
    what the one before holds); ``basis``: what it was when it was asked for. Where it is something else by then,
    nobody can agree any more: what was weighed is not what would change. ``overridden``: what of the gate it did not
    pass when it was asked for, and who asked wants it all the same. ``leaves``: what
    a move would leave behind, or come under, as ``Left.as_json`` of access says it.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=7, choices=choices_of(ChangeKind))
    to = models.CharField(max_length=63)
    handover = models.CharField(max_length=6, choices=choices_of(Handover), blank=True, default="", db_default="")
    basis = models.CharField(max_length=63)
    reason = models.CharField(max_length=500)
    overridden: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    leaves: "models.JSONField[Any, Any]" = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=9, choices=choices_of(ChangeEnd), blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["agent", "kind"], condition=Q(ended_at=None), name="change_asked_once"),
            models.CheckConstraint(
                condition=~Q(outcome=ChangeEnd.MADE) | Q(ended_by__isnull=False) & ~Q(ended_by=models.F("asked_by")),
                name="change_takes_two_people",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="change_ends_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.agent}: {self.to}"

    @staticmethod
    def open() -> Q:
        """Waits for somebody else, by the database's clock."""
        return Q(ended_at=None, expires_at__gt=ClockTimestamp())
