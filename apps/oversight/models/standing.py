"""What people approved in advance, and each use of it."""

from typing import Any, override
from uuid import UUID

from django.db import models
from django.db.models import F, Q

from apps.agents.models import Action, Agent
from apps.classification.rules import marked
from apps.core.differences import masked
from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.oversight.models.escalations import Escalation
from apps.oversight.rules import STANDING_MOVES, StandingState, value_at


class StandingApproval(Stateful):
    """What one person approves of the like of an item before it is asked: same agent, operation, target and currency.

    Target and currency are those of the item's action: what is erased there is not kept here. ``used`` never passes
    ``times``: a use is one conditional UPDATE. ``release`` is the newest under which it was found to stand.
    """

    MOVES = STANDING_MOVES
    UNIT = "item__unit"

    item = models.ForeignKey(Escalation, models.PROTECT, related_name="standing_approvals")
    maker = models.ForeignKey(User, models.PROTECT, related_name="+")
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="+")
    operation = models.CharField(max_length=120)
    up_to_minor = models.BigIntegerField(null=True)
    times = models.PositiveIntegerField()
    used = models.PositiveIntegerField(default=0)
    until = models.DateTimeField()
    state = models.CharField(max_length=8, choices=choices_of(StandingState), default=StandingState.LIVE)
    release = models.PositiveIntegerField()
    rule = models.CharField(max_length=130)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    end_why = models.CharField(max_length=40, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["item", "maker"], condition=Q(state=StandingState.LIVE), name="standing_live_once_per_item"
            ),
            models.CheckConstraint(condition=Q(used__lte=F("times")), name="standing_used_within_its_times"),
            models.CheckConstraint(
                condition=Q(state=StandingState.LIVE, ended_at=None)
                | (~Q(state=StandingState.LIVE) & Q(ended_at__isnull=False)),
                name="standing_ended_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["agent", "operation"], name="standing_live", condition=Q(state=StandingState.LIVE)),
            models.Index(fields=["maker", "-id"], name="standing_by_maker"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} by {self.agent}"

    @property
    def left(self) -> int:
        """How often it may still be used."""
        return self.times - self.used

    @property
    def same(self) -> dict[str, Any]:
        """What its rule wants the same besides, to be shown: parameters by path with what they said (None: nothing)."""
        standing = (self.item.verdict.get("obligations") or {}).get("standing") or {}
        said = self.item.action.parameters if self.item.action else {}
        shown = marked(said, self.item.action.classed if self.item.action else {})
        return {path: masked(value_at(shown, path), path) for path in sorted(standing.get("same", ()))}

    @staticmethod
    def usable() -> Q:
        """Live, in time by the database's clock, and not used up."""
        return Q(state=StandingState.LIVE, until__gt=ClockTimestamp(), used__lt=F("times"))


class StandingUse(Record):
    """One action that a standing approval let run. Each action is let run by one at most."""

    UNIT = "approval__item__unit"

    approval = models.ForeignKey(StandingApproval, models.PROTECT, related_name="uses")
    action = models.OneToOneField(Action, models.PROTECT, related_name="standing_use")
    number = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["approval", "number"], name="standing_use_counted_once")]

    def __str__(self) -> str:
        return f"use {self.number} of {self.approval_id}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the action."""
        return self.action.trail
