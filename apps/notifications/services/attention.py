"""What somebody has seen, or need not see any more."""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.queue import announce
from apps.notifications.models import Delivery, Notice
from apps.notifications.rules import ASKING, Channel, Event
from apps.notifications.selectors import notice_for, notices_for
from apps.oversight.models import Escalation
from apps.oversight.services import Reach, note_reach
from apps.policies.rules import ProposalState
from apps.policies.rules.waivers import WaiverState

SEEN_AT_ONCE = 200


@transaction.atomic
def mark_seen(actor: User, *, delivery_id: UUID) -> Delivery:
    """Note that ``actor`` has seen one thing that they were told. Raises NotFoundError."""
    require_human(actor)
    row = notice_for(actor, delivery_id)
    _see(actor, [row])
    return row


@transaction.atomic
def mark_all_seen(actor: User) -> int:
    """The same of everything that still asks for attention; how many, at most ``SEEN_AT_ONCE``."""
    require_human(actor)
    rows = list(notices_for(actor).filter(closed_at=None)[:SEEN_AT_ONCE])
    _see(actor, rows)
    return len(rows)


def _see(actor: User, rows: Iterable[Delivery]) -> None:
    """Seen once; and whoever is asked and has seen it was reached."""
    fresh = {row.pk: row for row in rows if row.seen_at is None}
    seen = Delivery.objects.filter(pk__in=fresh, seen_at=None)
    seen.filter(closed_at=None).update(closed_at=ClockTimestamp())
    if not seen.update(seen_at=ClockTimestamp()):
        return
    announce()
    notices = [row.notice for row in fresh.values() if row.notice.event in ASKING]
    asked = {notice.escalation_id for notice in notices if notice.escalation_id}
    unheard = Escalation.objects.filter(pk__in=asked, state="pending", reached_at=None).values_list("pk", flat=True)
    reports = [
        Reach(escalation_id=pk, channel=Channel.IN_APP, event="seen", delivered=1, reached=True) for pk in unheard
    ]
    if reports:
        note_reach(actor, reports=reports)


@transaction.atomic
def close_erasure_notices(actor: User, *, trail_id: UUID) -> int:
    """What asked people to agree with an erasure asks no more: it is done, refused or withdrawn; how many."""
    over = Delivery.objects.filter(notice__erasure__trail_id=trail_id, notice__erasure__ended_at__isnull=False)
    return _close(over)


@transaction.atomic
def close_proposal_notices(actor: User, *, proposal_id: UUID) -> int:
    """What asked people to look at a proposed change asks no more: it is decided; how many.

    What is just being spread for it is waited for, and then closed too.
    """
    list(Notice.objects.select_for_update().filter(proposal=proposal_id).order_by("pk"))
    rows = Delivery.objects.filter(notice__proposal=proposal_id)
    return _close(rows.exclude(notice__proposal__state=ProposalState.OPEN))


@transaction.atomic
def close_waiver_notices(actor: User, *, waiver_id: UUID) -> int:
    """The same of what asked people to approve a waiver: it is decided, or nobody did in time."""
    list(Notice.objects.select_for_update().filter(waiver=waiver_id, event=Event.WAIVER).order_by("pk"))
    rows = Delivery.objects.filter(notice__waiver=waiver_id, notice__event=Event.WAIVER)
    return _close(rows.exclude(notice__waiver__state=WaiverState.ASKED))


@transaction.atomic
def close_change_notices(actor: User, *, change_id: UUID) -> int:
    """What asked people to release a change of a budget asks no more: it is decided; how many."""
    list(Notice.objects.select_for_update(of=("self",)).filter(entry__subject_id=change_id).order_by("pk"))
    return _close(Delivery.objects.filter(notice__entry__subject_id=change_id))


@transaction.atomic
def close_breaker_notices(actor: User, *, change_id: UUID) -> int:
    """The same of a change of a breaker."""
    list(Notice.objects.select_for_update(of=("self",)).filter(breaker_change=change_id).order_by("pk"))
    return _close(Delivery.objects.filter(notice__breaker_change=change_id))


def _close(rows: QuerySet[Delivery]) -> int:
    done = rows.filter(channel=Channel.IN_APP, closed_at=None).update(closed_at=ClockTimestamp())
    if done:
        announce()
    return done


@transaction.atomic
def close_notices(actor: User, *, escalation_id: UUID) -> int:
    """What asked ``actor`` to decide an item asks no more: they have; how many."""
    rows = Delivery.objects.filter(recipient=actor, channel=Channel.IN_APP, closed_at=None)
    done = rows.filter(notice__escalation=escalation_id, notice__event__in=ASKING).update(closed_at=ClockTimestamp())
    if done:
        announce()
    return done
