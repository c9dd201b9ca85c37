"""The groups of people who must agree on an item, and what each person said."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.access.models import Queue, Role
from apps.core.models import Record, User, choices_of
from apps.core.prepared import Prepared, Slot
from apps.halts.models import Halt
from apps.oversight.rules import Group, VoteVerdict


class EscalationGroup(models.Model):
    """``needed`` people of one queue must approve, of ``role`` where one is named, from different units if so said.

    ``is_asked``: the groups of every lower ``stage`` are complete. ``is_open``: one more of these people would count
    now; it keeps the inbox's index small. ``home``: the queue whose ladder the group climbs
    (None: its own), ``rung``: how many rungs it took, ``climbs_at``, ``unseen_at``: when it takes the next one because
    of the time, or because nobody has seen it; ``called``: people ``{user}`` and holders of roles ``{role}`` who were
    asked on the way besides those who serve the queue; ``{user, rota}``: while they are on duty.
    """

    escalation = models.ForeignKey("oversight.Escalation", models.CASCADE, related_name="groups")
    queue = models.ForeignKey(Queue, models.PROTECT, related_name="+")
    role = models.ForeignKey(Role, models.PROTECT, null=True, related_name="+")
    needed = models.PositiveSmallIntegerField(default=1)
    distinct_units = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    stage = models.PositiveSmallIntegerField(default=1, db_default=1)
    is_asked = models.BooleanField(default=True, db_default=True)
    is_open = models.BooleanField(default=True)
    home = models.ForeignKey(Queue, models.PROTECT, null=True, related_name="+")
    rung = models.PositiveSmallIntegerField(default=0)
    climbs_at = models.DateTimeField(null=True)
    unseen_at = models.DateTimeField(null=True)
    called = models.JSONField(default=list)

    class Meta:
        default_permissions = ()
        ordering = ["position", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["escalation", "queue", "role"], name="escalation_group_once", nulls_distinct=False
            ),
            models.CheckConstraint(condition=Q(needed__gte=1), name="escalation_group_needs_somebody"),
        ]
        indexes = [
            models.Index(fields=["queue", "escalation"], name="group_by_queue", condition=Q(is_open=True)),
            models.Index(fields=["climbs_at"], name="group_climbs", condition=Q(is_open=True)),
            models.Index(fields=["unseen_at"], name="group_unseen", condition=Q(is_open=True)),
            models.Index(fields=["escalation"], name="group_called", condition=Q(is_open=True) & ~Q(called=[])),
        ]

    def __str__(self) -> str:
        return f"{self.needed} of {self.queue}"

    @property
    def key(self) -> str:
        """How the count names this group."""
        return f"{self.queue.slug}/{self.role.slug}" if self.role else self.queue.slug

    def as_rule(self) -> Group:
        """The group as the count sees it."""
        return Group(self.key, self.needed, self.distinct_units, self.stage)


class Vote(Record):
    """One person's say. Void votes stay: they were said.

    ``stage``: the latest that was asked when it was cast; it counts in no later one. ``halt``: which one opened
    again the decision that it made. ``looked_ms``: how long its voter is known to have had the item before them by
    then, as ``EscalationView`` counts; null where nothing tells. ``together``: so many items the same act decided.
    """

    UNIT = "escalation__unit"

    escalation = models.ForeignKey("oversight.Escalation", models.CASCADE, related_name="votes")
    voter = models.ForeignKey(User, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=16, choices=choices_of(VoteVerdict))
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, blank=True)
    view_hash = models.CharField(max_length=71, blank=True)
    reason = models.TextField(blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    restated = models.BooleanField(default=False)
    acts_for = models.JSONField(default=list)
    stage = models.PositiveSmallIntegerField(default=1, db_default=1)
    voided_at = models.DateTimeField(null=True)
    void_why = models.CharField(max_length=20, blank=True)
    halt = models.ForeignKey(Halt, models.PROTECT, null=True, related_name="+", db_index=False)
    looked_ms = models.PositiveIntegerField(null=True)
    together = models.PositiveSmallIntegerField(default=1, db_default=1)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["escalation", "voter"], condition=Q(voided_at=None), name="vote_once_per_person"
            )
        ]
        indexes = [
            models.Index(fields=["voter", "-id"], name="vote_by_voter"),
            models.Index(fields=["voter", "-escalation"], name="vote_walked_by_item", condition=Q(voided_at=None)),
            models.Index(fields=["halt"], name="vote_taken_back", condition=Q(halt__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.voter}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the item."""
        return self.escalation.trail


groups_of = Prepared(
    lambda: EscalationGroup.objects.select_related("queue", "role").filter(escalation__pk__any_of=Slot("items"))
)
live_votes_of = Prepared(
    lambda: (
        Vote.objects.select_related("voter").filter(escalation__pk__any_of=Slot("items"), voided_at=None).order_by("id")
    )
)
