"""The bell, its list, digests, wishes and quiet hours; pages and endpoints."""

from datetime import time
from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.halts.services import engage_halt
from apps.notifications.models import ChatTarget, Delivery, Notice, Preference, QuietHours
from apps.notifications.selectors import unseen_count_for
from apps.notifications.services import forget_notices, save_wishes
from apps.notifications.tasks import send_messages
from apps.oversight.services import (
    answer_comment,
    comment_escalation,
    delegate_escalation,
    mark_due_soon,
    mark_overdue,
    undo_decision,
)
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.oversight import Payment, make_escalation, make_payment, say
from tests.notifications.conftest import Mailbox, later, tell, told
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def mailed(*people: User) -> None:
    for person in people:
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.com")
        person.refresh_from_db()


class TestTheBell:
    def test_counts_what_waits_and_forgets_what_ended(self) -> None:
        payment = make_payment()
        tell()
        assert unseen_count_for(payment.ada) == 1
        page = signed_in(payment.ada).get("/help/").content.decode()
        assert "Notifications, 1 unseen" in page
        assert f"notices:{payment.ada.pk}" in page
        say(payment.ben, payment.item, "reject", reason="No.")
        tell()
        assert unseen_count_for(payment.ada) == 0
        assert "Notifications, 0 unseen" in signed_in(payment.ada).get("/help/").content.decode()

    def test_asks_no_more_of_whoever_voted(self) -> None:
        payment = make_payment(quorum=2)
        tell()
        say(payment.ada, payment.item)
        tell()
        assert (unseen_count_for(payment.ada), unseen_count_for(payment.ben)) == (0, 1)

    def test_answers_itself_alone_when_it_asks(self) -> None:
        payment = make_payment()
        tell()
        bell = signed_in(payment.ada).get("/notifications/", headers={"HX-Request": "true", "HX-Target": "bell"})
        assert bell.content.decode().startswith("<a ")
        assert "1 unseen" in bell.content.decode()

    def test_costs_a_page_one_query(self, django_assert_max_num_queries: Any) -> None:
        payment = make_payment()
        tell()
        with django_assert_max_num_queries(1):
            unseen_count_for(payment.ada)


class TestTheList:
    def test_shows_one_s_own_and_opens_the_item(self) -> None:
        payment, other = make_payment(), make_payment()
        tell()
        client = signed_in(payment.ada)
        page = client.get("/notifications/").content.decode()
        assert page.count('<li class="item') == 1
        row = Delivery.objects.get(recipient=payment.ada, channel="in_app")
        answer = client.get(f"/notifications/{row.pk}/")
        assert answer["Location"] == f"/inbox/{payment.item.pk}/"
        row.refresh_from_db()
        assert row.seen_at is not None
        assert payment.now().state == "pending"
        theirs = Delivery.objects.get(recipient=other.ada, channel="in_app")
        assert client.get(f"/notifications/{theirs.pk}/").status_code == 404
        theirs.refresh_from_db()
        assert theirs.seen_at is None

    def test_whoever_has_seen_it_was_reached(self) -> None:
        payment = make_payment()
        tell()
        assert payment.now().reached_at is None, "a row in a table reaches nobody"
        row = Delivery.objects.get(recipient=payment.ada, channel="in_app")
        signed_in(payment.ada).get(f"/notifications/{row.pk}/")
        assert payment.now().reached_at is not None
        entry = Entry.objects.filter(name="escalation.notified").last()
        assert (entry.actor, entry.payload["event"]) == (payment.ada, "seen")
        assert "In the app: seen" in signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/").content.decode()

    def test_all_are_marked_at_once(self) -> None:
        payment = make_payment()
        for number in range(3):
            make_escalation(queue=payment.queue, title=f"Approve {number}")
        tell()
        assert unseen_count_for(payment.ada) == 4
        assert signed_in(payment.ada).get("/notifications/seen/").status_code == 405
        assert signed_in(payment.ada).post("/notifications/seen/").status_code == 302
        assert (unseen_count_for(payment.ada), unseen_count_for(payment.ben)) == (0, 4)

    def test_hostile_titles_stay_text(self) -> None:
        payment = make_payment()
        make_escalation(queue=payment.queue, title="<script>alert(1)</script> \u202egnp")
        tell()
        page = signed_in(payment.ada).get("/notifications/").content.decode()
        assert "<script>alert" not in page
        assert "U+202E" in page


