"""What agents report."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.agents.models import Agent
from apps.core.models import Record


class UsageRecord(Record):
    """Tokens that an agent says one piece of work used. Prices come later, from the price book.

    ``input_tokens`` counts the cached ones too. ``cost_minor`` is the agent's own word, kept beside ours.
    """

    UNIT = "agent__unit"

    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    model = models.CharField(max_length=120)
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()
    cache_read_tokens = models.PositiveBigIntegerField(default=0)
    cache_write_tokens = models.PositiveBigIntegerField(default=0)
    cost_minor = models.PositiveBigIntegerField(null=True)
    workflow = models.CharField(max_length=63, blank=True)
    run_id = models.UUIDField(null=True)
    task_id = models.UUIDField(null=True)
    action_id = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["run_id"], name="usage_by_run", condition=~Q(run_id=None))]
        constraints = [
            models.CheckConstraint(
                condition=Q(cache_read_tokens__lte=models.F("input_tokens") - models.F("cache_write_tokens")),
                name="usage_cache_within_input",
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} by {self.agent}"

    @property
    @override
    def trail(self) -> UUID:
        """The run, the action, or the record itself."""
        return self.run_id or self.action_id or self.id
