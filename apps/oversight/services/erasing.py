"""Erasing what people and agents wrote about items, and what people saw of them."""

from collections.abc import Sequence
from uuid import UUID

from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Comment, Delegation, Escalation, Job, ViewSnapshot, Vote


def erase_items(actor: User, *, ids: Sequence[UUID]) -> dict[str, int]:
    """Take the words out of items that have ended; how many items, comments and snapshots. The caller records it.

    The entry of the erasure comes first: without it PostgreSQL refuses to change what has ended. Decisions, votes,
    codes of reasons, digests, view hashes, who and when stay.
    """
    items = list(Escalation.objects.filter(pk__in=ids, erased_at=None))
    for item in items:
        Escalation.objects.filter(pk=item.pk).update(
            title=f"{item.kind} {str(item.pk)[-8:]}",
            consequence="",
            subject={},
            schema=None,
            options=[],
            verdict={name: value for name, value in item.verdict.items() if name != "facts"},
            asked={"digest": item.asked.get("digest"), "parameters": {}} if item.asked else None,
            patch=[],
            reason="",
            answer=None,
            erased_at=ClockTimestamp(),
            erased_by=actor.username,
        )
    votes = Vote.objects.filter(escalation_id__in=ids)
    seen = ViewSnapshot.objects.filter(hash__in=votes.exclude(view_hash="").values("view_hash"), shown__isnull=False)
    told = {"items": len(items), "views": seen.update(shown=None)}
    votes.exclude(reason="").update(reason="")
    Delegation.objects.filter(escalation_id__in=ids).exclude(reason="").update(reason="")
    Job.objects.filter(items__escalation_id__in=ids).exclude(reason="").update(reason="")
    return told | {"comments": Comment.objects.filter(escalation_id__in=ids).exclude(text="").update(text="")}
