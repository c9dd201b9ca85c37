"""Runs that failed and begin anew: one row for each, so that none begins twice whoever asks, works or dies."""

from typing import override
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, Stateful, User, choices_of
from apps.workflows.models.runs import Run
from apps.workflows.rules.retrying import RETRY_MOVES, RetryState


class Retry(Stateful):
    """Somebody had a failed run begin anew. ``started`` is the new one; ``code`` says why there is none.

    ``not_before`` moves on with each try of the plane: a worker that dies holds one run up for a while, not the others.
    """

    MOVES = RETRY_MOVES
    UNIT = "run__unit"

    run = models.OneToOneField(Run, models.PROTECT, related_name="retry")
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=choices_of(RetryState), default=RetryState.WAITING)
    started = models.OneToOneField(Run, models.PROTECT, null=True, related_name="retry_of")
    code = models.CharField(max_length=40, blank=True)
    not_before = models.DateTimeField(db_default=ClockTimestamp())

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(state=RetryState.STARTED, started__isnull=False)
                | ~Q(state=RetryState.STARTED) & Q(started=None),
                name="retry_started_has_run",
            )
        ]
        indexes = [models.Index(fields=["not_before"], name="retry_due", condition=Q(state=RetryState.WAITING))]

    def __str__(self) -> str:
        return f"retry of {self.run_id}"

    @property
    @override
    def trail(self) -> UUID:
        """The run that failed."""
        return self.run_id
