"""Drills: which queues have them, and each one with its fault and how it ended."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac

from apps.access.models import Queue
from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.classification.rules import covers
from apps.core.differences import is_secret
from apps.core.models import Record, User, choices_of
from apps.oversight.models.escalations import Escalation
from apps.oversight.rules import (
    MAX_PER_WEEK,
    DrillOutcome,
    DrillTerms,
    Fault,
    Planted,
    VoteVerdict,
    action_digest,
    other_target,
    value_at,
)

ACTION_SALT = "oversight.drill.action"
RANDOM_BITS = (0xFFF << 64) | ((1 << 62) - 1)
"""What of a UUID of version 7 is neither its time nor its version and variant."""


class DrillPlan(Record):
    """A queue whose people are told that drills are among its items. Once turned off it stays, with ``ended_at``."""

    UNIT = "queue__unit"

    queue = models.OneToOneField(Queue, models.CASCADE, related_name="drill_plan")
    per_week = models.PositiveSmallIntegerField()
    announcement = models.TextField()
    critical = models.BooleanField(default=False)
    set_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    announced_at = models.DateTimeField()
    next_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(per_week__gte=1, per_week__lte=MAX_PER_WEEK), name="drill_plan_within_bounds"
            ),
            models.CheckConstraint(condition=~Q(announcement=""), name="drill_plan_is_announced"),
        ]

    def __str__(self) -> str:
        return f"drills in {self.queue}"

    @property
    def is_on(self) -> bool:
        """Whether there are drills now."""
        return self.ended_at is None

    @property
    def terms(self) -> DrillTerms:
        """What is announced."""
        return DrillTerms(self.per_week, self.announcement, self.critical)

    def open_drills(self) -> "models.QuerySet[Drill]":
        """Those of the queue that wait."""
        rows = Drill.objects.filter(queue=self.queue_id, outcome=DrillOutcome.OPEN)
        return rows.select_related("queue", "item").order_by("id")


class Drill(Record):
    """One exercise: the copy of ``source``, an item that was approved, with one fault. It has the id of its item.

    It has no action: PostgreSQL refuses one, a release, a vote, a grant and every end but ``cancelled`` (migration
    0080). What people see of an action is put together here and never saved. ``planted``: gone when its source is
    erased.
    """

    UNIT = "item__unit"

    item = models.OneToOneField(Escalation, models.CASCADE, related_name="drill")
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="+")
    source = models.ForeignKey(Escalation, models.PROTECT, related_name="+")
    fault = models.CharField(max_length=10, choices=choices_of(Fault))
    path = models.CharField(max_length=200, blank=True)
    planted = models.JSONField(null=True)
    consequence = models.TextField(blank=True)
    amount_minor = models.BigIntegerField(null=True)
    target = models.CharField(max_length=300, blank=True)
    outcome = models.CharField(max_length=10, choices=choices_of(DrillOutcome), default=DrillOutcome.OPEN)
    verdict = models.CharField(max_length=15, choices=choices_of(VoteVerdict), blank=True)
    ended_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=40, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome=DrillOutcome.OPEN, ended_at=None)
                | (~Q(outcome=DrillOutcome.OPEN) & Q(ended_at__isnull=False)),
                name="drill_ended_at_a_time",
            )
        ]
        indexes = [
            models.Index(fields=["queue", "-created_at"], name="drill_by_queue"),
            models.Index(fields=["item"], name="drill_open", condition=Q(outcome=DrillOutcome.OPEN)),
        ]

    def __str__(self) -> str:
        return f"drill {self.pk}"

    @property
    @override
    def trail(self) -> UUID:
        """The item's own: a drill belongs to no run and no action."""
        return self.item_id

    @property
    def shown_action_id(self) -> UUID:
        """The id of the action that its page shows, as old as the item. The item's own there would give it away."""
        told = salted_hmac(ACTION_SALT, self.pk.bytes, algorithm="sha256").digest()
        return UUID(int=(self.pk.int & ~RANDOM_BITS) | (int.from_bytes(told[:16]) & RANDOM_BITS))

    @property
    def fault_planted(self) -> Planted:
        """The fault as the rules know it."""
        return Planted(Fault(self.fault), self.path, self.planted)

    @property
    def is_caught(self) -> bool:
        """Whether its person saw the fault."""
        return self.outcome == DrillOutcome.CAUGHT

    @property
    def is_over(self) -> bool:
        """Whether its person may know."""
        return self.outcome != DrillOutcome.OPEN

    @property
    def change(self) -> tuple[object, object] | None:
        """What was planted, and what stood there; None for documents, secrets, what is classed or was erased."""
        real = self.source.action
        if self.planted is None or real is None or is_secret(self.path):
            return None
        if covers(real.classed, self.path.split(".")):
            return None
        stood = value_at(real.parameters, self.path)
        return None if stood is None else (self.planted, stood)

    def stand_in(self) -> Action:
        """The action as its page shows it: the real one's words, the fault in it, its own id. It is never saved."""
        real = self.source.action
        assert real is not None, "only items of actions are copied"
        parameters = self.fault_planted.applied(real.parameters)
        copied = {name: getattr(real, name) for name in COPIED}
        # the rules judged the fault, not the real one
        verdict = real.verdict if self._state.adding else self.item.verdict
        return Action(
            **copied,
            id=self.shown_action_id,
            created_at=self.created_at,
            reference=other_target(real.reference),
            verdict=verdict,
            release_number=verdict.get("release"),
            parameters=parameters,
            digest=action_digest(real.operation, parameters),
            evidence=[] if self.fault == Fault.DOCUMENTS else real.evidence,
            amount_minor=self.amount_minor,
            target=self.target,
            consequence=self.consequence,
            state=ActionState.PENDING_APPROVAL,
        )


COPIED = (
    "classed",
    "principal",
    "agent",
    "version",
    "unit",
    "on_behalf_of",
    "operation",
    "connector",
    "effect",
    "execution",
    "definition_digest",
    "currency",
    "cannot_take",
    "goal",
    "reasoning",
    "alternatives",
    "confidence",
    "sources",
    "workflow",
)
