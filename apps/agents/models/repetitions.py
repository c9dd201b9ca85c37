"""What agents ask for again although people rejected it."""

from django.db import models
from django.db.models import Q

from apps.agents.models.actions import Action
from apps.agents.models.agents import Agent
from apps.core.models import Record


class Repetition(Record):
    """How often an agent was refused one thing that was rejected: one row per rejected action, however often.

    ``times`` counts from anew where the time before is long ago. ``flagged_at``: since when its owner knows.
    """

    UNIT = "agent__unit"

    rejected = models.OneToOneField(Action, models.CASCADE, related_name="repetition")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="repetitions")
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()
    flagged_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["agent", "-flagged_at"], name="repetition_flagged", condition=~Q(flagged_at=None))
        ]

    def __str__(self) -> str:
        return f"{self.agent} asked again for {self.rejected_id}"
