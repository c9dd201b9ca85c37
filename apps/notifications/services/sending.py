"""Sending what is due: claim and commit, send with a time-out, record the outcome.

What a worker took and did not finish before its lease goes again. A message may come twice only there: when the
worker died, or the server fell silent, after the message was taken. A mail keeps its Message-ID, so that mail programs
show the second as the first.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, OperationalError, models, transaction
from django.db.models import Count, ExpressionWrapper, F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from apps.core.errors import UnavailableError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.notifications.adapters import chat, push
from apps.notifications.adapters.mail import Post
from apps.notifications.models import Browser, ChatTarget, Delivery, Notice
from apps.notifications.rules import (
    ASKING,
    DIGEST_MAX,
    LEASE_S,
    TRIES_BEFORE_UNHEARD,
    Channel,
    DeliveryState,
    Event,
    Sent,
    Silence,
    retry_after_s,
    sources_of,
)
from apps.notifications.selectors.reports import may_have_report
from apps.notifications.services.browsers import address_of, note_push
from apps.notifications.services.chats import webhook_url
from apps.notifications.services.letters import chat_text_of, letter_of, push_of
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import inbox_for
from apps.oversight.services import Reach, note_reach
from apps.policies.models import BudgetChange
from apps.policies.rules import ProposalState

log = structlog.get_logger(__name__)

AT_FAULT = (
    OperationalError,
    DataError,
    IntegrityError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
)
"""What a message raises that cannot be written; its readers get it later, the others theirs now."""
BUDGET_S = 20.0
"""How long one round goes on: a slow server must not keep a worker from everything else."""
OUTCOME_MAX = 200
ABOUT = (
    "recipient", "chat_target", "browser",
    "notice__entry__actor", "notice__halt__engaged_by", "notice__agent", "notice__erasure__asked_by", "notice__budget",
    "notice__proposal__policy", "notice__proposal__version__author", "notice__review",
    "notice__connector",
    "notice__waiver__policy", "notice__waiver__maker", "notice__emergency__user",
    "notice__report__unit", "notice__entry", "notice__workflow",
    "notice__escalation__agent", "notice__breaker_change__breaker",
    "notice__rule_flag__agent", "notice__rule_flag__policy", "notice__rule_fault__policy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one recipient and channel that leave as one message. None left: all were silenced when claimed."""

    id: UUID
    channel: Channel
    rows: list[Delivery]


def send_due() -> int:
    """Send what is due for at most ``BUDGET_S`` seconds; how many messages were tried or silenced.

    Weekly reports are none of it (``services.reporting``): they take long to write, and nothing waits behind them.
    """
    requeue_lost()
    done, ends = 0, time.monotonic() + BUDGET_S
    down: dict[object, Sent] = {}
    with Post() as post:
        while time.monotonic() < ends and (batch := claim_batch()):
            settle_batch(batch, _tried(batch, post, down) if batch.rows else None)
            done += 1
    return done


@transaction.atomic
def requeue_lost() -> int:
    """Give back what a worker took and did not finish before its lease, later each time; how many."""
    lost = Delivery.objects.filter(state=DeliveryState.SENDING, lease_until__lte=ClockTimestamp())
    wait = ExpressionWrapper(F("attempts") * F("attempts") * timedelta(seconds=1), models.DurationField())
    return lost.update(state=DeliveryState.QUEUED, lease_until=None, not_before=ClockTimestamp() + wait)


@transaction.atomic
def claim_batch(*, reports: bool = False, lease_s: int = LEASE_S) -> Batch | None:
    """Take what is due first under a lease; of a digest, everything of its recipient that is due with it.

    ``reports``: a weekly report, instead of anything else.
    """
    due = Delivery.objects.select_for_update(of=("self",), skip_locked=True).filter(
        Q(notice__event=Event.REPORT) if reports else ~Q(notice__event=Event.REPORT),
        state=DeliveryState.QUEUED,
        not_before__lte=ClockTimestamp(),
    )
    first = due.order_by("not_before", "id").first()
    if first is None:
        return None
    ids = [first.pk]
    if first.is_digest:
        names = ("channel", "recipient_id", "chat_target_id", "browser_id")
        same = {name: value for name in names if (value := getattr(first, name))}
        rows = due.filter(is_digest=True, **same)
        rows = rows.filter(recipient=None) if first.recipient_id is None else rows
        ids = list(rows.order_by("id").values_list("pk", flat=True)[:DIGEST_MAX])
    batch, lease = uuid7(), ClockTimestamp() + timedelta(seconds=lease_s)
    Delivery.objects.filter(pk__in=ids).update(
        state=DeliveryState.SENDING, batch=batch, attempts=F("attempts") + 1, lease_until=lease
    )
    taken = Delivery.objects.filter(batch=batch).select_related(*ABOUT)
    found = list(taken.prefetch_related("notice__escalation__groups__queue"))
    silent = _silenced(found)
    for why in Silence:
        _end(batch, [pk for pk, reason in silent.items() if reason == why], DeliveryState.SUPPRESSED, why)
    return Batch(batch, Channel(first.channel), [row for row in found if row.pk not in silent])


