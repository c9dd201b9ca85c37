"""Chat by incoming webhook, through the guarded egress: what is said, to whom, and what becomes of it."""

import json
from typing import Any

import pytest

from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError, UnavailableError
from apps.core.models import User
from apps.notifications.models import ChatTarget, Delivery
from apps.notifications.services import remove_chat_target, save_chat_target
from apps.notifications.services.chats import webhook_url
from apps.notifications.tasks import send_messages
from apps.oversight.services import reassign_open
from tests.factories.access import make_admin, make_holder, make_queue
from tests.factories.oversight import Payment, make_payment, say
from tests.notifications.conftest import later, tell

pytestmark = pytest.mark.django_db
PATH = "/services/T0/B0/canary-webhook?sig=canary-query"


@pytest.fixture(autouse=True)
def address(settings: Any) -> None:
    settings.ACP_URL = "https://plane.example"


def make_chat(payment: Payment, url: str, **fields: Any) -> ChatTarget:
    about = {} if "user" in fields else {"queue": payment.queue}
    fields = {"slug": "finance", "allow_internal": True, "url": f"{url}{PATH}", **about, **fields}
    return save_chat_target(make_admin(), **fields)[0]


def outcomes(payment: Payment) -> list[tuple[str, str, int]]:
    rows = Delivery.objects.filter(notice__escalation=payment.item, channel="chat").order_by("id")
    return [(row.state, row.outcome, row.attempts) for row in rows]


def test_a_queue_s_chat_hears_kind_risk_queue_and_link_and_nothing_else(system: Any) -> None:
    payment = make_payment(risk="high", parameters={"iban": "DE00-canary"})
    make_chat(payment, system.url)
    system.will(body=b"ok", headers=[("Content-Type", "text/plain")])
    tell()
    ((method, path, _, body),) = system.asked
    assert (method, path) == ("POST", PATH)
    said = json.loads(body)
    assert set(said) == {"text"}
    link = f"https://plane.example/inbox/{payment.item.pk}/"
    assert said["text"] == f"[High] Waits for you · Action · {payment.queue.name} {link}"
    assert outcomes(payment) == [("delivered", "", 1)]
    assert payment.now().reached_at is not None


def test_an_answer_that_is_no_json_is_no_failure(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url)
    system.will(body=b"\xff not json {", headers=[("Content-Encoding", "gzip")])
    tell()
    assert outcomes(payment) == [("delivered", "", 1)]


def test_a_fault_is_tried_again(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url)
    system.will(503, body=b"canary words of theirs")
    tell()
    assert outcomes(payment) == [("queued", "The chat answered 503.", 1)]
    later()
    send_messages()
    assert outcomes(payment) == [("delivered", "", 2)]


def test_a_webhook_that_is_gone_fails_at_once(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url)
    system.will(404, body=b"no_service")
    tell()
    assert outcomes(payment) == [("failed", "The chat answered 404.", 1)]
    assert payment.now().unheard_at is not None


def test_a_redirect_is_not_followed(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url)
    system.will(302, headers=[("Location", f"{system.url}/elsewhere")])
    tell()
    assert len(system.asked) == 1
    assert outcomes(payment)[0][0] == "failed"


