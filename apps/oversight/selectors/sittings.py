"""A sitting: some items one after the other, like ones together, with an end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.core.models import User
from apps.oversight.models import Drill, Escalation, Vote
from apps.oversight.rules import InboxView, Like, Pace, first_deadline
from apps.oversight.selectors.drills import ANSWERED
from apps.oversight.selectors.escalations import inbox_for
from apps.oversight.selectors.groups import likes_for
from apps.oversight.selectors.pace import pace_for

MAX_ITEMS = 50
"""More is no sitting."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """What would be decided now. ``before``: how many until which full hour; ``late``: how many are overdue."""

    ids: list[UUID]
    likes: list[Like]
    pace: Pace
    before: tuple[int, datetime] | None
    late: int

    @property
    def minutes(self) -> int:
        """About how long it takes at this pace."""
        return self.pace.minutes_for(len(self.ids))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sitting is. ``elsewhere``: decided by others, ended, or no longer this person's to decide."""

    total: int
    decided: int
    skipped: int
    left: list[UUID]
    pace: Pace

    @property
    def done(self) -> int:
        """How many are behind the person."""
        return self.total - len(self.left)

    @property
    def elsewhere(self) -> int:
        """How many were taken off this person's hands."""
        return self.total - self.decided - self.skipped - len(self.left)

    @property
    def minutes(self) -> int:
        """About how long the rest takes."""
        return self.pace.minutes_for(len(self.left))


def sitting_for(actor: User, rows: QuerySet[Escalation]) -> Sitting:
    """The most urgent of ``rows`` (a list of ``actor``'s own), at most fifty, like items together. Three queries."""
    likes: list[Like] = []
    ids: list[UUID] = []
    for like in likes_for(actor, rows):
        taken = like.ids[: MAX_ITEMS - len(ids)]
        if taken:
            likes.append(Like(like.key, like.what, like.who, like.rule, like.risk, taken))
            ids += taken
    due = list(Escalation.everything.filter(pk__in=ids).values_list("due_at", flat=True))
    now = timezone.now()
    return Sitting(ids, likes, pace_for(actor), first_deadline(due, now), sum(moment <= now for moment in due))


def progress_for(actor: User, ids: Sequence[UUID], skipped: Collection[UUID]) -> Progress:
    """Where a sitting over ``ids`` stands, from what was recorded. Two queries and the pace."""
    votes = Vote.objects.filter(voter=actor, voided_at=None, escalation__in=ids).values_list("escalation")
    drills = Drill.objects.filter(item__in=ids, item__drill_for=actor, outcome__in=ANSWERED).values_list("item")
    voted = {key for (key,) in votes.union(drills)}
    mine = inbox_for(actor, view=InboxView.MINE).prefetch_related(None).filter(pk__in=list(ids))
    is_open = set(mine.values_list("pk", flat=True))
    return Progress(
        total=len(ids),
        decided=len(voted),
        skipped=sum(key in skipped and key not in voted for key in ids),
        left=[key for key in ids if key in is_open and key not in skipped],
        pace=pace_for(actor),
    )
