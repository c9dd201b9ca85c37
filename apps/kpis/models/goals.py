"""What figures are compared with: how it was before, and how it should be."""

from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, Record, User, choices_of
from apps.kpis.rules import Direction

LIVE = Q(ended_at=None, corrects=None)
"""The baselines that there are: neither replaced or removed, nor a correction that waits."""


class Baseline(Record):
    """A KPI before automation, in force for runs that start on ``valid_from`` or later; the newest one wins.

    ``value`` is in the KPI's own unit (seconds, 0..1, minor units), counts and sums per day. No workflow: all of them.
    Once somebody else than ``entered_by`` has approved it, it stays as it is: another value for the same runs is a row
    of its own with the next ``number``, which ``corrects`` it and waits; once that is approved, this one has ended.
    ``removal_by``: who wants it removed; another person does.
    """

    slug = models.SlugField(max_length=120)
    workflow = models.CharField(max_length=63, blank=True)
    kpi = models.CharField(max_length=40)
    value = models.DecimalField(max_digits=18, decimal_places=4)
    currency = models.CharField(max_length=3, blank=True)
    valid_from = models.DateField()
    source = models.CharField(max_length=300)
    n = models.PositiveIntegerField(null=True)
    period = models.CharField(max_length=80, blank=True)
    owner = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    number = models.PositiveIntegerField(db_default=1, default=1)
    entered_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    reason = models.CharField(max_length=300, blank=True, db_default="")
    approved_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    approved_at = models.DateTimeField(null=True)
    corrects = models.ForeignKey("self", models.PROTECT, null=True, related_name="corrections")
    removal_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    ended_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["slug"], condition=LIVE, name="baseline_once"),
            models.UniqueConstraint(
                fields=["workflow", "kpi", "valid_from"], condition=LIVE, name="baseline_once_per_day"
            ),
            models.UniqueConstraint(
                fields=["corrects"], condition=Q(ended_at=None, corrects__isnull=False), name="baseline_corrected_once"
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None, approved_at=None)
                | Q(approved_by__isnull=False, approved_at__isnull=False),
                name="baseline_approved_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None) | Q(entered_by=None) | ~Q(approved_by=models.F("entered_by")),
                name="baseline_approved_by_another",
            ),
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
