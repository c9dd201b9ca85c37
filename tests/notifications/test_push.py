"""Browser push to a receiver on this machine that stands for a push service: what it gets, and what becomes of it."""

import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client

from apps.access.services import end_person
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User, database_now
from apps.halts.services import engage_halt
from apps.notifications.adapters import push
from apps.notifications.models import Browser, Delivery, Notice
from apps.notifications.rules import KEPT_S, RETRY_AFTER_MAX_S, RETRY_AFTER_S, retry_after_s, topic_of
from apps.notifications.services import forget_notices, push_key, remove_browser, save_wishes
from apps.notifications.tasks import send_messages
from apps.oversight.models import Escalation
from apps.oversight.services import mark_overdue
from tests.connectors.conftest import System
from tests.factories.access import make_admin
from tests.factories.oversight import Payment, make_payment, say
from tests.notifications.conftest import later, tell
from tests.notifications.phone import Phone, decoded, signed_claims

pytestmark = pytest.mark.django_db
FCM = "https://fcm.googleapis.com"


@pytest.fixture
def service(system: System, settings: Any) -> System:
    """The push service that the plane may call."""
    settings.PUSH_RECEIVER_OF_TESTS = system.url
    settings.PUSH_CONTACT = "https://plane.example"
    return system


def outcomes(**where: Any) -> list[tuple[str, str, int]]:
    rows = Delivery.objects.filter(channel="push", **where).order_by("id")
    return [(row.state, row.outcome, row.attempts) for row in rows]


def asked(service: System, **fields: Any) -> tuple[Payment, Phone]:
    """A payment of high risk, and the one browser in which Ada is told."""
    payment, phone = make_payment(**{"risk": "high", **fields}), Phone(service.url)
    phone.of(payment.ada)
    return payment, phone


def overdue(payment: Payment) -> None:
    Escalation.objects.filter(pk=payment.item.pk).update(due_at=ClockTimestamp() - timedelta(minutes=1))
    mark_overdue()


