"""Sums of facts by local day of the reporting zone: always recomputed, never incremented."""

from datetime import date, timedelta
from typing import ClassVar

from django.db import models

from apps.core.models import ClockTimestamp


class OfDay(models.Model):
    """What is written down of one local day, of one workflow, version and unit."""

    UNIT: ClassVar[str] = "unit"

    day = models.DateField()
    workflow = models.CharField(max_length=63, blank=True)
    version = models.PositiveIntegerField(default=0)
    unit = models.UUIDField(null=True)
    simulated = models.BooleanField(default=False)

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day} {self.workflow} {self.version}"


class RollupDay(OfDay):
    """Sums of a day. Only measures that may be added; a percentile may not."""

    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    wrong = models.PositiveIntegerField(default=0, db_default=0)
    cancelled = models.PositiveIntegerField(default=0)
    sla_due = models.PositiveIntegerField(default=0)
    sla_met = models.PositiveIntegerField(default=0)
    no_touch = models.PositiveIntegerField(default=0)
    amended = models.PositiveIntegerField(default=0, db_default=0)
    turned_down = models.PositiveIntegerField(default=0, db_default=0)
    escalated = models.PositiveIntegerField(default=0)
    reworked = models.PositiveIntegerField(default=0)
    first_pass = models.PositiveIntegerField(default=0)
    in_calendar = models.PositiveIntegerField(default=0, db_default=0)
    cost_micro = models.BigIntegerField(default=0)
    human_ms = models.BigIntegerField(default=0)
    llm_micro = models.BigIntegerField(default=0)
    human_micro = models.BigIntegerField(default=0)
    connector_micro = models.BigIntegerField(default=0)
    agent_micro = models.BigIntegerField(default=0)
    unpriced = models.PositiveIntegerField(default=0)
    paused_ms = models.BigIntegerField(default=0, db_default=0)
    handovers = models.PositiveIntegerField(default=0, db_default=0)
    touch_ms = models.BigIntegerField(default=0, db_default=0)
    agent_ms = models.BigIntegerField(default=0, db_default=0)
    connector_ms = models.BigIntegerField(default=0, db_default=0)
    wait_ms = models.BigIntegerField(default=0, db_default=0)
    queue_ms = models.BigIntegerField(default=0, db_default=0)
    flow_ms = models.BigIntegerField(default=0, db_default=0)
    taken_ms = models.BigIntegerField(default=0, db_default=0)
    tries = models.PositiveIntegerField(default=0, db_default=0)
    failed_tries = models.PositiveIntegerField(default=0, db_default=0)
    worked_steps = models.PositiveIntegerField(default=0, db_default=0)
    automated_steps = models.PositiveIntegerField(default=0, db_default=0)
    arrivals = models.PositiveIntegerField(default=0)
    decided = models.PositiveIntegerField(default=0)
    approved = models.PositiveIntegerField(default=0)
    edited = models.PositiveIntegerField(default=0)
    overridden = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    asked_by_rule = models.PositiveIntegerField(default=0, db_default=0)
    needless = models.PositiveIntegerField(default=0, db_default=0)
    decided_in_calendar = models.PositiveIntegerField(default=0, db_default=0)
    hasty = models.PositiveIntegerField(default=0, db_default=0)
    judged = models.PositiveIntegerField(default=0, db_default=0)
    judged_right = models.PositiveIntegerField(default=0, db_default=0)
    judged_by_decision = models.PositiveIntegerField(default=0, db_default=0)
    right_by_decision = models.PositiveIntegerField(default=0, db_default=0)
    judged_by_review = models.PositiveIntegerField(default=0, db_default=0)
    right_by_review = models.PositiveIntegerField(default=0, db_default=0)
    judged_by_reading = models.PositiveIntegerField(default=0, db_default=0)
    right_by_reading = models.PositiveIntegerField(default=0, db_default=0)
    judged_alone = models.PositiveIntegerField(default=0, db_default=0)
    missed = models.PositiveIntegerField(default=0, db_default=0)
    denied = models.PositiveIntegerField(default=0, db_default=0)
    acted = models.PositiveIntegerField(default=0, db_default=0)
    acted_alone = models.PositiveIntegerField(default=0, db_default=0)
    incidents = models.PositiveIntegerField(default=0, db_default=0)
    spend_micro = models.BigIntegerField(default=0)
    cost_items = models.PositiveIntegerField(default=0)

    class Meta(OfDay.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["day", "workflow", "version", "unit", "simulated"],
                name="rollup_day_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["workflow", "day"], name="rollup_day_by_workflow")]


class DurationDay(OfDay):
    """The durations of a day that is over: percentiles of any days together.

    Each column holds all of them, ranked, eight bytes each (``rules.durations``), and is recomputed whole with the
    rollup. Days after the newest of which there are any are not written down yet: their facts say it.
    """

    cycle = models.BinaryField(default=b"")
    lead = models.BinaryField(default=b"")
    business = models.BinaryField(default=b"")
    latency = models.BinaryField(default=b"")
    failed_cycle = models.BinaryField(default=b"", db_default=b"")
    cancelled_cycle = models.BinaryField(default=b"", db_default=b"")
    open_latency = models.BinaryField(default=b"", db_default=b"")

    class Meta(OfDay.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["day", "workflow", "version", "unit", "simulated"],
                name="duration_day_once",
                nulls_distinct=False,
            )
        ]
        indexes = [models.Index(fields=["workflow", "day"], name="duration_day_by_workflow")]


class Reconciliation(models.Model):
    """One time that rollups and durations of the last ``days`` were held against the facts; ``mended`` differed."""

    at = models.DateTimeField(db_default=ClockTimestamp())
    days = models.PositiveSmallIntegerField()
    mended = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d}: {self.mended}"


def first_unkept_day() -> date:
    """The first day whose durations are not written down; the first of all where none are."""
    newest = DurationDay.objects.aggregate(newest=models.Max("day"))["newest"]
    return date.min if newest is None else newest + timedelta(days=1)
