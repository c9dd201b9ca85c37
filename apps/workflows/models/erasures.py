"""Asking for an erasure: nobody erases alone."""

from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, Record, User, choices_of
from apps.workflows.rules.states import ErasureEnd


class ErasureRequest(Record):
    """Somebody asks to erase what was written on a trail; somebody else has to agree before ``expires_at``.

    ``reason`` stays for ever, as it does in the ledger's line of the erasure.
    """

    trail_id = models.UUIDField()
    reason = models.CharField(max_length=500)
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=9, choices=choices_of(ErasureEnd), blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["trail_id"], condition=Q(ended_at=None), name="erasure_asked_once"),
            models.CheckConstraint(
                condition=~Q(outcome="erased") | Q(ended_by__isnull=False) & ~Q(ended_by=models.F("asked_by")),
                name="erasure_takes_two_people",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | Q(ended_at__isnull=False) & ~Q(outcome=""),
                name="erasure_ends_with_an_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"erasure of {self.trail_id}"

    @staticmethod
    def open() -> Q:
        """Waits for somebody else, by the database's clock."""
        return Q(ended_at=None, expires_at__gt=ClockTimestamp())
