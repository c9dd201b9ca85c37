"""A campaign in which people look at rights, and each right as it was when the campaign was opened."""

from datetime import timedelta
from typing import Any, override
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.access.models import BusinessUnit
from apps.core.models import Record, User, choices_of
from apps.core.rules import digest_of
from apps.oversight.rules.access_reviews import AtDue, LineState, ReviewState, RightKind, Use

ENDS_SOON = timedelta(days=30)


class AccessReview(Record):
    """A campaign over the rights of a unit and below (without a unit: all), until ``due_at``.

    ``reviewers``: usernames of those who decide; none: everybody who could take the right away. ``next_at``: until when
    a kept right can be given an end. ``digest``: of its evidence, when it was closed; the ledger has the same.
    """

    UNIT = "unit"

    name = models.CharField(max_length=120)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    kinds: "models.JSONField[Any, Any]" = models.JSONField()
    reviewers: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    due_at = models.DateTimeField()
    next_at = models.DateTimeField(null=True)
    at_due = models.CharField(max_length=6, choices=choices_of(AtDue), default=AtDue.REPORT)
    state = models.CharField(max_length=6, choices=choices_of(ReviewState), default=ReviewState.OPEN)
    opened_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    reminded_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    digest = models.CharField(max_length=71, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(state=ReviewState.OPEN, closed_at=None)
                | Q(state=ReviewState.CLOSED, closed_at__isnull=False),
                name="access_review_closes_at_a_time",
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="access_review_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return self.name


class AccessReviewLine(Record):
    """One right as it was at the opening, the evidence of its use, and what was decided of it.

    ``right``: the key of the role grant, permission or key. ``frozen``: ``{until, fields, limit, permissions, ...}``;
    ``after``: the same when a decision changed it. ``evidence``: as ``rules.access_reviews.Evidence`` has it.
    """

    UNIT = "unit"

    review = models.ForeignKey(AccessReview, models.PROTECT, related_name="lines")
    kind = models.CharField(max_length=9, choices=choices_of(RightKind))
    right = models.CharField(max_length=40)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, null=True, related_name="+")
    holder = models.ForeignKey(User, models.PROTECT, related_name="+")
    what = models.CharField(max_length=120)
    granted_at = models.DateTimeField()
    granted_by = models.CharField(max_length=150, blank=True)
    until = models.DateTimeField(null=True)
    frozen: "models.JSONField[Any, Any]" = models.JSONField()
    evidence: "models.JSONField[Any, Any]" = models.JSONField()
    use = models.CharField(max_length=7, choices=choices_of(Use))
    last_used_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=choices_of(LineState), default=LineState.WAITING)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)
    after = models.JSONField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["review", "kind", "right"], name="access_review_line_once"),
            models.CheckConstraint(
                condition=Q(state=LineState.WAITING, decided_at=None)
                | (~Q(state=LineState.WAITING) & Q(decided_at__isnull=False)),
                name="access_review_line_decided_at_a_time",
            ),
        ]
        indexes = [models.Index(fields=["review", "id"], name="access_review_lines")]

    def __str__(self) -> str:
        return f"{self.what} of {self.holder}"

    @property
    def ends_soon(self) -> bool:
        """Whether the right, as it was at the opening, ends within thirty days from now, or has ended."""
        return self.until is not None and self.until <= timezone.now() + ENDS_SOON

    @property
    @override
    def trail(self) -> UUID:
        """The campaign."""
        return self.review_id

    @property
    def seen(self) -> str:
        """Digest of the right as it was at the opening: whoever decides says of which right they do."""
        return digest_of(self.frozen)
