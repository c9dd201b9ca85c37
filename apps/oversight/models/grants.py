"""What an approval releases."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.agents.models import Action
from apps.core.models import ClockTimestamp, Stateful, choices_of
from apps.halts.models import Halt
from apps.oversight.models.escalations import Escalation
from apps.oversight.rules import GRANT_MOVES, GrantState


class Grant(Stateful):
    """Permission to run exactly what was approved, once, until ``expires_at``.

    ``halt``: which one took it back; ``standing``: what approved it in advance.
    """

    MOVES = GRANT_MOVES
    UNIT = "action__unit"

    action = models.ForeignKey(Action, models.PROTECT, related_name="grants")
    escalation = models.ForeignKey(Escalation, models.PROTECT, null=True, related_name="grants")
    standing = models.ForeignKey("oversight.StandingApproval", models.PROTECT, null=True, related_name="grants")
    digest = models.CharField(max_length=71)
    state = models.CharField(max_length=8, choices=choices_of(GrantState), default=GrantState.LIVE)
    expires_at = models.DateTimeField()
    consumed_at = models.DateTimeField(null=True)
    halt = models.ForeignKey(Halt, models.PROTECT, null=True, related_name="+", db_index=False)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["action"], condition=Q(state=GrantState.LIVE), name="grant_live_once"),
            models.CheckConstraint(condition=~Q(digest=""), name="grant_is_bound"),
            models.CheckConstraint(
                condition=Q(state=GrantState.CONSUMED, consumed_at__isnull=False)
                | (~Q(state=GrantState.CONSUMED) & Q(consumed_at=None)),
                name="grant_consumed_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="grant_expiry", condition=Q(state=GrantState.LIVE)),
            models.Index(fields=["action"], name="grant_revoked", condition=Q(state=GrantState.REVOKED)),
            models.Index(fields=["halt", "-id"], name="grant_taken_back", condition=Q(halt__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"grant for {self.action_id}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the action."""
        return self.action.trail

    @staticmethod
    def unexpired() -> Q:
        """Still in time, by the database's clock."""
        return Q(expires_at__gt=ClockTimestamp())
