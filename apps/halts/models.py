"""Engaged and lifted kill switches."""

from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.core.models import Record, User, choices_of
from apps.halts.rules import HaltScope


class Halt(Record):
    """A kill switch that somebody engaged. Nothing within its scope starts until somebody else lifts it."""

    UNIT = "unit"

    scope = models.CharField(max_length=12, choices=choices_of(HaltScope))
    target = models.CharField(max_length=120, blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    reason = models.CharField(max_length=500)
    engaged_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    lifted_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True)
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        permissions = [("engage_halt", "May stop things"), ("lift_halt", "May lift a halt")]
        constraints = [
            models.CheckConstraint(condition=Q(scope="everything") ^ ~Q(target=""), name="halt_names_its_target"),
            models.CheckConstraint(
                condition=Q(lifted_by=None) | ~Q(lifted_by=models.F("engaged_by")), name="halt_lifted_by_another"
            ),
            models.UniqueConstraint(fields=["scope", "target"], condition=Q(lifted_at=None), name="halt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.target}".strip()
