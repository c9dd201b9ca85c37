"""One decision for many items: a job is rows, so that it survives whoever works on it."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, Record, Stateful, User, choices_of
from apps.oversight.models.escalations import Escalation
from apps.oversight.rules import JOB_MOVES, MAX_BULK, BulkVerdict, JobItemState, JobState


class Job(Stateful):
    """What one person told many items at once. Each item is decided in their name, as if they had said it there."""

    MOVES = JOB_MOVES

    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=8, choices=choices_of(BulkVerdict))
    reason = models.TextField(blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    until = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=choices_of(JobState), default=JobState.RUNNING)
    done_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=(Q(verdict=BulkVerdict.SNOOZE) & Q(until__isnull=False))
                | (~Q(verdict=BulkVerdict.SNOOZE) & Q(until=None)),
                name="job_until_is_for_snoozing",
            )
        ]
        indexes = [models.Index(fields=["person", "-id"], name="job_by_person")]

    def __str__(self) -> str:
        return f"{self.verdict} for {self.person}"


class JobItem(Record):
    """One item of a job: the version and digest that the person saw, and what became of it."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="items")
    escalation = models.ForeignKey(Escalation, models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()
    version = models.PositiveIntegerField()
    digest = models.CharField(max_length=71, blank=True)
    state = models.CharField(max_length=8, choices=choices_of(JobItemState), default=JobItemState.WAITING)
    outcome = models.CharField(max_length=20, blank=True)
    code = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        default_permissions = ()
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["job", "escalation"], name="job_item_once"),
            models.CheckConstraint(condition=Q(position__lt=MAX_BULK), name="job_item_within_bound"),
        ]
        indexes = [models.Index(fields=["not_before", "id"], name="job_item_waiting", condition=Q(state="waiting"))]

    def __str__(self) -> str:
        return f"{self.escalation} in {self.job}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the job."""
        return self.job_id
