"""What was worth a look, kept as it was found: hours out of line, missed targets, breached SLAs, growing backlogs."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from apps.core.models import Record, User, choices_of
from apps.kpis.rules.anomalies import Unusual
from apps.workflows.models import Workflow


class Anomaly(Record):
    """Something of a workflow, from when it began until the end of the last hour, week, look or day that showed it.

    The numbers are those of that last one. Of hours: ``count`` (of failures: out of ``of``) where ``expected`` were
    usual. Of a missed target: ``figure`` was ``value`` (by the day where it is compared so) with n = ``of``, of a share
    ``count`` out of them; the target is ``expected``. Of an SLA: ``count`` of ``of`` open runs are past it. Of a
    backlog: ``count`` open runs, at most ``expected`` in eight weeks before it began, ``of`` more than four weeks
    earlier. ``is_open``: it goes on, as far as was looked; an hour never does. Until ``muted_until`` nobody is told of
    the same of the same workflow. ``unit``: whose it was, as in facts: a workflow that moves leaves it behind.
    """

    UNIT: ClassVar[str | None] = "unit"

    unit = models.UUIDField(null=True)
    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=choices_of(Unusual))
    figure = models.CharField(max_length=40, blank=True, db_default="")
    began_at = models.DateTimeField()
    until = models.DateTimeField()
    is_open = models.BooleanField(default=False, db_default=False)
    count = models.PositiveIntegerField()
    of = models.PositiveIntegerField()
    value = models.FloatField(null=True)
    expected = models.FloatField()
    chance = models.FloatField(null=True)
    muted_until = models.DateTimeField(null=True)
    muted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    mute_reason = models.CharField(max_length=500, blank=True, db_default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow", "kind", "figure", "began_at"], name="anomaly_begins_once"),
            models.UniqueConstraint(
                fields=["workflow", "kind", "figure"], condition=Q(is_open=True), name="anomaly_open_once"
            ),
            models.CheckConstraint(condition=Q(until__gte=models.F("began_at")), name="anomaly_not_backwards"),
        ]
        indexes = [models.Index(fields=["-until"], name="anomaly_by_end")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.workflow}"

    def is_muted(self, now: datetime) -> bool:
        """Whether nobody is told of the like of it at ``now``."""
        return self.muted_until is not None and self.muted_until > now