def test_the_reader_of_these_tests_reads_the_example_of_rfc_8291() -> None:
    private = ec.derive_private_key(
        int.from_bytes(decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")), ec.SECP256R1()
    )
    phone = Phone("https://push.example", private=private, auth=decoded("BTBZMqHH6r4Tts7J_aSIgg"))
    body = (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru"
        "3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )
    assert phone.opened(decoded(body)) == b"When I grow up, I want to be a watermelon"


def test_a_browser_reads_what_happened_how_grave_and_what_kind_and_nothing_else(service: System) -> None:
    payment, phone = asked(service, parameters={"iban": "DE00-canary"})
    Escalation.objects.filter(pk=payment.item.pk).update(title="Words of an agent")
    service.will(201, b"")
    tell()
    ((method, path, _, body),) = service.asked
    assert (method, path) == ("POST", phone.path)
    topic = topic_of(Browser.objects.get().pk, f"/inbox/{payment.item.pk}/")
    assert phone.shown(body) == {
        "title": "High: Waits for you",
        "body": "Action",
        "path": f"/inbox/{payment.item.pk}/",
        "topic": topic,
    }
    assert outcomes() == [("delivered", "", 1)]
    assert payment.now().reached_at is not None
    assert Browser.objects.get().last_success_at is not None


def test_only_that_browser_can_read_it(service: System) -> None:
    _, phone = asked(service)
    tell()
    ((_, _, _, body),) = service.asked
    for other in (Phone(service.url), Phone(service.url, private=phone.private)):
        with pytest.raises(InvalidTag):
            other.opened(body)
    with pytest.raises(InvalidTag):
        phone.opened(body[:-1] + bytes([body[-1] ^ 1]))


def test_a_push_service_learns_who_sends_how_urgent_it_is_and_no_more(service: System) -> None:
    payment, _ = asked(service)
    tell()
    ((_, _, headers, body),) = service.asked
    key, claims = signed_claims(headers["Authorization"])
    assert key == push_key()
    assert claims == {"aud": service.url, "sub": "https://plane.example", "exp": claims["exp"]}
    assert 3600 < claims["exp"] - time.time() <= 24 * 3600
    told = {name: headers[name] for name in ("Content-Encoding", "Content-Type", "Urgency")}
    assert told == {"Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream", "Urgency": "high"}
    assert len(headers["Topic"]) == 32
    known = {"Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Length", "TTL", "Topic", "Authorization"}
    assert set(headers) == known | set(told)
    spoken = repr(headers) + body.decode("latin-1")
    assert not any(word in spoken for word in (payment.item.title, str(payment.item.pk), payment.item.pk.hex, "Waits"))


def test_every_message_has_the_same_size_and_is_encrypted_anew(service: System) -> None:
    payment, phone = asked(service)
    tell()
    overdue(payment)
    engage_halt(make_admin(), scope="agent", target=payment.agent.slug, reason="It pays too much.")
    Phone(service.url).of(payment.agent.owner)
    tell()
    bodies = [body for *_, body in service.asked]
    assert len(bodies) == 3
    assert len({len(body) for body in bodies}) == 1
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 3
    assert phone.shown(bodies[0]) != phone.shown(bodies[1])


def test_a_newer_notice_of_an_item_takes_the_place_of_the_older(service: System) -> None:
    payment, phone = asked(service)
    tell()
    overdue(payment)
    asked(service)
    tell()
    topics = [headers["Topic"] for _, _, headers, _ in service.asked]
    assert len(topics) == 3
    assert len(set(topics)) == 2
    titles = [phone.shown(body)["title"] for _, path, _, body in service.asked if path == phone.path]
    assert titles == ["High: Waits for you", "High: Overdue"]


def test_it_is_worth_keeping_until_the_item_ends(service: System) -> None:
    payment, _ = asked(service)
    Escalation.objects.filter(pk=payment.item.pk).update(expires_at=ClockTimestamp() + timedelta(minutes=30))
    tell()
    ((_, _, headers, _),) = service.asked
    assert 1700 < int(headers["TTL"]) <= 1800


@pytest.mark.parametrize(("risk", "urgency"), [("critical", "high"), ("medium", "normal"), ("low", "low")])
def test_urgency_follows_risk(service: System, risk: str, urgency: str) -> None:
    asked(service, risk=risk)
    tell()
    later()
    send_messages()
    ((_, _, headers, _),) = service.asked
    assert headers["Urgency"] == urgency
    assert 0 < int(headers["TTL"]) <= KEPT_S


def test_medium_risk_is_told_together(service: System) -> None:
    payment, phone = asked(service, risk="medium")
    tell()
    assert service.asked == []
    later()
    send_messages()
    ((_, _, _, body),) = service.asked
    shown = phone.shown(body)
    assert (shown["title"], shown["path"]) == ("1 notice: 1 medium", "/inbox/")
    assert outcomes(recipient=payment.ada) == [("delivered", "", 1)]


def test_each_browser_of_a_person_is_told(service: System) -> None:
    payment, one = asked(service)
    two = Phone(service.url)
    two.of(payment.ada)
    service.will(410, b"")
    tell()
    assert {path for _, path, *_ in service.asked} == {one.path, two.path}
    assert sorted(state for state, *_ in outcomes()) == ["delivered", "suppressed"]


class TestOutcomes:
    @pytest.mark.parametrize("status", [404, 410])
    def test_a_browser_that_is_gone_ends_and_alarms_nobody(self, service: System, status: int) -> None:
        payment, _ = asked(service)
        service.will(status, b"canary")
        tell()
        assert outcomes() == [("suppressed", "gone", 1)]
        browser = Browser.objects.get()
        assert browser.gone_at is not None
        assert (browser.endpoint, browser.p256dh, browser.auth) == ("", "", "")
        entry = Entry.objects.get(name="browser.gone")
        assert entry.payload == {"host": browser.host, "outcome": f"The push service answered {status}."}
        assert payment.now().unheard_at is None
        make_payment(risk="high", unit=payment.unit)
        tell()
        assert len(service.asked) == 1

    @pytest.mark.parametrize("status", [400, 401, 403, 413])
    def test_what_would_fail_again_is_not_tried_again(self, service: System, status: int) -> None:
        payment, _ = asked(service)
        service.will(status, b"canary words of theirs")
        tell()
        assert outcomes() == [("failed", f"The push service answered {status}.", 1)]
        assert Browser.objects.get().gone_at is None
        assert payment.now().unheard_at is not None

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_what_may_pass_is_tried_again(self, service: System, status: int) -> None:
        asked(service)
        service.will(status, b"")
        tell()
        assert outcomes() == [("queued", f"The push service answered {status}.", 1)]
        later()
        send_messages()
        assert outcomes() == [("delivered", "", 2)]

    @pytest.mark.parametrize(
        ("said", "at_least", "at_most"), [("400", 390, 400), ("999999", 3590, 3600), ("0", 10, 15)]
    )
    def test_a_push_service_that_wants_rest_gets_it_within_reason(
        self, service: System, said: str, at_least: int, at_most: int
    ) -> None:
        asked(service)
        service.will(429, b"", headers=[("Retry-After", said)])
        tell()
        wait_s = (Delivery.objects.get(channel="push").not_before - database_now()).total_seconds()
        assert at_least <= wait_s <= at_most

    def test_attempts_end(self, service: System) -> None:
        asked(service)
        tries = len(RETRY_AFTER_S) + 1
        for _ in range(tries):
            service.will(500, b"")
        tell()
        for _ in range(tries):
            later()
            send_messages()
        assert len(service.asked) == tries
        assert outcomes() == [("failed", "The push service answered 500.", tries)]

    def test_a_redirect_is_not_followed(self, service: System) -> None:
        asked(service)
        service.will(307, b"", headers=[("Location", f"{service.url}/elsewhere")])
        tell()
        assert len(service.asked) == 1
        assert outcomes() == [("failed", "The push service answered 307.", 1)]

    def test_a_slow_push_service_is_given_up_and_asked_once_a_round(
        self, service: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.notifications.adapters.push.TIMEOUT_S", 0.3)
        payment, _ = asked(service)
        Phone(service.url).of(payment.ben)
        service.will(before_s=1.5)
        tell()
        assert len(service.asked) == 1
        assert [(state, attempts) for state, _, attempts in outcomes()] == [("queued", 1)] * 2
        assert all("gave no answer" in outcome for _, outcome, _ in outcomes())

    def test_rest_is_capped_and_never_shortens(self) -> None:
        assert retry_after_s(1, 10**9) == RETRY_AFTER_MAX_S
        assert retry_after_s(1, -5) == retry_after_s(1) == RETRY_AFTER_S[0]
        assert retry_after_s(len(RETRY_AFTER_S) + 1, 60) is None


class TestWhereItMayLead:
    def test_a_name_that_leads_inside_is_refused_when_it_is_called(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        payment = make_payment(risk="high")
        Phone(FCM).of(payment.ada)
        looked_up = []

        def inside(host: str, port: int, **_: Any) -> list[Any]:
            looked_up.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", system.server_address[1]))]

        monkeypatch.setattr("apps.connectors.adapters.http.socket.getaddrinfo", inside)
        tell()
        assert looked_up == ["fcm.googleapis.com"]
        assert system.asked == []
        assert outcomes() == [("failed", "fcm.googleapis.com leads to an internal address.", 1)]

    def test_a_push_service_that_is_allowed_no_more_is_not_called(self, settings: Any, system: System) -> None:
        payment = make_payment(risk="high")
        Phone(FCM).of(payment.ada)
        settings.ACP_PUSH_HOSTS = ("push.example.com",)
        tell()
        assert outcomes() == [("failed", "That is none of the push services that this plane calls.", 1)]

    def test_an_address_that_came_past_the_check_is_not_called(self, system: System) -> None:
        payment = make_payment(risk="high")
        Phone(FCM).of(payment.ada)
        Browser.objects.update(endpoint=f"{system.url}/admin")
        tell()
        assert system.asked == []
        assert [state for state, *_ in outcomes()] == ["failed"]

    def test_switched_off_it_is_not_sent_and_says_so(self, settings: Any, service: System) -> None:
        asked(service)
        settings.ACP_PUSH_HOSTS = ()
        tell()
        assert outcomes() == [("suppressed", "not_set_up", 1)]
        assert service.asked == []


class TestWhoIsTold:
    def test_wishes_and_quiet_hours_hold(self, service: System) -> None:
        payment, _ = asked(service)
        save_wishes(payment.ada, timings={"push": {"high": "off"}}, quiet=None)
        tell()
        assert outcomes() == [("suppressed", "preference", 0)]

    def test_what_was_decided_meanwhile_is_not_pushed(self, service: System) -> None:
        payment, _ = asked(service, risk="medium")
        tell()
        say(payment.ada, payment.item, "reject", reason="No.")
        later()
        send_messages()
        assert service.asked == []
        assert [state for state, *_ in outcomes()] == ["suppressed"]

    def test_whoever_left_is_told_nothing(self, service: System) -> None:
        payment, _ = asked(service, risk="medium")
        tell()
        end_person(make_admin(), user=payment.ada, reason="Left.")
        later()
        tell()
        assert service.asked == []
        assert Browser.objects.get().gone_at is not None
        assert [state for state, *_ in outcomes()] == ["suppressed"]

    def test_whoever_was_deactivated_is_told_nothing_even_before_anything_follows(self, service: System) -> None:
        payment, _ = asked(service, risk="medium")
        tell()
        User.objects.filter(pk=payment.ada.pk).update(is_active=False)
        later()
        send_messages()
        assert service.asked == []


def test_the_item_s_timeline_says_how_browsers_did(service: System) -> None:
    payment, _ = asked(service)
    tell()
    page = Client()
    page.force_login(payment.ada)
    assert "Browser: delivered to 1" in page.get(f"/inbox/{payment.item.pk}/").content.decode()


def test_the_health_page_names_the_channel_that_fails(service: System) -> None:
    asked(service)
    service.will(400, b"")
    tell()
    page = Client()
    page.force_login(make_admin())
    said = page.get("/control/").content.decode()
    assert "The newest, by browser push: The push service answered 400." in said


def test_a_browser_that_ended_is_forgotten_with_the_last_message_to_it(service: System) -> None:
    payment, _ = asked(service)
    live = Phone(service.url).of(payment.ben)
    tell()
    remove_browser(payment.ada, browser_id=Browser.objects.get(user=payment.ada).pk)
    Browser.objects.filter(user=payment.ada).update(gone_at="2020-01-01T00:00:00Z")
    forget_notices()
    assert Browser.objects.count() == 2, "a message to it is kept"
    Notice.objects.update(created_at="2020-01-01T00:00:00Z")
    forget_notices()
    assert list(Browser.objects.all()) == [live]


class TestTheKey:
    def test_is_the_same_in_every_process(self) -> None:
        before = push_key()
        push._derived.cache_clear()
        assert push_key() == before
        assert len(decoded(before)) == 65

    def test_that_is_replaced_serves_those_who_began_with_it_until_it_goes(
        self, settings: Any, service: System
    ) -> None:
        old, new = "11" * 32, "22" * 32
        settings.ACP_ENCRYPTION_KEY = old
        payment, _ = asked(service)
        first = push_key()
        settings.ACP_ENCRYPTION_KEY = f"{new},{old}"
        assert push_key() != first
        Phone(service.url).of(payment.ben)
        tell()
        keys = {signed_claims(headers["Authorization"])[0] for _, _, headers, _ in service.asked}
        assert keys == {first, push_key()}
        settings.ACP_ENCRYPTION_KEY = new
        overdue(payment)
        tell()
        assert len(service.asked) == 3, "Ada's browser began with a key that is gone"
        assert outcomes(recipient=payment.ada)[-1][:2] == ("suppressed", "gone")
        assert outcomes(recipient=payment.ben)[-1][:2] == ("delivered", "")