class TestWhoIsTold:
    def test_the_agent_s_owner_of_the_decision(self, mail: Mailbox) -> None:
        payment = make_payment(risk="high")
        owner = payment.agent.owner
        mailed(owner)
        say(payment.ada, payment.item, "reject", reason="No.")
        tell()
        assert told(payment.item, "email", "decided") == [(owner.username, "delivered")]
        (letter,) = mail.to(owner.email)
        assert str(letter["Subject"]).strip().startswith("[High] Rejected: ")
        assert unseen_count_for(owner) == 1

    def test_not_the_owner_of_what_they_decided_themselves(self) -> None:
        payment = make_payment()
        payment.agent.owner = payment.ada
        payment.agent.save()
        say(payment.ada, payment.item, "reject", reason="No.")
        tell()
        assert told(payment.item, "in_app", "decided") == []

    def test_everybody_who_may_decide_when_it_is_late(self) -> None:
        payment = make_payment()
        tell()
        type(payment.item).objects.update(due_at="2020-01-01T00:00:00Z")
        mark_overdue()
        tell()
        assert {name for name, _ in told(payment.item, "in_app", "overdue")} == {
            payment.ada.username,
            payment.ben.username,
        }

    def test_everybody_who_may_decide_before_it_is_late(self) -> None:
        payment = make_payment()
        tell()
        type(payment.item).objects.update(warn_at="2020-01-01T00:00:00Z")
        assert (mark_due_soon(), mark_due_soon()) == (1, 0)
        tell()
        people = {payment.ada.username, payment.ben.username}
        assert {name for name, _ in told(payment.item, "in_app", "due_soon")} == people

    def test_whoever_asked_when_the_agent_replies(self) -> None:
        payment = make_payment()
        comment_escalation(payment.ada, escalation_id=payment.item.pk, text="Why so much?")
        answer_comment(payment.agent.user, action=payment.action, text="Two months at once.")
        tell()
        assert told(payment.item, "in_app", "replied") == [(payment.ada.username, "delivered")]

    def test_who_may_lift_it_when_something_is_stopped(self, mail: Mailbox) -> None:
        payment = make_payment()
        lifter, stranger = make_holder("halts.lift_halt", unit=payment.unit), make_holder("halts.lift_halt")
        elsewhere = make_holder("halts.lift_halt", unit=make_payment().unit)
        mailed(lifter, elsewhere)
        engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="It errs.")
        tell()
        told_of = set(Delivery.objects.filter(notice__event="halted").values_list("recipient__username", flat=True))
        assert {lifter.username, stranger.username, payment.agent.owner.username} <= told_of
        assert elsewhere.username not in told_of
        assert [letter["To"] for letter in mail.letters] == [lifter.email]
        assert "It errs" not in mail.letters[0].as_string()

    def test_the_person_to_whom_an_item_is_given_alone(self, mail: Mailbox) -> None:
        payment = make_payment(risk="high")
        tell()
        mailed(payment.ada, payment.ben)
        delegate_escalation(payment.ada, escalation_id=payment.item.pk, to=payment.ben.username)
        tell()
        assert told(payment.item, "email", "assigned") == [(payment.ben.username, "delivered")]
        assert str(mail.letters[-1]["Subject"]).strip().startswith("[High] Given to you: ")

    def test_nobody_of_a_decision_that_was_undone(self) -> None:
        payment = make_payment(obligations={"hold": "30s"})
        tell()
        before = Notice.objects.filter(event="waiting").count()
        say(payment.ada, payment.item)
        undo_decision(payment.ada, escalation_id=payment.item.pk)
        tell()
        assert payment.now().state == "pending"
        assert Notice.objects.filter(event="waiting").count() == before


