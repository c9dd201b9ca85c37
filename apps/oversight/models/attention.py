"""Who takes an item over for whom, and who put it aside."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from apps.core.models import Record, User
from apps.oversight.models.escalations import Escalation


class Delegation(Record):
    """One person asked another to decide an item in their stead.

    Both together are one vote, and whoever may not decide, may not do so through somebody else.
    """

    UNIT = "escalation__unit"

    escalation = models.ForeignKey(Escalation, models.CASCADE, related_name="delegations")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    to = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["escalation", "by"], condition=Q(ended_at=None), name="delegation_once_per_person"
            ),
            models.CheckConstraint(condition=~Q(by=F("to")), name="delegation_to_somebody_else"),
        ]
        indexes = [models.Index(fields=["to"], name="delegation_by_delegate", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.by} to {self.to}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the item."""
        return self.escalation.trail


class Snooze(Record):
    """One person put an item aside until a time; for everybody else it waits as before.

    ``due_at`` is the item's due time then: when it comes nearer, the item comes back.
    """

    UNIT = "escalation__unit"

    escalation = models.ForeignKey(Escalation, models.CASCADE, related_name="snoozes")
    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    until = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["escalation", "person"], name="snooze_once_per_person")]
        indexes = [models.Index(fields=["person", "until"], name="snooze_by_person")]

    def __str__(self) -> str:
        return f"{self.person} until {self.until}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the item."""
        return self.escalation.trail
