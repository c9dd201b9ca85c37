"""What figures are compared with: how it was before, and how it should be."""

from django.db import models

from apps.core.models import ClockTimestamp, Record, User, choices_of
from apps.kpis.rules import Direction


class Baseline(Record):
    """A KPI before automation, in force for runs that start on ``valid_from`` or later; the newest one wins.

    ``value`` is in the KPI's own unit (seconds, 0..1, minor units), counts and sums per day. No workflow: all of them.
    """

    slug = models.SlugField(max_length=120, unique=True)
    workflow = models.CharField(max_length=63, blank=True)
    kpi = models.CharField(max_length=40)
    value = models.DecimalField(max_digits=18, decimal_places=4)
    currency = models.CharField(max_length=3, blank=True)
    valid_from = models.DateField()
    source = models.CharField(max_length=300)
    n = models.PositiveIntegerField(null=True)
    period = models.CharField(max_length=80, blank=True)
    owner = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    changed_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow", "kpi", "valid_from"], name="baseline_once_per_day"),
        ]

    def __str__(self) -> str:
        return self.slug


class Target(Record):
    """A KPI as it should be; ``value`` as in a baseline. ``tolerance`` widens the good side."""

    slug = models.SlugField(max_length=120, unique=True)
    workflow = models.CharField(max_length=63, blank=True)
    kpi = models.CharField(max_length=40)
    value = models.DecimalField(max_digits=18, decimal_places=4)
    direction = models.CharField(max_length=4, choices=choices_of(Direction))
    tolerance = models.DecimalField(max_digits=18, decimal_places=4, default=0)
    changed_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["workflow", "kpi"], name="target_once"),
            models.CheckConstraint(condition=models.Q(tolerance__gte=0), name="target_tolerance_not_negative"),
        ]

    def __str__(self) -> str:
        return self.slug
