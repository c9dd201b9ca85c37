"""Hours that were out of line, kept as they were found."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.models import Record, User, choices_of
from apps.kpis.rules.anomalies import Unusual
from apps.workflows.models import Workflow


class Anomaly(Record):
    """Something unusual of a workflow, from the hour in which it began until the end of the last hour that showed it.

    ``count`` (of failures: out of ``of``), ``expected`` and ``chance`` are those of the last hour. Until
    ``muted_until`` nobody is told of the same of the same workflow.
    """

    UNIT: ClassVar[str | None] = "workflow__unit"

    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=choices_of(Unusual))
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    count = models.PositiveIntegerField()
    of = models.PositiveIntegerField()
    expected = models.FloatField()
    chance = models.FloatField()
    muted_until = models.DateTimeField(null=True)
    muted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    mute_reason = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow", "kind", "began_at"], name="anomaly_once"),
            models.CheckConstraint(condition=Q(until__gt=models.F("began_at")), name="anomaly_has_a_length"),
        ]
        indexes = [models.Index(fields=["-until"], name="anomaly_by_end")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.workflow}"

    def is_muted(self, now: datetime) -> bool:
        """Whether nobody is told of the like of it at ``now``."""
        return self.muted_until is not None and self.muted_until > now