def _silenced(rows: Sequence[Delivery]) -> dict[UUID, Silence]:
    """What of these rows is not sent after all: nobody is asked any more, or there is no way left."""
    first = rows[0]
    if first.chat_target and first.chat_target.removed_at:
        return dict.fromkeys((row.pk for row in rows), Silence.REMOVED)
    if first.browser and first.browser.gone_at:
        return dict.fromkeys((row.pk for row in rows), Silence.GONE)
    if not _is_set_up(Channel(first.channel)):
        return dict.fromkeys((row.pk for row in rows), Silence.NOT_SET_UP)
    if first.notice.report and not may_have_report(first.notice.report):
        return dict.fromkeys((row.pk for row in rows), Silence.NO_RIGHTS)
    asking = [row for row in rows if row.notice.event in ASKING]
    still = _still_asked(first.recipient, asking)
    gone = [row for row in rows if first.recipient and not first.recipient.is_active]
    gone += [row for row in rows if row.notice.erasure and row.notice.erasure.ended_at]
    gone += [row for row in rows if row.notice.proposal and row.notice.proposal.state != ProposalState.OPEN]
    gone += [row for row in rows if row.notice.is_over]
    gone += _of_decided_changes(rows)
    return {row.pk: Silence.NOT_ASKED for row in [*gone, *asking] if row in gone or row.pk not in still}


def _of_decided_changes(rows: Sequence[Delivery]) -> list[Delivery]:
    """The rows that ask for a release of a budget's change that does not wait any more."""
    asking = [row for row in rows if row.notice.budget_id and row.notice.event == Event.PROPOSAL]
    changes = BudgetChange.objects.filter(pk__in={row.notice.entry.subject_id for row in asking})
    waiting = set(changes.filter(state=ProposalState.OPEN).values_list("pk", flat=True)) if asking else set()
    return [row for row in asking if row.notice.entry.subject_id not in waiting]


def _is_set_up(channel: Channel) -> bool:
    ways = {Channel.EMAIL: settings.MAIL["host"], Channel.PUSH: settings.ACP_PUSH_HOSTS}
    return bool(ways.get(channel, True))


