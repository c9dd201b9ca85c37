"""What leaves the house, in words: what it is, how grave, where it waits, and a link. No parameters, no secrets."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Protocol, cast

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.core.rules import Risk
from apps.notifications.adapters.mail import Letter
from apps.notifications.models import Browser, Delivery, Notice
from apps.notifications.rules import URGENCY, Note, for_chat, one_line, topic_of, ttl_s_of, unlinked

SETTINGS_PAGE = "/settings/notifications/"
KINDS = {
    "halt": gettext_lazy("Halt"),
    "agent": gettext_lazy("Agent"),
    "erasure": gettext_lazy("Erasure"),
    "budget": gettext_lazy("Budget"),
    "proposal": gettext_lazy("Policy"),
    "review": gettext_lazy("Access review"),
    "connector": gettext_lazy("Connector"),
    "waiver": gettext_lazy("Waiver"),
    "emergency": gettext_lazy("Emergency account"),
    "report": gettext_lazy("Report"),
    "workflow": gettext_lazy("Workflow"),
    "breaker_change": gettext_lazy("Breaker"),
    "person": gettext_lazy("Your account"),
    "rule_flag": gettext_lazy("Agent"),
    "rule_fault": gettext_lazy("Policy"),
}
"""What a notice that is about no item is about, in words."""


class Written(Protocol):
    """A report in words, as ``settings.WEEKLY_REPORT`` writes it for its reader."""

    subject: str
    text: str
    html: str
    attached: tuple[tuple[str, str | bytes, str], ...]


def report_of(row: Delivery) -> Written:
    """What a weekly report says, worked out now, with the rights that its reader has now."""
    wanted = row.notice.report
    assert wanted is not None, "the notice is about a report"
    write = cast("Callable[..., Written]", import_string(settings.WEEKLY_REPORT))
    monday = date.fromisoformat(row.notice.entry.payload["week"])
    return write(row.recipient, monday=monday, unit=wanted.unit.slug if wanted.unit else "")


def report_letter_of(row: Delivery, written: Written) -> Letter:
    """The mail of a weekly report."""
    assert row.recipient is not None, "mail goes to people"
    return Letter(
        message_id=_message_id(row.pk),
        to=row.recipient.email,
        subject=one_line(unlinked(written.subject)),
        text=written.text,
        html=written.html,
        unsubscribe=f"{settings.ACP_URL}{row.notice.url}#by-mail",
        attached=written.attached,
    )


def _message_id(number: object) -> str:
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(" >")
    return f"<{number}@{host}>"


def letter_of(rows: Sequence[Delivery]) -> Letter:
    """The mail for rows of one recipient: one item, or a digest, gravest first."""
    ordered = sorted(rows, key=_gravest_first)
    first = ordered[0]
    assert first.recipient is not None, "mail goes to people"
    unsubscribe = f"{settings.ACP_URL}{SETTINGS_PAGE}"
    context = {"lines": [_line(row) for row in ordered], "is_digest": first.is_digest, "unsubscribe": unsubscribe}
    return Letter(
        message_id=_message_id(min(row.pk for row in rows)),
        to=first.recipient.email,
        subject=_digest_subject(ordered) if first.is_digest else _subject(first),
        text=render_to_string("notifications/mail.txt", context),
        html=render_to_string("notifications/mail.html", context),
        unsubscribe=unsubscribe,
    )


def chat_text_of(rows: Sequence[Delivery]) -> str:
    """One line for a chat: kind, risk, queue and link only. A title may hold an amount, so it stays here."""
    ordered = sorted(rows, key=_gravest_first)
    if not ordered[0].is_digest:
        line = _line(ordered[0])
        words = [f"[{line['risk']}] {line['headline']}", line["kind"], line["queue"]]
        return f"{' · '.join(for_chat(str(word)) for word in words if word)} {line['url']}"
    return f"{for_chat(_digest_subject(ordered))} {settings.ACP_URL}/inbox/"


def push_of(rows: Sequence[Delivery], now: datetime) -> Note:
    """What a browser shows, on a locked screen too: what happened, how grave, what kind. The rest stays here."""
    ordered = sorted(rows, key=_gravest_first)
    first, notice, item = ordered[0], ordered[0].notice, ordered[0].notice.escalation
    urgency = URGENCY[Risk(first.risk)]
    if first.is_digest:
        topic = topic_of(first.browser_id, "digest")
        words = _("Open what waits for you.")
        return Note(title=_digest_subject(ordered), body=words, path="/inbox/", topic=topic, urgency=urgency)
    return Note(
        title=f"{first.get_risk_display()}: {notice.headline}",
        body=str(_kind(notice)),
        path=notice.url,
        topic=topic_of(first.browser_id, notice.url),
        urgency=urgency,
        ttl_s=ttl_s_of(now, item.expires_at if item and not item.ended_at else None),
    )


def trial_note_of(browser: Browser) -> Note:
    """What a browser shows when somebody tries it."""
    title, body = _("Autonomy Control Plane"), _("This browser is told. This was a test.")
    topic = topic_of(browser.pk, "test")
    return Note(title=title, body=body, path=SETTINGS_PAGE, topic=topic, urgency=URGENCY[Risk.CRITICAL], ttl_s=60)


def _gravest_first(row: Delivery) -> tuple[int, str]:
    return -list(Risk).index(Risk(row.risk)), str(row.pk)


def _subject(row: Delivery) -> str:
    title = unlinked(one_line(row.notice.title))
    return one_line(f"[{row.get_risk_display()}] {row.notice.headline}: {title}")


def _digest_subject(rows: Sequence[Delivery]) -> str:
    counted = Counter(str(row.get_risk_display()) for row in rows)
    risks = ", ".join(f"{count} {risk.lower()}" for risk, count in counted.items())
    words = ngettext("%(n)d notice: %(risks)s", "%(n)d notices: %(risks)s", len(rows))
    return one_line(words % {"n": len(rows), "risks": risks})


def _kind(notice: Notice) -> Any:
    item = notice.escalation
    return item.get_kind_display() if item else KINDS[notice.about]


def _line(row: Delivery) -> dict[str, Any]:
    """What may be told of one notice outside the app."""
    notice, item = row.notice, row.notice.escalation
    queues = [one_line(group.queue.name) for group in item.asked_groups()] if item else []
    return {
        "headline": notice.headline,
        "risk": row.get_risk_display(),
        "title": unlinked(one_line(notice.title)),
        "kind": _kind(notice),
        "queue": ", ".join(queues),
        "agent": one_line(item.agent.name) if item and item.agent else "",
        "due_at": item.due_at if item and not item.ended_at else None,
        "url": f"{settings.ACP_URL}{notice.url}",
    }
