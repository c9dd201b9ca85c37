"""Erasing what people and agents wrote about items, and what people saw of them."""

from collections.abc import Sequence
from uuid import UUID

from apps.audit.selectors import is_written
from apps.audit.services import erase_payloads
from apps.core.models import ClockTimestamp, User
from apps.core.services import blank_answers
from apps.oversight.models import Comment, Delegation, Escalation, Job, JobItem, StandingApproval, ViewSnapshot, Vote
from apps.oversight.services.drills import withdraw_drills_of


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
    withdraw_drills_of(actor, sources=ids)
    votes = Vote.objects.filter(escalation_id__in=ids)
    seen = ViewSnapshot.objects.filter(hash__in=votes.exclude(view_hash="").values("view_hash"), shown__isnull=False)
    told = {"items": len(items), "views": seen.update(shown=None)}
    votes.exclude(reason="").update(reason="")
    JobItem.objects.filter(escalation_id__in=ids).exclude(message="").update(message="")
    blank_answers(ids=list(StandingApproval.objects.filter(item__in=ids).values_list("pk", flat=True)))
    Delegation.objects.filter(escalation_id__in=ids).exclude(reason="").update(reason="")
    return told | {"comments": Comment.objects.filter(escalation_id__in=ids).exclude(text="").update(text="")}


def erase_jobs(actor: User, *, ids: Sequence[UUID], reason: str) -> int:
    """Take their common reason out of the bulk decisions that these items were part of; how many. It records it.

    A bulk decision has a trail of its own, so its erasure has an entry of its own. What it told other items stays with
    their votes. Nothing of it waits: the caller asked ``why_not_erasable``.
    """
    jobs = list(Job.objects.filter(items__escalation_id__in=ids).distinct())
    for job in jobs:
        Job.objects.filter(pk=job.pk).exclude(reason="").update(reason="")
        if is_written(job.pk):
            erase_payloads(actor, job, trail=job.pk, reason=reason)
    blank_answers(ids=[job.pk for job in jobs])
    return len(jobs)
