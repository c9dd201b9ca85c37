"""What agents ask for again although people rejected it."""

from django.db import models
from django.db.models import Q

from apps.agents.models.actions import Action
from apps.agents.models.agents import Agent
from apps.agents.rules import MAX_DISMISS_REASON, FlagState
from apps.core.models import Record, User


class Repetition(Record):
    """How often an agent was refused one thing that was rejected: one row per rejected action, however often.

    ``times`` counts from anew where the time before is long ago, or before the flag was dismissed. ``flagged_at``:
    since when its owner knows; ``dismissed_at``, ``dismissed_by``, ``dismiss_reason``: that it says nothing any more.
    """

    UNIT = "agent__unit"

    rejected = models.OneToOneField(Action, models.CASCADE, related_name="repetition")
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="repetitions")
    times = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()
    flagged_at = models.DateTimeField(null=True)
    dismissed_at = models.DateTimeField(null=True)
    dismissed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    dismiss_reason = models.CharField(max_length=MAX_DISMISS_REASON, blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(dismissed_at=None, dismissed_by=None)
                | Q(flagged_at__isnull=False, dismissed_at__isnull=False, dismissed_by__isnull=False),
                name="repetition_dismissed_by_somebody",
            )
        ]
        indexes = [
            models.Index(fields=["agent", "-flagged_at"], name="repetition_flagged", condition=~Q(flagged_at=None)),
            models.Index(
                fields=["agent"], name="repetition_open", condition=~Q(flagged_at=None) & Q(dismissed_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} asked again for {self.rejected_id}"

    @property
    def is_open(self) -> bool:
        """Whether the flag stands."""
        return self.flagged_at is not None and self.dismissed_at is None

    @property
    def state(self) -> FlagState:
        """Of a flag: whether it stands or was dismissed."""
        return FlagState.OPEN if self.is_open else FlagState.DISMISSED

    @staticmethod
    def open() -> Q:
        """Flags that stand."""
        return Q(flagged_at__isnull=False, dismissed_at=None)
