"""From an entry of the ledger to one message per recipient and channel.

Two steps, so that telling people holds up nothing: the reaction writes one row; its messages are written in a lane of
their own, by queries whose number does not grow with the recipients.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection, transaction

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.queue import announce, ring
from apps.core.rules import Risk
from apps.core.services import system_user
from apps.core.turns import gives_way
from apps.notifications.models import ChatTarget, Delivery, Notice
from apps.notifications.rules import (
    ALARMS,
    ASKING,
    ENDING,
    KEPT_DAYS,
    Channel,
    DeliveryState,
    Event,
    Silence,
    Timing,
    default_timing,
    event_of,
    sources_of,
)
from apps.notifications.selectors import Wishes, recipients_of, wishes_of
from apps.notifications.services.browsers import forget_browsers
from apps.oversight.models import Escalation
from apps.oversight.services import Reach, note_reach
from apps.policies.models import BudgetChange
from apps.workflows.models import ErasureRequest

LANE = "messages"
BATCH = 200
CLAIM = """
UPDATE notifications_notice SET attempts = attempts + 1,
       not_before = clock_timestamp() + least(power(2, attempts), 300) * interval '1 second'
WHERE id = (SELECT id FROM notifications_notice WHERE spread_at IS NULL AND not_before <= clock_timestamp()
            ORDER BY not_before, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


SAME = ("halt", "agent", "budget", "proposal", "connector", "waiver", "workflow")
KINDS = {kind: kind for kind in SAME} | {
    "accessreview": "review",
    "breakerchange": "breaker_change",
    "emergencyaccess": "emergency",
    "reportsubscription": "report",
    "rulefault": "rule_fault",
    "ruleflag": "rule_flag",
    "user": "person",
}
"""What an entry is about -> what a notice calls it; all else is about an item."""


@transaction.atomic
def raise_notice(actor: User, *, entry: Entry) -> None:
    """Write down that people are to be told of an entry, once per entry; nothing where it concerns nobody."""
    event = event_of(entry.name, entry.payload)
    if event is None or actor.pk != entry.actor_id:
        return
    if event == Event.ERASURE:
        asked = ErasureRequest.objects.filter(trail_id=entry.trail_id, ended_at=None).first()
        if asked is None:
            return
        about = {"erasure_id": asked.pk}
    elif entry.subject_kind == "budgetchange":
        about = {"budget_id": BudgetChange.objects.values_list("budget", flat=True).get(pk=entry.subject_id)}
    else:
        kind = KINDS.get(entry.subject_kind, "escalation")
        about = {f"{kind}_id": entry.subject_id}
    Notice.objects.bulk_create([Notice(entry=entry, event=event, **about)], ignore_conflicts=True)
    ring(LANE)


def spread_notices() -> int:
    """Write the messages of notices that have none yet, one transaction each; how many notices."""
    done = 0
    while done < BATCH and not gives_way(LANE) and (notice_id := _claim()):
        _spread(notice_id)
        done += 1
    return done


@transaction.atomic
def _claim() -> UUID | None:
    """Take one notice and postpone its next try first, so that one that fails holds up nothing but itself."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM)
        found = cursor.fetchone()
    return found[0] if found else None


ABOUT = (
    "entry__actor",
    "escalation__unit",
    "escalation__agent__owner",
    "escalation__action__principal",
    "escalation__action__on_behalf_of",
    "halt__engaged_by",
    "agent__owner",
    "erasure__asked_by",
    "budget__owner",
    "proposal__policy",
    "proposal__version",
    "review__opened_by",
    "connector",
    "waiver__policy",
    "waiver__maker",
    "emergency__user",
    "report__user",
    "workflow__owner",
    "breaker_change__breaker",
    "person",
    "rule_flag__agent__owner",
    "rule_flag__policy",
    "rule_fault__policy",
)
_to_spread = Prepared(
    lambda: (
        Notice.objects.select_for_update(of=("self",))
        .select_related(*ABOUT)
        .annotate(now=ClockTimestamp())
        .filter(pk=Slot("notice"), spread_at=None)
    )
)


@transaction.atomic
def _spread(notice_id: UUID) -> None:
    notice = _to_spread.first(notice=notice_id)
    if notice is None:
        return
    if notice.event in ENDING and notice.escalation:
        _silence_item(notice, notice.escalation)
    people = recipients_of(notice)
    deliveries = list(_messages(notice, people, notice.now))
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    Notice.objects.filter(pk=notice.pk).update(spread_at=ClockTimestamp())
    shown = sum(row.channel == Channel.IN_APP and row.state == DeliveryState.DELIVERED for row in deliveries)
    if shown:
        announce()
    if shown and notice.escalation_id:
        report = Reach(escalation_id=notice.escalation_id, channel=Channel.IN_APP, event=notice.event, delivered=shown)
        note_reach(system_user("plane"), reports=[report])


def _silence_item(notice: Notice, item: Escalation) -> None:
    """Nothing asks for an item that ended. What is just being spread for it is waited for, and then silenced too."""
    list(Notice.objects.select_for_update().filter(escalation=item, pk__lt=notice.pk).order_by("pk"))
    asking = Delivery.objects.filter(notice__escalation=item, notice__event__in=ASKING)
    asking.filter(state=DeliveryState.QUEUED).update(
        state=DeliveryState.SUPPRESSED, outcome=Silence.NOT_ASKED, finished_at=ClockTimestamp()
    )
    asking.filter(channel=Channel.IN_APP, closed_at=None).update(closed_at=ClockTimestamp())
    announce()


def _messages(notice: Notice, people: list[User], now: datetime) -> Iterator[Delivery]:
    """One row per person and channel, of their chats and browsers one each, and one per chat of the item's queues.

    A report is a letter and nothing else.
    """
    risk = notice.risk
    wishes = wishes_of(people)
    for person in people:
        wish = wishes[person.pk]
        row = {"notice": notice, "recipient": person, "risk": risk}
        if notice.event == Event.REPORT:
            mail = Delivery(**row, channel=Channel.EMAIL)
            yield _timed(mail, wish, now, Timing.NOW, _why_no_mail(person))
            continue
        in_app, by_mail = (_when(notice, wish, channel) for channel in (Channel.IN_APP, Channel.EMAIL))
        yield _in_app(row, in_app)
        mail = Delivery(**row, channel=Channel.EMAIL)
        yield _timed(mail, wish, now, by_mail, _why_no_mail(person))
        for target in wish.chats:
            chat = Delivery(**row, channel=Channel.CHAT, chat_target=target)
            yield _timed(chat, wish, now, wish.timing(Channel.CHAT, risk))
        for browser in wish.browsers:
            push = Delivery(**row, channel=Channel.PUSH, browser=browser)
            yield _timed(push, wish, now, wish.timing(Channel.PUSH, risk))
    for target in _chats_of_queues(notice):
        chat = Delivery(notice=notice, risk=risk, channel=Channel.CHAT, chat_target=target)
        yield _timed(chat, Wishes(), now, default_timing(Channel.CHAT, risk))


def _when(notice: Notice, wish: Wishes, channel: Channel) -> Timing:
    """As the person wishes; nobody wishes an alarm away."""
    return Timing.NOW if notice.event in ALARMS else wish.timing(channel, notice.risk)


def _in_app(row: dict[str, Any], timing: Timing) -> Delivery:
    """In the app a message has arrived when it is written."""
    if timing == Timing.OFF:
        return _silent(Delivery(**row, channel=Channel.IN_APP), Silence.PREFERENCE)
    state = DeliveryState.DELIVERED
    return Delivery(**row, channel=Channel.IN_APP, state=state, finished_at=ClockTimestamp())


def _silent(row: Delivery, why: Silence) -> Delivery:
    row.state, row.outcome, row.finished_at = DeliveryState.SUPPRESSED, why, ClockTimestamp()
    return row


def _timed(row: Delivery, wish: Wishes, now: datetime, timing: Timing, why_not: Silence | None = None) -> Delivery:
    """The row queued for its time; or not sent, and why."""
    if timing == Timing.OFF or why_not:
        return _silent(row, why_not or Silence.PREFERENCE)
    row.state, row.is_digest = DeliveryState.QUEUED, timing == Timing.DIGEST
    row.not_before = wish.leaves_at(now, Risk(row.risk), timing)
    return row


def _why_no_mail(person: User) -> Silence | None:
    if not settings.MAIL["host"]:
        return Silence.NOT_SET_UP
    try:
        validate_email(person.email)
    except ValidationError:
        return Silence.NO_ADDRESS
    return None


def _chats_of_queues(notice: Notice) -> list[ChatTarget]:
    is_for_all = notice.event in ASKING and notice.event != Event.ASSIGNED
    if not is_for_all or notice.escalation is None or notice.escalation.ended_at:
        return []
    queues = [group.queue_id for group in notice.escalation.asked_groups()]
    return list(ChatTarget.objects.filter(queue__in=queues, removed_at=None).order_by("slug"))


@transaction.atomic
def forget_notices() -> int:
    """Delete what people were told longer than ``KEPT_DAYS`` ago; the ledger keeps how it fared. How many notices.

    With them go the browsers that ended before and were told nothing since.
    """
    old = Notice.objects.filter(created_at__lt=ClockTimestamp() - timedelta(days=KEPT_DAYS), spread_at__isnull=False)
    waiting = Delivery.objects.filter(state__in=sources_of(DeliveryState.SUPPRESSED)).values("notice")
    _, each = old.exclude(pk__in=waiting).delete()
    forget_browsers()
    return each.get("notifications.Notice", 0)
