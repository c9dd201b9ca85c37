"""Mail over real SMTP: what arrives, what does not, and what becomes of it."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp, User
from apps.notifications.models import Delivery, Notice
from apps.notifications.rules import RETRY_AFTER_S
from apps.notifications.services import sending, spread_notices
from apps.notifications.tasks import send_messages
from apps.oversight.models import Escalation
from apps.oversight.selectors import escalation_for, timeline_for, unheard_items
from apps.oversight.services import attempt_again, cancel_escalations
from tests.factories.access import make_approver
from tests.factories.oversight import Payment, make_payment, nothing_happens, say
from tests.notifications.conftest import Mailbox, later, tell, told

pytestmark = pytest.mark.django_db


def make_asked(**fields: Any) -> Payment:
    """A payment of high risk that Ada and Ben are asked to decide, and both have an address."""
    payment = make_payment(**{"risk": "high", **fields})
    for person in (payment.ada, payment.ben):
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.com")
        person.refresh_from_db()
    return payment


def subject_of(letter: EmailMessage) -> str:
    """The subject as a mail program shows it: unfolded."""
    return str(letter["Subject"]).strip()


def reach_of(person: User, item: Escalation) -> list[dict[str, Any]]:
    return [
        line for line in timeline_for(person, escalation_for(person, item.pk)) if line["name"] == "escalation.notified"
    ]


def test_everybody_who_may_decide_gets_one_letter(mail: Mailbox) -> None:
    payment = make_asked()
    tell()
    assert told(payment.item, "email") == sorted([(p.username, "delivered") for p in (payment.ada, payment.ben)])
    (letter,) = mail.to(payment.ada.email)
    assert subject_of(letter).startswith("[High] Waits for you: ")
    assert payment.item.title.split(" · ")[0] in subject_of(letter)
    assert letter["From"] == "plane@plane.example"
    assert letter["List-Unsubscribe"] == "<https://plane.example/settings/notifications/>"
    plain, html = (letter.get_body((kind,)).get_content() for kind in ("plain", "html"))
    url = f"https://plane.example/inbox/{payment.item.pk}/"
    assert url in plain
    assert f'href="{url}"' in html
    assert {part for part in html.split('"') if "://" in part} == {url, "https://plane.example/settings/notifications/"}
    assert mail.connections == 1, "one connection for all letters of a round"


def test_a_letter_holds_no_parameters(mail: Mailbox) -> None:
    payment = make_asked(parameters={"memo": "the-secret-memo"})
    tell()
    assert "memo" in payment.action.parameters
    assert all("the-secret-memo" not in letter.as_string() for letter in mail.letters)


def test_the_timeline_says_that_somebody_was_reached(mail: Mailbox) -> None:
    payment = make_asked()
    assert payment.now().reached_at is None
    tell()
    lines = {line["channel"]: line for line in reach_of(payment.ada, payment.item)}
    assert (lines["in_app"]["delivered"], lines["email"]["delivered"], lines["email"]["failed"]) == (2, 2, 0)
    assert payment.now().reached_at is not None
    assert payment.now().unheard_at is None
    page = Client()
    page.force_login(payment.ada)
    assert "E-mail: delivered to 2" in page.get(f"/inbox/{payment.item.pk}/").content.decode()


def test_told_once_however_often_the_reaction_is_delivered(mail: Mailbox) -> None:
    payment = make_asked()
    tell()
    entry = Entry.objects.get(name="escalation.pending", subject_id=payment.item.pk)
    entry.deliveries.update(done_at=None, not_before=ClockTimestamp())
    tell()
    Notice.objects.update(spread_at=None, not_before=ClockTimestamp())
    tell()
    assert len(mail.letters) == 2
    assert Notice.objects.filter(entry=entry).count() == 1


def test_a_retry_of_the_same_action_tells_nobody(mail: Mailbox) -> None:
    payment = make_asked()
    tell()
    before = Delivery.objects.count()
    attempt_again(payment.agent.user, action=payment.action)
    tell()
    assert payment.now().attempts == 2
    assert (len(mail.letters), Delivery.objects.count()) == (2, before)


def test_nobody_is_told_of_what_ended_before(mail: Mailbox) -> None:
    payment = make_asked()
    cancel_escalations(payment.agent.user, id=payment.item.pk)
    tell()
    assert mail.letters == []
    assert told(payment.item, "email") == []


def test_what_is_queued_when_the_item_ends_is_never_sent(mail: Mailbox) -> None:
    payment = make_asked(risk="medium")
    tell()
    assert {state for _, state in told(payment.item, "email")} == {"queued"}
    say(payment.ada, payment.item, "reject", reason="No.")
    later()
    send_messages()
    assert {state for _, state in told(payment.item, "email")} == {"suppressed"}
    tell()
    assert mail.letters == []
    assert Delivery.objects.filter(outcome="not_asked").count() == 2


def test_who_has_voted_or_lost_the_role_is_not_mailed(mail: Mailbox) -> None:
    payment = make_asked(risk="medium", quorum=2)
    tell()
    say(payment.ada, payment.item)
    later()
    send_messages()
    assert told(payment.item, "email") == sorted(
        [(payment.ada.username, "suppressed"), (payment.ben.username, "delivered")]
    )
    assert [letter["To"] for letter in mail.letters] == [payment.ben.email]


def test_a_scanner_that_opens_the_link_decides_nothing(mail: Mailbox) -> None:
    payment = make_asked()
    tell()
    body = mail.letters[0].get_body(("plain",)).get_content()
    path = next(word for word in body.split() if "/inbox/" in word).removeprefix("https://plane.example")
    scanner, ada = Client(), Client()
    ada.force_login(payment.ada)
    with nothing_happens():
        assert scanner.get(path).status_code == 302
        assert ada.get(path).status_code == 200
        assert ada.head(path).status_code in {200, 405}


@pytest.mark.parametrize(
    "title",
    [
        "Pay\r\nBcc: mallory@evil.example\r\n\r\nHello",
        "Pay\nSubject: other",
        "Pay\u2028Bcc: mallory@evil.example",
        "Pay \u202egnp.exe\u202c\x00\x1b[31m",
        "=?utf-8?q?Bcc:_mallory?=",
        "x" * 5_000,
        "See https://evil.example/pay now, or www.evil.example",
        "<script>alert(1)</script><img src=https://evil.example/x>",
    ],
)
def test_a_title_cannot_leave_its_line(mail: Mailbox, title: str) -> None:
    payment = make_asked()
    Escalation.objects.filter(pk=payment.item.pk).update(title=title.replace("\x00", "")[:300])
    tell()
    (letter,) = mail.to(payment.ada.email)
    assert set(letter.keys()) == {
        "Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "List-Unsubscribe",
        "Auto-Submitted",
    }  # fmt: skip
    assert len(subject_of(letter)) <= 160
    assert subject_of(letter).isprintable()
    assert [other["To"] for other in mail.letters] == sorted([payment.ada.email, payment.ben.email])
    html = letter.get_body(("html",)).get_content()
    assert "<script" not in html
    assert "<img" not in html
    assert "evil.example" not in letter.as_string().replace("=\n", "")


def test_without_a_server_the_item_is_there_and_nobody_was_reached(no_mail: None) -> None:
    payment = make_asked()
    tell()
    rows = Delivery.objects.filter(notice__escalation=payment.item, channel="email")
    assert {(row.state, row.attempts) for row in rows} == {("queued", 1)}
    assert all("gives no answer" in row.outcome for row in rows)
    assert payment.now().state == "pending"
    assert payment.now().unheard_at is None, "one failed attempt says little"
    for _ in range(2):
        later()
        send_messages()
    assert payment.now().unheard_at is not None
    assert list(unheard_items()) == [payment.item]
    for _ in RETRY_AFTER_S:
        later()
        send_messages()
    assert {(row.state, row.attempts) for row in rows.all()} == {("failed", len(RETRY_AFTER_S) + 1)}
    (line,) = (line for line in reach_of(payment.ada, payment.item) if line["channel"] == "email")
    assert (line["failed"], line.get("delivered")) == (2, 0)
    assert payment.now().reached_at is None
    assert say(payment.ada, payment.item, "reject", reason="No.").state == "rejected"


def test_attempts_are_further_and_further_apart(no_mail: None) -> None:
    payment = make_asked()
    tell()
    for wait_s in RETRY_AFTER_S:
        row = Delivery.objects.filter(channel="email").annotate(now=ClockTimestamp()).first()
        assert timedelta(seconds=wait_s - 2) < row.not_before - row.now <= timedelta(seconds=wait_s)
        later(notice__escalation=payment.item)
        send_messages()


def test_a_server_that_comes_back_gets_the_letters(mail: Mailbox) -> None:
    payment = make_asked()
    mail.answers = ["451 try later", "451 try later"]
    tell()
    assert {state for _, state in told(payment.item, "email")} == {"queued"}
    later()
    send_messages()
    assert {state for _, state in told(payment.item, "email")} == {"delivered"}
    assert len(mail.letters) == 2
    assert unheard_items().count() == 0


def test_a_refused_address_fails_at_once_and_no_other_letter_with_it(mail: Mailbox) -> None:
    payment = make_asked()
    mail.refusals = {payment.ada.email: "550 5.1.1 no such person"}
    tell()
    assert told(payment.item, "email") == sorted(
        [(payment.ada.username, "failed"), (payment.ben.username, "delivered")]
    )
    assert "550" in Delivery.objects.get(state="failed").outcome
    (line,) = (line for line in reach_of(payment.ada, payment.item) if line["channel"] == "email")
    assert (line["delivered"], line["failed"]) == (1, 1)


def test_a_letter_that_cannot_be_written_holds_up_no_other(mail: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, each round would end where the broken one's turn comes."""
    payment, write = make_asked(), sending.letter_of

    def letter_of(rows: Any) -> EmailMessage:
        if rows[0].recipient == payment.ada:
            raise KeyError("a fact that is gone")
        return write(rows)

    monkeypatch.setattr(sending, "letter_of", letter_of)
    tell()
    assert [letter["To"] for letter in mail.letters] == [payment.ben.email]
    row = Delivery.objects.get(recipient=payment.ada, channel="email")
    assert (row.state, row.outcome) == ("queued", "The message could not be written (KeyError).")
    monkeypatch.setattr(sending, "letter_of", write)
    later()
    send_messages()
    assert [letter["To"] for letter in mail.letters] == [payment.ben.email, payment.ada.email]