class TestDigests:
    def test_everything_due_comes_in_one_letter_gravest_first(self, mail: Mailbox) -> None:
        payment = make_payment(risk="medium")
        mailed(payment.ada)
        for number in range(3):
            make_escalation(queue=payment.queue, title=f"Approve {number}", risk="low")
        tell()
        assert mail.letters == [], "nothing of it is urgent"
        later()
        send_messages()
        (letter,) = mail.letters
        assert str(letter["Subject"]).strip() == "4 notices: 1 medium, 3 low"
        body = letter.get_body(("plain",)).get_content()
        assert body.count("/inbox/") == 4
        assert body.index("Medium") < body.index("Low")
        rows = Delivery.objects.filter(recipient=payment.ada, channel="email")
        assert {row.state for row in rows} == {"delivered"}
        assert len({row.batch for row in rows}) == 1

    def test_medium_leaves_at_the_hour_and_low_in_the_morning(self, mail: Mailbox) -> None:
        payment = make_payment(risk="medium")
        mailed(payment.ada)
        make_escalation(queue=payment.queue, risk="low")
        tell()
        rows = {row.risk: row for row in Delivery.objects.filter(recipient=payment.ada, channel="email")}
        assert rows["medium"].not_before.minute == 0
        assert (rows["low"].not_before.hour, rows["low"].not_before.minute) == (7, 0)
        assert all(row.is_digest for row in rows.values())

    def test_what_is_not_due_yet_waits_for_its_own(self, mail: Mailbox) -> None:
        payment = make_payment(risk="medium")
        mailed(payment.ada)
        make_escalation(queue=payment.queue, risk="low")
        tell()
        later(risk="medium")
        send_messages()
        assert [str(letter["Subject"]).strip() for letter in mail.letters] == ["1 notice: 1 medium"]


class TestWishes:
    def test_are_followed(self, mail: Mailbox) -> None:
        payment = make_payment(risk="high")
        mailed(payment.ada, payment.ben)
        save_wishes(payment.ada, timings={"email": {"high": "off"}, "in_app": {"high": "off"}}, quiet=None)
        save_wishes(payment.ben, timings={"email": {"high": "digest"}}, quiet=None)
        tell()
        assert mail.letters == []
        assert told(payment.item, "email") == sorted(
            [(payment.ada.username, "suppressed"), (payment.ben.username, "queued")]
        )
        assert unseen_count_for(payment.ada) == 0
        assert {row.outcome for row in Delivery.objects.filter(recipient=payment.ada)} == {"preference"}

    def test_quiet_hours_hold_mail_back_but_for_what_is_critical(self, mail: Mailbox) -> None:
        payment = make_payment(risk="high")
        mailed(payment.ada)
        now = Entry.objects.annotate(now=ClockTimestamp()).first().now
        begins, ends = time((now.hour - 1) % 24), time((now.hour + 2) % 24)
        save_wishes(payment.ada, timings={}, quiet=(begins, ends, "UTC"))
        make_escalation(queue=payment.queue, risk="critical", title="Now")
        tell()
        assert ["Now" in str(letter["Subject"]) for letter in mail.letters] == [True]
        row = Delivery.objects.get(recipient=payment.ada, channel="email", state="queued")
        assert row.not_before.time() == ends

    def test_are_one_s_own_and_in_the_ledger(self) -> None:
        person = make_user()
        save_wishes(
            person, timings={"email": {"low": "off", "high": "now"}}, quiet=(time(22), time(7), "Europe/Berlin")
        )
        assert list(Preference.objects.values_list("channel", "risk", "timing")) == [("email", "low", "off")]
        entry = Entry.objects.get(name="user.wishes_changed")
        assert (entry.actor, entry.payload["wishes"]) == (person, {"email.low": "off"})
        save_wishes(person, timings={}, quiet=None)
        assert not Preference.objects.exists()
        assert not QuietHours.objects.exists()

    def test_are_people_s_alone(self) -> None:
        payment = make_payment()
        with pytest.raises(NotAllowedError):
            save_wishes(payment.agent.user, timings={}, quiet=None)

    @pytest.mark.parametrize(
        ("timings", "quiet", "path"),
        [
            ({"in_app": {"low": "digest"}}, None, "in_app.low"),
            ({"fax": {"low": "now"}}, None, "fax"),
            ({"email": {"dire": "now"}}, None, "email.dire"),
            ({}, (time(7), time(7), "UTC"), "quiet.to"),
            ({}, (time(7), time(8), "Mars/Olympus"), "quiet.timezone"),
        ],
    )
    def test_that_make_no_sense_change_nothing(self, timings: Any, quiet: Any, path: str) -> None:
        person = make_user()
        save_wishes(person, timings={"email": {"low": "off"}}, quiet=None)
        entries = Entry.objects.count()
        with pytest.raises(InvalidError) as refused:
            save_wishes(person, timings=timings, quiet=quiet)
        assert path in refused.value.errors
        assert Preference.objects.count() == 1
        assert Entry.objects.count() == entries


