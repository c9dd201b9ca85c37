"""In which browsers somebody is told: what is taken from a browser, whose it is, and when it ends."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from apps.access.services import create_token
from apps.audit.models import Entry, Payload
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import User
from apps.core.rules import POLICY
from apps.notifications.models import Browser
from apps.notifications.rules import BROWSERS_MAX, browser_name, is_push_host
from apps.notifications.services import leave_browser, push_key, remove_browser
from controlplane.environment import push_hosts
from controlplane.settings import PUSH_SERVICES
from tests.connectors.conftest import System
from tests.factories.access import make_admin, make_user
from tests.notifications.phone import FIREFOX, Phone, encoded
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
FCM = "https://fcm.googleapis.com"
PASSWORD = "correct horse battery"
PAGE = "/settings/notifications/"


@pytest.fixture
def service(system: System, settings: Any) -> System:
    """The push service that the plane may call."""
    settings.PUSH_RECEIVER_OF_TESTS = system.url
    return system


def signed_in(person: User) -> Client:
    client = Client(headers={"user-agent": FIREFOX})
    client.force_login(person)
    return client


def begin(client: Client, phone: Phone, **fields: str) -> Any:
    return client.post(f"{PAGE}browsers/add/", {**phone.said, "key": push_key(), **fields}, follow=True)


class TestWhatIsTaken:
    @pytest.mark.parametrize(
        "endpoint",
        [
            "http://fcm.googleapis.com/fcm/send/x",
            "https://fcm.googleapis.com:8443/fcm/send/x",
            "https://fcm.googleapis.com@127.0.0.1/x",
            "https://user:pw@fcm.googleapis.com/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://2130706433/x",
            "https://localhost/x",
            "https://push.evil.example/x",
            "https://fcm.googleapis.com.evil.example/x",
            "https://evilpush.apple.com/x",
            "https://push.apple.com/x",
            "https://notify.windows.com.evil.example/x",
            "https://fcm.googleapis.com./x",
            "https://fcm.googleapis.com/",
            "https://fcm.googleapis.com/../x",
            "https://fcm.googleapis.com/x#y",
            "https://fcm.googleapis.com/x\r\nHost: evil.example",
            "https://fcm.googleapis.com\\@evil.example/x",
            "https://fcm.googleapis.com/x\x00",
            "https://fcm.googleapis.com/" + "x" * 1000,
            "https://fcm.googleapis.com:port/x",
            "javascript:alert(1)",
            "",
        ],
    )
    def test_no_address_but_a_push_service_s(self, endpoint: str) -> None:
        person = make_user()
        with pytest.raises(InvalidError) as refused:
            Phone(FCM).of(person, endpoint=endpoint)
        assert set(refused.value.errors) == {"endpoint"}
        assert not Browser.objects.exists()
        assert not Entry.objects.filter(name__startswith="browser.").exists()

    @pytest.mark.parametrize(
        "endpoint",
        [
            "https://fcm.googleapis.com/fcm/send/cX:APA91b-_x",
            "https://updates.push.services.mozilla.com/wpush/v2/gAAAAB_-x",
            "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%2bx%3d",
            "https://web.push.apple.com/QOyxs_-x",
        ],
    )
    def test_the_push_services_of_the_great_browsers_are_known(self, endpoint: str) -> None:
        person = make_user()
        made = Phone(FCM).of(person, endpoint=endpoint)
        assert (made.user, made.endpoint, made.host) == (person, endpoint, endpoint.split("/")[2])

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"p256dh": ""}, "p256dh"),
            ({"p256dh": encoded(b"\x04" + b"\x01" * 64)}, "p256dh"),
            ({"p256dh": encoded(b"\x04" * 33)}, "p256dh"),
            ({"p256dh": "é" * 87}, "p256dh"),
            ({"auth": encoded(b"x" * 15)}, "auth"),
            ({"auth": "not base 64!"}, "auth"),
            ({"key": encoded(b"\x04" + b"\x01" * 64)}, "key"),
            ({"key": "é"}, "key"),
        ],
    )
    def test_no_key_that_does_not_fit(self, fields: dict[str, str], path: str) -> None:
        with pytest.raises(InvalidError) as refused:
            Phone(FCM).of(make_user(), **fields)
        assert set(refused.value.errors) == {path}
        assert not Browser.objects.exists()

    def test_ten_at_most(self) -> None:
        person = make_user()
        for _ in range(BROWSERS_MAX):
            Phone(FCM).of(person)
        with pytest.raises(InvalidError, match="do not fit"):
            Phone(FCM).of(person)
        assert Browser.objects.count() == BROWSERS_MAX
        Phone(FCM).of(person, replaces=Browser.objects.earliest("id").pk)
        assert Browser.objects.filter(gone_at=None).count() == BROWSERS_MAX

    def test_the_same_again_changes_nothing(self) -> None:
        person, phone = make_user(), Phone(FCM)
        assert phone.of(person) == phone.of(person)
        assert Entry.objects.filter(name="browser.added").count() == 1

    def test_where_it_is_told_stands_in_its_row_alone(self) -> None:
        phone = Phone(FCM)
        phone.of(make_user())
        said = repr([*Entry.objects.values(), *Payload.objects.values()])
        assert not any(secret in said for secret in (phone.path, *phone.said.values()))

    def test_nobody_but_people(self) -> None:
        with pytest.raises(NotAllowedError):
            Phone(FCM).of(make_desk().agent.user)

    @pytest.mark.parametrize(
        ("said", "name"),
        [
            (FIREFOX, "Firefox on Linux"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18 Safari/604.1", "Safari on iPhone"),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
            ("<script>alert(1)</script>", "A browser"),
        ],
    )
    def test_a_browser_is_named_from_a_list(self, said: str, name: str) -> None:
        assert browser_name(said) == name


class TestWhoseItIs:
    def test_another_s_address_is_refused_with_other_keys(self) -> None:
        mine, other = Phone(FCM), make_user()
        before = mine.of(make_user())
        with pytest.raises(ConflictError):
            Phone(FCM).of(other, endpoint=mine.said["endpoint"])
        assert list(Browser.objects.filter(gone_at=None)) == [before]

    def test_a_browser_that_changes_hands_tells_the_new_person_alone(self) -> None:
        phone, other = Phone(FCM), make_user()
        before = phone.of(make_user())
        after = phone.of(other)
        before.refresh_from_db()
        assert before.gone_at is not None
        assert list(Browser.objects.filter(gone_at=None)) == [after]
        assert Entry.objects.get(name="browser.handed_over").actor == other

    def test_only_its_person_sees_tries_and_removes_it(self, service: System) -> None:
        mine = Phone(service.url).of(make_user())
        stranger = make_admin()
        client = signed_in(stranger)
        assert "Firefox on Linux" not in client.get(PAGE).content.decode()
        headers = {"Authorization": f"Bearer {create_token(stranger, user=stranger)}"}
        api = f"/api/v1/me/browsers/{mine.pk}/"
        assert client.post(f"{PAGE}browsers/{mine.pk}/remove/").status_code == 404
        assert client.post(f"{PAGE}browsers/{mine.pk}/test/").status_code == 404
        assert Client().delete(api, headers=headers).status_code == 404
        assert Client().post(f"{api}test/", headers=headers).status_code == 404
        assert Client().get("/api/v1/me/browsers/", headers=headers).json()["results"] == []
        with pytest.raises(NotFoundError):
            remove_browser(stranger, browser_id=mine.pk)
        mine.refresh_from_db()
        assert mine.gone_at is None
        assert service.asked == []


class TestWhenItEnds:
    def test_signing_out_ends_it_in_this_browser_alone(self) -> None:
        person = make_user()
        here, elsewhere = signed_in(person), Phone(FCM).of(person)
        begin(here, Phone(FCM))
        assert Browser.objects.filter(gone_at=None).count() == 2
        here.post("/accounts/logout/")
        assert list(Browser.objects.filter(gone_at=None)) == [elsewhere]
        assert Entry.objects.get(name="browser.left").actor == person

    def test_somebody_else_who_signs_in_here_ends_it_and_its_person_does_not(self) -> None:
        owner, other = make_user(password=PASSWORD), make_user(password=PASSWORD)
        client = signed_in(owner)
        begin(client, Phone(FCM))
        for person, is_live in ((owner, True), (other, False)):
            del client.cookies["sessionid"]
            client.post("/accounts/login/", {"login": person.username, "password": PASSWORD})
            assert client.get(PAGE).status_code == 200
            assert (Browser.objects.get().gone_at is None) is is_live

    def test_nobody_ends_another_s_by_a_forged_cookie(self) -> None:
        mine = Phone(FCM).of(make_user())
        client = signed_in(make_user())
        client.cookies["acp_browser"] = str(mine.pk)
        client.post("/accounts/logout/")
        mine.refresh_from_db()
        assert mine.gone_at is None

    def test_it_can_begin_anew_and_what_it_was_before_ends(self) -> None:
        client = signed_in(make_user())
        begin(client, Phone(FCM))
        begin(client, Phone(FCM))
        assert Browser.objects.count() == 2
        assert Browser.objects.filter(gone_at=None).count() == 1

    def test_what_ended_stays_ended(self) -> None:
        person = make_user()
        made = Phone(FCM).of(person)
        remove_browser(person, browser_id=made.pk)
        leave_browser(person, browser_id=made.pk)
        with pytest.raises(NotFoundError):
            remove_browser(person, browser_id=made.pk)
        assert Entry.objects.filter(subject_id=made.pk).count() == 2


class TestThePage:
    def test_lists_one_s_browsers_and_says_which_is_this_one(self) -> None:
        client = signed_in(make_user())
        page = client.get(PAGE).content.decode()
        assert "Notify me in this browser" in page
        assert push_key() in page
        assert "This browser can only be asked with JavaScript." in page
        answer = begin(client, Phone(FCM)).content.decode()
        assert "You are told in this browser" in answer
        assert "Firefox on Linux" in answer
        assert "This one" in answer
        cookie = client.cookies["acp_browser"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"

    @pytest.mark.parametrize("fields", [{"endpoint": "https://127.0.0.1/x"}, {"auth": ""}, {"key": "old"}])
    def test_says_what_is_wrong_and_changes_nothing(self, fields: dict[str, str]) -> None:
        client = signed_in(make_user())
        answer = begin(client, Phone(FCM), **fields)
        assert 'class="toast bad"' in answer.content.decode()
        assert not Browser.objects.exists()
        assert "acp_browser" not in client.cookies

    def test_a_test_says_what_became_of_it_and_not_too_often(self, service: System) -> None:
        person, phone = make_user(), Phone(service.url)
        client, made = signed_in(person), phone.of(person)
        service.will(201, b"")
        first = client.post(f"{PAGE}browsers/{made.pk}/test/", follow=True).content.decode()
        assert "has taken the test" in first
        ((_, path, headers, body),) = service.asked
        assert (path, headers["TTL"]) == (phone.path, "60")
        assert phone.shown(body)["path"] == PAGE
        again = client.post(f"{PAGE}browsers/{made.pk}/test/", follow=True).content.decode()
        assert "One test in 10 seconds." in again
        assert len(service.asked) == 1
        Browser.objects.update(tested_at=None)
        service.will(410, b"")
        gone = client.post(f"{PAGE}browsers/{made.pk}/test/", follow=True).content.decode()
        assert "The push service answered 410." in gone
        assert Browser.objects.get().gone_at is not None

    def test_switched_off_it_offers_nothing(self, settings: Any) -> None:
        settings.ACP_PUSH_HOSTS = ()
        client = signed_in(make_user())
        page = client.get(PAGE).content.decode()
        assert "an administrator has switched it off" in page
        assert "Notify me in this browser" not in page
        assert "pushes nothing to browsers" in begin(client, Phone(FCM), key="").content.decode()
        assert not Browser.objects.exists()


def test_the_service_worker_serves_the_whole_plane_under_the_same_policy() -> None:
    answer = Client().get("/sw.js")
    assert answer.status_code == 200
    assert "javascript" in answer["Content-Type"]
    assert answer["Content-Security-Policy"] == POLICY
    assert "worker-src 'self'" in POLICY
    text = b"".join(answer).decode()
    assert not any(word in text for word in ("caches", '"fetch"', "importScripts", "eval"))


class TestTheApi:
    def test_browsers_are_added_tried_and_removed_and_their_addresses_never_told(self, service: System) -> None:
        person, phone, client = make_user(), Phone(service.url), Client()
        headers = {"Authorization": f"Bearer {create_token(person, user=person)}"}
        key = client.get("/api/v1/me/notifications/", headers=headers).json()["push_key"]
        body = {**phone.said, "key": key}
        made = client.post("/api/v1/me/browsers/", body, content_type="application/json", headers=headers)
        assert made.status_code == 201
        assert not any(secret in made.content.decode() for secret in phone.said.values())
        assert client.get("/api/v1/me/browsers/", headers=headers).json()["results"] == [made.json()]
        one = f"/api/v1/me/browsers/{made.json()['id']}/"
        assert client.post(f"{one}test/", headers=headers).json() == {"ok": True, "outcome": ""}
        assert client.post(f"{one}test/", headers=headers).status_code == 429
        assert client.delete(one, headers=headers).status_code == 204
        assert client.delete(one, headers=headers).status_code == 404
        assert Browser.objects.get().gone_at is not None

    @pytest.mark.parametrize(
        "fields",
        [{"endpoint": "https://127.0.0.1/x"}, {"endpoint": 1}, {"auth": None}, {"more": "x"}, {"key": "x"}],
    )
    def test_what_makes_no_sense_is_refused(self, fields: dict[str, Any]) -> None:
        person = make_user()
        headers = {"Authorization": f"Bearer {create_token(person, user=person)}"}
        body = {**Phone(FCM).said, "key": push_key(), **fields}
        said = Client().post("/api/v1/me/browsers/", body, content_type="application/json", headers=headers)
        assert said.status_code == 422
        assert not Browser.objects.exists()

    def test_agents_have_no_browsers(self) -> None:
        headers = {"Authorization": f"Bearer {make_desk().key}"}
        assert Client().get("/api/v1/me/browsers/", headers=headers).status_code == 403

    def test_wishes_name_the_channel(self) -> None:
        person = make_user()
        headers = {"Authorization": f"Bearer {create_token(person, user=person)}"}
        body = {"push": {"medium": "now"}}
        said = Client().put("/api/v1/me/notifications/", body, content_type="application/json", headers=headers)
        assert said.json()["push"] == {"low": "digest", "medium": "now", "high": "now", "critical": "now"}


class TestTheSetting:
    def test_names_hosts_or_all_below_one_and_can_be_off(self) -> None:
        assert push_hosts("off") == ()
        hosts = push_hosts(PUSH_SERVICES)
        assert is_push_host("web.push.apple.com", hosts)
        assert not is_push_host("push.apple.com", hosts)
        assert not is_push_host("evilpush.apple.com", hosts)

    @pytest.mark.parametrize(
        "text", ["*", "*.com", "https://push.example", "push.example,", "push", "a.b:443", "A.example"]
    )
    def test_that_is_no_host_stops_the_start(self, text: str) -> None:
        with pytest.raises(ImproperlyConfigured):
            push_hosts(text)