def test_a_slow_chat_is_given_up(system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.notifications.adapters.chat.TIMEOUT_S", 0.3)
    payment = make_payment(risk="high")
    make_chat(payment, system.url)
    system.will(before_s=1.5)
    tell()
    ((state, outcome, attempts),) = outcomes(payment)
    assert (state, attempts) == ("queued", 1)
    assert "gave no answer" in outcome


def test_an_inside_address_is_refused_unless_somebody_allowed_it(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url, allow_internal=False)
    tell()
    ((state, outcome, _),) = outcomes(payment)
    assert state == "failed"
    assert "internal address" in outcome
    assert system.asked == []


def test_the_address_is_nowhere_in_clear(system: Any) -> None:
    payment = make_payment(risk="high")
    target = make_chat(payment, system.url)
    system.will(500, echo=True)
    tell()
    stored = repr([list(model.objects.values()) for model in (ChatTarget, Delivery, Entry)])
    assert "canary" not in stored
    assert webhook_url(target).endswith(PATH)


def test_a_sealed_address_opens_only_in_its_own_row(system: Any) -> None:
    payment = make_payment(risk="high")
    one, two = make_chat(payment, system.url), make_chat(payment, system.url, slug="other")
    ChatTarget.objects.filter(pk=two.pk).update(sealed=bytes(one.sealed))
    with pytest.raises(UnavailableError):
        webhook_url(ChatTarget.objects.get(pk=two.pk))
    tell()
    states = sorted(state for state, _, _ in outcomes(payment))
    assert states == ["delivered", "queued"]


def test_a_person_s_chat_and_their_wish(system: Any) -> None:
    payment = make_payment(risk="high")
    make_chat(payment, system.url, user=payment.ada)
    tell()
    assert len(system.asked) == 1
    assert Delivery.objects.get(channel="chat").recipient == payment.ada


def test_medium_risk_is_told_together(system: Any) -> None:
    payment = make_payment()
    make_chat(payment, system.url)
    tell()
    assert system.asked == []
    later()
    send_messages()
    ((_, _, _, body),) = system.asked
    assert json.loads(body)["text"] == "1 notice: 1 medium https://plane.example/inbox/"


def test_the_next_queue_s_chat_hears_of_what_comes_to_it(system: Any) -> None:
    payment = make_payment(risk="high")
    tell()
    following = make_queue(unit=payment.unit)
    save_chat_target(make_admin(), slug="next", queue=following, allow_internal=True, url=f"{system.url}{PATH}")
    reassign_open(payment.ada, queue=following, id=payment.item.pk)
    tell()
    ((_, _, _, body),) = system.asked
    assert "Escalated to you" in json.loads(body)["text"]


def test_what_was_decided_meanwhile_is_not_posted(system: Any) -> None:
    payment = make_payment()
    make_chat(payment, system.url)
    tell()
    say(payment.ada, payment.item, "reject", reason="No.")
    later()
    send_messages()
    assert system.asked == []
    assert [state for state, _, _ in outcomes(payment)] == ["suppressed"]


class TestSetting:
    def test_says_what_happened_and_keeps_the_address_it_has(self, system: Any) -> None:
        payment, admin = make_payment(), make_admin()
        about = {"slug": "finance", "queue": payment.queue, "allow_internal": True}
        url = f"{system.url}{PATH}"
        assert save_chat_target(admin, **about, url=url)[1] == "created"
        assert save_chat_target(admin, **about, url=url)[1] == "unchanged"
        assert save_chat_target(admin, **about)[1] == "unchanged"
        changed, outcome = save_chat_target(admin, **{**about, "allow_internal": False})
        assert outcome == "changed"
        assert webhook_url(changed) == url
        assert ChatTarget.objects.filter(removed_at=None).count() == 1

    def test_another_queue_does_not_inherit_the_address(self, system: Any) -> None:
        payment = make_payment()
        make_chat(payment, system.url)
        before = list(ChatTarget.objects.values())
        with pytest.raises(InvalidError) as refused:
            save_chat_target(make_admin(), slug="finance", queue=make_queue(), allow_internal=True)
        assert "url" in refused.value.errors
        assert list(ChatTarget.objects.values()) == before

    def test_is_for_those_who_manage_access_there(self, system: Any) -> None:
        payment, other = make_payment(), make_payment()
        here = make_holder("access.manage_access", unit=payment.unit)
        url = "https://hooks.example/x"
        assert save_chat_target(here, slug="a", queue=payment.queue, url=url)[1] == "created"
        before = list(ChatTarget.objects.values())
        for fields in (
            {"queue": other.queue, "url": url},
            {"user": payment.ada, "url": url},
            {"queue": payment.queue, "url": url, "allow_internal": True},
        ):
            with pytest.raises(NotAllowedError):
                save_chat_target(here, slug="b", **fields)
        for stranger in (payment.ada, payment.agent.user, User.objects.get(username=other.ben.username)):
            with pytest.raises(NotAllowedError):
                save_chat_target(stranger, slug="a", queue=payment.queue, url=url)
        assert list(ChatTarget.objects.values()) == before

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"url": "ftp://hooks.example/x"}, "url"),
            ({"url": "https://user:pw@hooks.example/x"}, "url"),
            ({"url": "https://hooks.example/../x"}, "url"),
            ({"url": ""}, "url"),
            ({"slug": "Not A Slug"}, "slug"),
            ({"queue": None}, "queue"),
        ],
    )
    def test_refuses_what_is_no_webhook(self, fields: dict[str, Any], path: str) -> None:
        sound = {"slug": "a", "queue": make_payment().queue, "url": "https://hooks.example/x"}
        with pytest.raises(InvalidError) as refused:
            save_chat_target(make_admin(), **{**sound, **fields})
        assert path in refused.value.errors
        assert not ChatTarget.objects.exists()

    def test_what_is_removed_is_destroyed_and_hears_nothing(self, system: Any) -> None:
        payment = make_payment()
        target = make_chat(payment, system.url)
        tell()
        remove_chat_target(make_admin(), target=target)
        later()
        send_messages()
        assert system.asked == []
        assert bytes(ChatTarget.objects.get(pk=target.pk).sealed) == b""
        assert [outcome for _, outcome, _ in outcomes(payment)] == ["removed"]