def _still_asked(person: User | None, rows: Sequence[Delivery]) -> set[UUID]:
    """The rows whose items wait, and for ``person`` to decide, as their inbox says; without one, for anybody."""
    if person is None:
        pending = EscalationState.PENDING
        return {row.pk for row in rows if row.notice.escalation and row.notice.escalation.state == pending}
    if not person.is_active:
        return set()
    ids = [row.notice.escalation_id for row in rows if row.notice.escalation_id]
    theirs = set(inbox_for(person).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()
    return {row.pk for row in rows if row.notice.escalation_id in theirs}


def _tried(batch: Batch, post: Post, down: dict[object, Sent]) -> Sent:
    """A message that cannot be written is one that was not sent: it is tried again later, and the others go now."""
    try:
        return _send(batch, post, down)
    except AT_FAULT as error:
        name = type(error).__name__
        log.warning("message_failed", error=name, batch=str(batch.id), exc_info=True)
        return Sent(ok=False, text=f"The message could not be written ({name}).")


def _send(batch: Batch, post: Post, down: dict[object, Sent]) -> Sent:
    """Make the attempt. A chat or a push service that gave no answer is not asked again in this round."""
    if batch.channel == Channel.EMAIL:
        return post.send(letter_of(batch.rows))
    place, attempt = _posting(batch)
    if place not in down:
        try:
            sent = attempt()
        except UnavailableError as error:
            sent = Sent(ok=False, text=str(error.message), is_down=True)
        if not sent.is_down:
            return sent
        down[place] = sent
    return down[place]


def _posting(batch: Batch) -> tuple[object, Callable[[], Sent]]:
    """To whom a batch is posted, and the attempt."""
    target, browser = batch.rows[0].chat_target, batch.rows[0].browser
    if browser is not None:
        return browser.host, partial(_push, browser, batch.rows)
    assert target is not None, "a chat row has a target"
    return target.pk, partial(_post, target, batch.rows)


def _post(target: ChatTarget, rows: Sequence[Delivery]) -> Sent:
    return chat.post(webhook_url(target), chat_text_of(rows), allow_internal=target.allow_internal)


def _push(browser: Browser, rows: Sequence[Delivery]) -> Sent:
    return push.post(address_of(browser), push_of(rows, timezone.now()))


@transaction.atomic
def settle_batch(batch: Batch, sent: Sent | None) -> None:
    """Record how it went, row by row, and report it for the items' timelines. Nothing once the lease was lost."""
    rows = Delivery.objects.filter(batch=batch.id)
    notices = Notice.objects.select_for_update().filter(pk__in=rows.values("notice")).order_by("pk")
    ids = [notice.pk for notice in notices]
    if sent is not None:
        _record(batch, sent)
    _report(batch.channel, ids)


def hold_batch(batch: Batch) -> bool:
    """Begin the lease anew before something leaves; False where another took the rows meanwhile."""
    held = Delivery.objects.filter(batch=batch.id, state=DeliveryState.SENDING)
    return held.update(lease_until=ClockTimestamp() + timedelta(seconds=LEASE_S)) > 0


def _record(batch: Batch, sent: Sent) -> None:
    ids = [row.pk for row in batch.rows]
    if browser := batch.rows[0].browser:
        note_push(browser, sent)
    if sent.ok:
        _end(batch.id, ids, DeliveryState.DELIVERED, "")
        return
    if sent.is_gone:
        _end(batch.id, ids, DeliveryState.SUPPRESSED, Silence.GONE)
        return
    for attempts in {row.attempts for row in batch.rows}:
        same = [row.pk for row in batch.rows if row.attempts == attempts]
        later = None if sent.is_final else retry_after_s(attempts, sent.after_s)
        if later is None:
            _end(batch.id, same, DeliveryState.FAILED, sent.text)
        else:
            again = ClockTimestamp() + timedelta(seconds=later)
            _move(batch.id, same, DeliveryState.QUEUED, outcome=sent.text[:OUTCOME_MAX], not_before=again)


def _end(batch: UUID, ids: Sequence[UUID], to: DeliveryState, outcome: str) -> None:
    if ids:
        _move(batch, ids, to, outcome=outcome[:OUTCOME_MAX], finished_at=ClockTimestamp())


def _move(batch: UUID, ids: Sequence[UUID], to: DeliveryState, **columns: object) -> None:
    """The conditional UPDATE: only rows that this worker still holds."""
    held = Delivery.objects.filter(pk__in=ids, batch=batch, state__in=sources_of(to))
    held.update(state=to, lease_until=None, **columns)


def _report(channel: Channel, notices: Sequence[UUID]) -> None:
    """Tell the items how their messages by this channel fared.

    When all are through, when the first arrived, and when so many attempts failed that nobody counts as reached.
    """
    open_ = Q(state__in=[DeliveryState.QUEUED, DeliveryState.SENDING])
    counted = (
        Delivery.objects.filter(notice__in=notices, channel=channel, notice__escalation__isnull=False)
        .values("notice__escalation", "notice__event", "is_digest", "notice__escalation__reached_at")
        .annotate(
            unheard_at=F("notice__escalation__unheard_at"),
            delivered=Count("pk", filter=Q(state=DeliveryState.DELIVERED)),
            failed=Count("pk", filter=Q(state=DeliveryState.FAILED)),
            trying=Count("pk", filter=open_),
            hopeful=Count("pk", filter=open_ & Q(attempts__lt=TRIES_BEFORE_UNHEARD)),
        )
    )
    reports = [_reach(channel, row) for row in counted if _is_news(row)]
    if reports:
        note_reach(system_user("plane"), reports=reports)


def _is_unheard(row: Mapping[str, Any]) -> bool:
    return not row["delivered"] and not row["hopeful"] and bool(row["failed"] or row["trying"])


def _is_news(row: Mapping[str, Any]) -> bool:
    if not row["trying"]:
        return bool(row["delivered"] or row["failed"])
    is_first = row["delivered"] and row["notice__escalation__reached_at"] is None
    return bool(is_first or (_is_unheard(row) and row["unheard_at"] is None))


def _reach(channel: Channel, row: Mapping[str, Any]) -> Reach:
    return Reach(
        escalation_id=row["notice__escalation"],
        channel=channel,
        event=row["notice__event"],
        digest=row["is_digest"],
        delivered=row["delivered"],
        failed=row["failed"],
        trying=row["trying"],
        reached=row["delivered"] > 0,
        unheard=_is_unheard(row),
    )