WISHES = {
    f"{channel}-{risk}": "now"
    for channel in ("in_app", "email", "chat", "push")
    for risk in ("low", "medium", "high", "critical")
}


class TestThePages:
    def test_the_settings_save_and_show_what_was_said(self) -> None:
        person = make_user()
        client = signed_in(person)
        assert "sends no mail" in client.get("/settings/notifications/").content.decode()
        typed = {**WISHES, "email-low": "off", "begins": "22:00", "ends": "07:00", "timezone": "Europe/Berlin"}
        assert client.post("/settings/notifications/", typed).status_code == 302
        page = client.get("/settings/notifications/").content.decode()
        assert '<option value="off" selected>' in page
        assert 'value="22:00"' in page

    @pytest.mark.parametrize(
        "typed",
        [
            {"email-low": "whenever"},
            {"begins": "22:00"},
            {"begins": "22:00", "ends": "22:00", "timezone": "UTC"},
            {"begins": "22:00", "ends": "23:00", "timezone": "Nowhere"},
            {"begins": "late", "ends": "23:00", "timezone": "UTC"},
            {"in_app-low": "digest"},
        ],
    )
    def test_the_settings_refuse_beside_the_field_and_keep_what_was_typed(self, typed: dict[str, str]) -> None:
        answer = signed_in(make_user()).post("/settings/notifications/", {**WISHES, **typed})
        assert answer.status_code == 422
        assert 'class="error"' in answer.content.decode()
        assert not Preference.objects.exists()
        assert not QuietHours.objects.exists()

    def test_chats_are_for_those_who_manage_access(self) -> None:
        payment = make_payment()
        assert signed_in(payment.ada).get("/access/chats/").status_code == 403
        assert signed_in(payment.ada).post("/access/chats/set/", {}).status_code == 403
        client = signed_in(make_admin())
        typed = {"slug": "finance", "queue": payment.queue.slug, "url": "https://hooks.example/services/canary"}
        assert client.post("/access/chats/set/", typed).status_code == 302
        page = client.get("/access/chats/").content.decode()
        assert "hooks.example" in page
        assert "canary" not in page
        assert signed_in(payment.ada).post("/access/chats/finance/remove/").status_code == 404
        assert client.post("/access/chats/finance/remove/").status_code == 302
        assert not ChatTarget.objects.filter(removed_at=None).exists()

    def test_a_bad_webhook_comes_back_without_its_address(self) -> None:
        payment = make_payment()
        typed = {"slug": "finance", "queue": payment.queue.slug, "url": "gopher://canary.example/x"}
        answer = signed_in(make_admin()).post("/access/chats/set/", typed)
        assert answer.status_code == 422
        assert "canary" not in answer.content.decode()
        assert not ChatTarget.objects.exists()

    def test_the_health_page_says_that_messages_fail(self, no_mail: None) -> None:
        payment = make_payment(risk="high")
        mailed(payment.ada)
        tell()
        admin = signed_in(make_admin())
        assert "do not arrive" not in admin.get("/control/").content.decode()
        for _ in range(6):
            later()
            send_messages()
        page = admin.get("/control/").content.decode()
        assert "1 message does not arrive" in page
        assert "gives no answer" in page


