"""Who signs in, fails, signs out or changes how they sign in is in the ledger, and strangers keep nobody out."""

import json
from base64 import b32encode
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.core.cache import cache
from django.test import Client

from apps.access.models import Session
from apps.access.services.sessions import MAX_SESSIONS
from apps.audit.models import Entry, Payload
from apps.core.models import ClockTimestamp
from tests.factories.access import make_admin, make_user
from tests.factories.codes import code_now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick_passwords")]
PASSWORD, NEW = "a long one that nobody guesses", "another long one, as good as the first"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SECRET = b32encode(b"twenty bytes of TOTP").decode()


def sign_in(client: Client, password: str = PASSWORD, name: str = "ada", **more: str):
    return client.post("/accounts/login/", {"login": name, "password": password, **more})


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def browser(address: str = "192.0.2.7") -> Client:
    return Client(REMOTE_ADDR=address, HTTP_USER_AGENT=FIREFOX)


def names() -> list[str]:
    return list(Entry.objects.filter(name__startswith="user.").order_by("id").values_list("name", flat=True))


@pytest.fixture
def quick_passwords(settings):
    """What is slow on purpose is not what these tests are about."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(quick_passwords):
    return make_user(username="ada", email="ada@example.com", password=PASSWORD)


class TestTheLedger:
    def test_a_sign_in_says_from_where_with_what_and_how(self, ada):
        client = browser()
        assert sign_in(client).status_code == 302
        entry = Entry.objects.get(name="user.signed_in")
        assert (entry.actor, entry.subject_id) == (ada, ada.pk)
        assert entry.payload["address"] == "192.0.2.7"
        assert entry.payload["browser"] == FIREFOX
        assert entry.payload["methods"] == ["password"]
        assert entry.payload["session"] == str(Session.objects.get(user=ada).ref)

    def test_a_failed_one_is_the_person_s_and_repeats_nothing_that_was_typed(self, ada):
        sign_in(browser(), "my other secret")
        entry = Entry.objects.get(name="user.sign_in_failed")
        assert (entry.actor.username, entry.subject_id) == ("plane", ada.pk)
        assert entry.payload == {"method": "password", "address": "192.0.2.7"}

    def test_an_unknown_name_may_be_a_password_and_is_kept_as_a_keyed_digest(self):
        sign_in(browser(), "x", name="oops-my-password")
        entry = Entry.objects.get(name="user.sign_in_failed")
        assert set(entry.payload) == {"method", "address", "name_digest"}
        assert len(entry.payload["name_digest"]) == 16
        assert "oops" not in json.dumps([list(Payload.objects.values_list("content", flat=True))])

    def test_guesses_fill_no_ledger(self, ada, monkeypatch):
        monkeypatch.setattr("apps.access.services.sessions.FAILED_AT_MOST", 3)
        for _guess in range(4):
            sign_in(browser(), "wrong")
        assert names().count("user.sign_in_failed") == 1
        for number in range(10):
            sign_in(browser(f"198.51.100.{number}"), "wrong")
        assert names().count("user.sign_in_failed") <= 6  # two minutes may have begun

    def test_signing_out_and_a_new_password(self, ada):
        client = browser()
        sign_in(client)
        answer = client.post(
            "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
        )
        assert answer.status_code == 302
        client.post("/accounts/logout/")
        assert names() == ["user.signed_in", "user.password_changed", "user.signed_out"]

    def test_confirming_that_it_is_you(self, ada):
        client = browser()
        sign_in(client)
        assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
        assert Entry.objects.get(name="user.stepped_up").payload["method"] == "password"

    def test_failing_to_confirm_it_is_a_failure(self, ada):
        client = browser()
        sign_in(client)
        assert client.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
        assert names()[-1] == "user.sign_in_failed"

    def test_a_second_factor_comes_and_goes(self, ada):
        client = browser()
        sign_in(client)
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        client.get("/accounts/2fa/totp/activate/")
        secret = client.session["mfa.totp.secret"]
        client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)})
        client.post("/accounts/2fa/recovery-codes/generate/")
        client.post("/accounts/2fa/totp/deactivate/")
        told = [(entry.name, entry.payload.get("method")) for entry in Entry.objects.order_by("id")]
        assert told[-3:] == [
            ("user.second_factor_added", "totp"),
            ("user.second_factor_added", "recovery_codes"),
            ("user.second_factor_removed", "totp"),
        ]

    def test_a_wrong_code_is_recorded_and_a_right_one_signs_in(self, ada):
        TOTP.activate(ada, SECRET)
        client = browser()
        sign_in(client)
        assert not is_in(client)
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
        assert Entry.objects.get(name="user.sign_in_failed").payload["method"] == "code"
        client.post("/accounts/2fa/authenticate/", {"code": code_now(SECRET)})
        assert Entry.objects.get(name="user.signed_in").payload["methods"] == ["password", "totp"]


class TestGuessing:
    def exhaust(self, settings) -> None:
        """As many wrong guesses as a name has, which are six here, each from an address of its own."""
        settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "guess_at_name": "6/h/key"}
        for number in range(6):
            sign_in(browser(f"203.0.113.{number}"), "wrong")

    def test_a_stranger_who_guesses_keeps_the_person_at_another_address_in(self, ada):
        for _guess in range(6):
            sign_in(browser("198.51.100.1"), "wrong")
        client = browser("192.0.2.7")
        sign_in(client)
        assert is_in(client)

    def test_a_browser_that_is_known_has_a_count_of_its_own(self, ada):
        known = browser("198.51.100.1")
        sign_in(known)
        known.post("/accounts/logout/")
        for _guess in range(12):
            sign_in(browser("198.51.100.1"), "wrong")  # behind the same address
        sign_in(known)
        assert is_in(known)

    def test_a_known_browser_guesses_no_more_than_others(self, ada):
        known = browser()
        sign_in(known)
        known.post("/accounts/logout/")
        for _guess in range(5):
            sign_in(known, "wrong")
        sign_in(known)
        assert not is_in(known)

    def test_it_is_known_as_the_person_who_signed_in_and_as_nobody_else(self, ada):
        make_user(username="ben", password=PASSWORD)
        known = browser("198.51.100.1")
        sign_in(known)
        known.post("/accounts/logout/")
        for _guess in range(5):
            sign_in(browser("198.51.100.1"), "wrong", name="ben")
        sign_in(known, name="ben")
        assert not is_in(known)

    def test_a_cookie_that_was_made_up_is_nobody_s(self, ada):
        client = browser()
        client.cookies["acp_known"] = "01890000-0000-7000-8000-000000000000.somebody:forged"
        for _guess in range(5):
            sign_in(client, "wrong")
        sign_in(client)
        assert not is_in(client)

    def test_of_a_name_that_many_addresses_guess_at_strangers_learn_nothing_and_the_known_come_in(self, ada, settings):
        known = browser("192.0.2.7")
        sign_in(known)
        known.post("/accounts/logout/")
        self.exhaust(settings)
        stranger = browser("192.0.2.99")
        right, wrong = sign_in(stranger), sign_in(browser("192.0.2.98"), "wrong")
        assert not is_in(stranger)
        for answer in (right, wrong):
            assert "Too many tries" in answer.content.decode()
        sign_in(known)
        assert is_in(known)

    def test_a_second_factor_is_asked_for_instead(self, ada, settings):
        TOTP.activate(ada, SECRET)
        self.exhaust(settings)
        assert "Too many tries" in sign_in(browser("192.0.2.98"), "wrong").content.decode()
        stranger = browser("192.0.2.99")
        sign_in(stranger)
        stranger.post("/accounts/2fa/authenticate/", {"code": code_now(SECRET)})
        assert is_in(stranger)

    def test_behind_a_proxy_the_address_is_the_one_that_it_saw(self, ada, settings):
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        for number in range(12):
            Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.1").post(
                "/accounts/login/", {"login": f"name{number}", "password": "wrong"}
            )
        client = Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.7")
        sign_in(client)
        assert is_in(client)


class TestWhatIsStored:
    def test_who_reads_the_table_of_sessions_can_use_none(self, ada):
        client = browser()
        sign_in(client)
        row, cookie = Session.objects.get(user=ada), client.cookies["sessionid"].value
        assert cookie not in (row.session_key, row.session_data)
        thief = browser()
        thief.cookies["sessionid"] = row.session_key
        assert thief.get("/settings/").status_code == 302
        assert str(ada.pk) not in row.session_data

    def test_secrets_of_second_factors_are_sealed_and_older_ones_still_open(self, ada):
        TOTP.activate(ada, SECRET)
        kept = Authenticator.objects.get(user=ada)
        assert SECRET not in json.dumps(kept.data)
        assert kept.wrap().validate_code(code_now(SECRET))
        kept.data = {"secret": SECRET}
        cache.clear()
        assert TOTP(kept).validate_code(code_now(SECRET))


class TestSessions:
    def test_one_that_was_left_for_an_hour_is_over(self, ada):
        client = browser()
        sign_in(client)
        Session.objects.update(seen_at=ClockTimestamp() - timedelta(minutes=59))
        assert client.get("/settings/").status_code == 200
        Session.objects.update(seen_at=ClockTimestamp() - timedelta(minutes=61))
        assert client.get("/settings/").status_code == 302

    def test_it_lasts_eight_hours_whatever_happens_in_it(self, ada):
        client = browser()
        sign_in(client)
        Session.objects.update(began_at=ClockTimestamp() - timedelta(hours=7, minutes=59))
        client.post("/settings/", {"hold_s": "10"})
        assert client.get("/settings/").status_code == 200
        Session.objects.update(began_at=ClockTimestamp() - timedelta(hours=8, minutes=1))
        assert client.get("/settings/").status_code == 302

    def test_a_page_that_asks_by_itself_keeps_no_session_alive(self, ada):
        client = browser()
        sign_in(client)
        Session.objects.update(seen_at=ClockTimestamp() - timedelta(minutes=30))
        before = Session.objects.get(user=ada).seen_at
        client.get("/live/session")
        client.get("/control/", headers={"HX-Request": "true", "HX-Target": "health", "HX-Trigger": "health"})
        assert Session.objects.get(user=ada).seen_at == before
        client.get("/settings/")
        assert Session.objects.get(user=ada).seen_at > before

    def test_a_sign_in_makes_a_new_key_and_signing_out_deletes_the_row(self, ada):
        client = browser()
        sign_in(client)
        first = client.cookies["sessionid"].value
        client.post("/accounts/logout/")
        assert not Session.objects.filter(user=ada).exists()
        sign_in(client)
        assert client.cookies["sessionid"].value != first

    def test_a_new_password_ends_the_others(self, ada):
        here, there = browser(), browser("198.51.100.1")
        sign_in(here)
        sign_in(there)
        here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW})
        assert here.get("/settings/").status_code == 200
        assert there.get("/settings/").status_code == 302
        assert names().count("user.session_ended") == 1

    def test_the_oldest_gives_way(self, ada):
        clients = [browser(f"192.0.2.{number}") for number in range(MAX_SESSIONS + 1)]
        for client in clients:
            sign_in(client)
        assert Session.objects.filter(user=ada).count() == MAX_SESSIONS
        assert clients[0].get("/settings/").status_code == 302
        assert clients[-1].get("/settings/").status_code == 200


class TestEndingThem:
    def test_a_person_sees_where_they_are_signed_in_and_ends_one(self, ada):
        here, there = browser(), browser("198.51.100.1")
        sign_in(there)
        sign_in(here)
        page = here.get("/settings/sessions/").content.decode()
        assert "198.51.100.1" in page
        assert "Firefox, Linux" in page
        ref = Session.objects.get(user=ada, address="198.51.100.1").ref
        assert here.post(f"/settings/sessions/{ref}/end/").status_code == 302
        assert there.get("/settings/").status_code == 302
        assert here.get("/settings/").status_code == 200

    def test_nobody_ends_somebody_else_s(self, ada):
        sign_in(browser())
        ben = Client()
        ben.force_login(make_user())
        ref = Session.objects.get(user=ada).ref
        assert ben.post(f"/settings/sessions/{ref}/end/").status_code == 404
        assert ben.post("/access/people/ada/sessions/end/").status_code == 404
        assert ben.delete(f"/api/v1/me/sessions/{ref}/").status_code == 404
        assert Session.objects.filter(user=ada).exists()

    def test_one_ends_all_others_at_once(self, ada):
        here, there = browser(), browser("198.51.100.1")
        sign_in(there)
        sign_in(here)
        here.post("/settings/sessions/end-others/")
        assert there.get("/settings/").status_code == 302
        assert here.get("/settings/").status_code == 200

    def test_an_administrator_ends_all_of_somebody(self, ada):
        there, admin = browser(), Client()
        sign_in(there)
        boss = make_admin()
        admin.force_login(boss)
        assert admin.post("/access/people/ada/sessions/end/").status_code == 302
        assert there.get("/settings/").status_code == 302
        assert Entry.objects.get(name="user.session_ended").actor == boss

    def test_the_api_does_the_same(self, ada):
        here, there = browser(), browser("198.51.100.1")
        sign_in(there)
        sign_in(here)
        rows = here.get("/api/v1/me/sessions/").json()["results"]
        assert [row["address"] for row in rows] == ["192.0.2.7", "198.51.100.1"]
        assert set(rows[0]) == {"id", "address", "browser", "began_at", "seen_at"}
        assert here.delete(f"/api/v1/me/sessions/{rows[1]['id']}/").status_code == 204
        assert there.get("/settings/").status_code == 302