def test_a_slow_server_is_given_up_and_holds_up_no_round(mail: Mailbox) -> None:
    payment = make_asked()
    for _ in range(8):
        person = make_approver(payment.queue)
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.com")
    mail.slow_s = 2.5
    tell()
    assert mail.connections == 1, "ten letters do not each wait for the same slow server"
    rows = Delivery.objects.filter(channel="email")
    assert {(row.state, row.attempts) for row in rows} == {("queued", 1)}
    assert rows.count() == 10


def test_what_a_killed_worker_took_goes_again(mail: Mailbox) -> None:
    payment = make_asked()
    deliver_reactions()
    spread_notices()
    taken = sending.claim_batch()
    assert {row.state for row in Delivery.objects.filter(batch=taken.id)} == {"sending"}
    send_messages()
    assert len(mail.letters) == 1, "what is taken under a lease is not taken twice"
    Delivery.objects.filter(batch=taken.id).update(lease_until="2020-01-01T00:00:00Z")
    send_messages()
    later()
    send_messages()
    assert len(mail.letters) == 2
    assert {state for _, state in told(payment.item, "email")} == {"delivered"}
    row = Delivery.objects.get(pk=taken.rows[0].pk)
    assert (row.state, row.attempts) == ("delivered", 2)


def test_a_double_has_the_same_message_id(mail: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = make_asked()
    User.objects.filter(pk=payment.ben.pk).update(email="")
    with monkeypatch.context() as killed:
        killed.setattr(sending, "settle_batch", lambda batch, sent: None)  # the worker dies when the letter was taken
        tell()
    Delivery.objects.filter(state="sending").update(lease_until="2020-01-01T00:00:00Z")
    send_messages()
    later()
    send_messages()
    first, second = mail.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_who_is_told_costs_the_same_for_two_hundred_people(mail: Mailbox, django_assert_max_num_queries: Any) -> None:
    payment = make_asked(risk="medium")
    for number in range(200):
        person = make_approver(payment.queue)
        User.objects.filter(pk=person.pk).update(email=f"p{number}@example.com")
    deliver_reactions()
    with django_assert_max_num_queries(36):
        spread_notices()
    assert Delivery.objects.filter(channel="email", state="queued").count() == 202
    assert Delivery.objects.filter(channel="in_app", state="delivered").count() == 202


def test_mail_that_is_not_set_up_says_so() -> None:
    payment = make_asked()
    tell()
    rows = Delivery.objects.filter(notice__escalation=payment.item, channel="email")
    assert {(row.state, row.outcome) for row in rows} == {("suppressed", "not_set_up")}
    assert payment.now().unheard_at is None


def test_who_has_no_address_is_not_mailed(mail: Mailbox) -> None:
    payment = make_asked()
    User.objects.filter(pk=payment.ada.pk).update(email="nobody")
    tell()
    assert Delivery.objects.get(recipient=payment.ada, channel="email").outcome == "no_address"
    assert len(mail.letters) == 1