class TestTheEndpoints:
    def headers(self, person: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {create_token(person, user=person)}"}

    def test_wishes_are_read_and_written_whole(self) -> None:
        person = make_user()
        client, headers = Client(), self.headers(person)
        found = client.get("/api/v1/me/notifications/", headers=headers).json()
        assert found["email"] == {"low": "digest", "medium": "digest", "high": "now", "critical": "now"}
        assert (found["quiet"], found["mail_is_set_up"]) == (None, False)
        body = {"email": {"low": "off"}, "quiet": {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}}
        said = client.put("/api/v1/me/notifications/", body, content_type="application/json", headers=headers)
        assert said.status_code == 200
        assert said.json()["email"]["low"] == "off"
        assert said.json()["quiet"] == {"from": "22:00:00", "to": "07:00:00", "timezone": "Europe/Berlin"}
        again = client.put("/api/v1/me/notifications/", said.json(), content_type="application/json", headers=headers)
        assert again.status_code == 422, "what is only told is not taken"

    @pytest.mark.parametrize(
        "body",
        [
            {"email": {"low": "sometimes"}},
            {"email": {"dire": "now"}},
            {"fax": {}},
            {"quiet": {"from": "22:00", "to": "22:00", "timezone": "UTC"}},
            {"quiet": {"from": "x", "to": "22:00", "timezone": "UTC"}},
            {"email": []},
            [],
        ],
    )
    def test_wishes_that_make_no_sense_are_refused(self, body: Any) -> None:
        person = make_user()
        headers = self.headers(person)
        said = Client().put("/api/v1/me/notifications/", body, content_type="application/json", headers=headers)
        assert said.status_code == 422, said.content
        assert not Preference.objects.exists()

    def test_notices_are_listed_and_marked(self) -> None:
        payment = make_payment()
        tell()
        client, headers = Client(), self.headers(payment.ada)
        (row,) = client.get("/api/v1/notifications/?open=true", headers=headers).json()["results"]
        assert (row["event"], row["escalation"], row["is_open"]) == ("waiting", str(payment.item.pk), True)
        assert client.post("/api/v1/notifications/seen/", headers=headers).json() == {"seen": 1}
        assert client.get("/api/v1/notifications/?open=true", headers=headers).json()["results"] == []

    def test_chats_are_set_and_removed_and_never_told(self) -> None:
        payment, client, headers = make_payment(), Client(), self.headers(make_admin())
        body = {"slug": "finance", "queue": payment.queue.slug, "url": "https://hooks.example/canary"}
        made = client.post("/api/v1/chat-targets/", body, content_type="application/json", headers=headers)
        assert made.status_code == 201
        assert "canary" not in made.content.decode()
        assert client.get("/api/v1/chat-targets/", headers=headers).json()["results"] == [made.json()]
        refused = client.delete("/api/v1/chat-targets/finance/", headers=self.headers(payment.ada))
        assert refused.status_code == 404
        assert ChatTarget.objects.get().removed_at is None
        assert client.delete("/api/v1/chat-targets/finance/", headers=headers).status_code == 204
        assert client.delete("/api/v1/chat-targets/finance/", headers=headers).status_code == 404

    def test_agents_have_no_notifications(self) -> None:
        headers = {"Authorization": f"Bearer {make_desk().key}"}
        for path in ("me/notifications", "notifications"):
            assert Client().get(f"/api/v1/{path}/", headers=headers).status_code == 403


def test_what_is_old_is_forgotten_and_what_waits_is_kept(mail: Mailbox) -> None:
    first: Payment = make_payment(risk="high")
    mailed(first.ada)
    tell()
    kept = make_payment(risk="medium")
    mailed(kept.ada)
    tell()
    Notice.objects.update(created_at="2020-01-01T00:00:00Z")
    entries = Entry.objects.count()
    assert forget_notices() == 1
    assert Notice.objects.get().escalation_id == kept.item.pk
    assert Entry.objects.count() == entries
