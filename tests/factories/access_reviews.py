"""Campaigns of access reviews, and rights that are old enough to be measured."""

from datetime import datetime, timedelta
from typing import Any

from apps.access.models import PersonalToken, RoleGrant
from apps.agents.models import AgentCredential
from apps.connectors.models import OperationPermission
from apps.core.models import ClockTimestamp, User, database_now
from apps.oversight.models import AccessReview, AccessReviewLine
from apps.oversight.services import open_access_review
from apps.workflows.models import WorkflowPermission


def in_days(days: float) -> datetime:
    return database_now() + timedelta(days=days)


def age_rights(days: int = 100) -> None:
    """Everything was granted so many days ago."""
    ago = ClockTimestamp() - timedelta(days=days)
    RoleGrant.objects.update(created_at=ago)
    OperationPermission.objects.update(granted_at=ago)
    AgentCredential.objects.update(created_at=ago)
    WorkflowPermission.objects.update(granted_at=ago)
    PersonalToken.objects.update(created_at=ago)


def open_review(actor: User, **fields: Any) -> AccessReview:
    return open_access_review(actor, **{"name": "Spring review", "due_at": in_days(14), **fields})


def line_of(review: AccessReview, holder: User, what: str = "") -> AccessReviewLine:
    rows = AccessReviewLine.objects.select_related("review", "holder", "unit").filter(review=review, holder=holder)
    return rows.filter(what=what).get() if what else rows.get()


def make_due(review: AccessReview) -> None:
    """Its due date has just passed."""
    AccessReview.objects.filter(pk=review.pk).update(due_at=ClockTimestamp() - timedelta(seconds=1))
