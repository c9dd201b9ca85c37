"""Passkeys: added, used alone and as a second factor, to confirm, renamed, removed; and what is refused."""

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from apps.audit.models import Entry
from tests.factories.access import make_user
from tests.factories.passkeys import Device

pytestmark = pytest.mark.django_db
PASSWORD = "a long one that nobody guesses"
BASE = "/accounts/2fa/webauthn/"
ADD, LOGIN, AGAIN = f"{BASE}add/", f"{BASE}login/", f"{BASE}reauthenticate/"


@pytest.fixture(autouse=True)
def hosts(settings):
    settings.ALLOWED_HOSTS = ["*"]


@pytest.fixture
def ada():
    return make_user(username="ada", name="Ada", email="ada@example.com", password=PASSWORD)


def browser(host: str = "plane.example.com") -> Client:
    return Client(headers={"host": host, "x-forwarded-proto": "https"})


def signed_in(host: str = "plane.example.com", *, confirmed: bool = True) -> Client:
    client = browser(host)
    client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    if confirmed:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def options_of(page) -> dict:
    found = re.search(r'<script id="passkey-options" type="application/json">(.*?)</script>', page.content.decode())
    assert found
    return next(iter(json.loads(found[1]).values()))


def add(client: Client, device: Device, name: str = "Work laptop"):
    options = options_of(client.get(ADD))
    return client.post(ADD, {"name": name, "credential": device.make(options)})


def challenge(client: Client) -> dict:
    return client.get(LOGIN, headers={"accept": "application/json"}).json()["request_options"]


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def names() -> list[str]:
    return list(Entry.objects.filter(name__startswith="user.").order_by("id").values_list("name", flat=True))


@pytest.fixture
def laptop(ada):
    device = Device()
    assert add(signed_in(), device).status_code == 302
    return device


class TestAdding:
    def test_a_passkey_comes_with_its_name_its_entry_and_recovery_codes(self, ada):
        client = signed_in()
        assert "No passkey yet" in client.get(BASE).content.decode()
        answer = add(client, Device())
        assert answer["Location"] == "/accounts/2fa/recovery-codes/"
        entry = Entry.objects.get(name="user.second_factor_added")
        assert (entry.actor, entry.payload["method"]) == (ada, "webauthn")
        assert "Work laptop" in client.get(BASE).content.decode()
        assert add(client, Device(), "Key ring")["Location"] == BASE

    def test_it_asks_for_one_that_stays_in_the_device_and_verifies_its_person(self, ada):
        asked = options_of(signed_in().get(ADD))["publicKey"]
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["rp"]["id"] == "plane.example.com"

    def test_only_who_just_confirmed_adds_one(self, ada):
        client = signed_in(confirmed=False)
        assert client.get(ADD)["Location"].startswith("/accounts/reauthenticate/")
        assert not Authenticator.objects.exists()

    @pytest.mark.parametrize(
        "device",
        [Device(origin="https://plane.example.com.evil.example"), Device(origin="http://plane.example.com")],
        ids=["another origin", "not https"],
    )
    def test_a_page_that_is_not_ours_adds_none(self, ada, device):
        answer = add(signed_in(), device)
        assert answer.status_code == 200
        assert "did not answer as it should" in answer.content.decode()
        assert not Authenticator.objects.exists()

    def test_one_that_verified_nobody_is_refused(self, ada):
        assert add(signed_in(), Device(verifies=False)).status_code == 200
        assert not Authenticator.objects.exists()

    def test_what_was_sent_once_is_worth_nothing_a_second_time(self, ada):
        client, device = signed_in(), Device()
        credential = device.make(options_of(client.get(ADD)))
        client.post(ADD, {"name": "", "credential": credential})
        client.post(ADD, {"name": "", "credential": credential})
        assert Authenticator.objects.filter(type="webauthn").count() == 1

    def test_after_a_wrong_one_the_page_offers_a_new_challenge_that_works(self, ada):
        client, device = signed_in(), Device()
        page = add(client, Device(origin="https://evil.example"))
        assert client.post(ADD, {"name": "x", "credential": device.make(options_of(page))}).status_code == 302

    @pytest.mark.parametrize("sent", ["", "null", "[]", "7", '"x"', "{}", '{"id": 1, "response": {}}', "{" * 3000])
    def test_what_makes_no_sense_is_refused(self, ada, sent):
        assert signed_in().post(ADD, {"name": "x", "credential": sent}).status_code == 200
        assert not Authenticator.objects.exists()

    def test_a_name_is_kept_short_and_stays_text(self, ada):
        client = signed_in()
        answer = add(client, Device(), "x" * 61)
        assert answer.status_code == 200
        assert "at most 60" in answer.content.decode()
        add(client, Device(), "<script>alert(1)</script>")
        assert "<script>alert(1)" not in client.get(BASE).content.decode()


class TestSigningIn:
    def test_a_passkey_signs_in_without_name_and_password_and_past_the_second_factor(self, ada, laptop):
        client = browser()
        answer = client.post(LOGIN, {"credential": laptop.use(challenge(client)), "next": "/settings/"})
        assert (answer.status_code, answer["Location"]) == (302, "/settings/")
        assert is_in(client)
        assert Entry.objects.filter(name="user.signed_in").latest("id").payload["methods"] == ["webauthn"]

    def test_it_leads_nowhere_else(self, laptop):
        client = browser()
        answer = client.post(LOGIN, {"credential": laptop.use(challenge(client)), "next": "https://evil.example/"})
        assert answer["Location"] == "/"

    def test_after_a_password_it_takes_the_place_of_a_code(self, ada, laptop):
        client = signed_in(confirmed=False)
        assert not is_in(client)
        page = client.get("/accounts/2fa/authenticate/")
        client.post("/accounts/2fa/authenticate/", {"credential": laptop.use(options_of(page))})
        assert is_in(client)
        assert Entry.objects.filter(name="user.signed_in").latest("id").payload["methods"] == ["password", "webauthn"]

    def refused(self, client: Client, credential: str) -> None:
        before = names().count("user.sign_in_failed")
        answer = client.post(LOGIN, {"credential": credential, "next": "/settings/"})
        assert answer["Location"] == "/accounts/login/?next=%2Fsettings%2F"
        assert not is_in(client)
        assert names().count("user.sign_in_failed") == before + 1
        assert Entry.objects.filter(name="user.sign_in_failed").latest("id").payload["method"] == "webauthn"
        assert "did not answer as it should" in client.get("/accounts/login/").content.decode()

    def test_a_copied_page_gets_nothing_that_opens_this_one(self, laptop):
        client = browser()
        laptop.origin = "https://plane.example.com.evil.example"
        self.refused(client, laptop.use(challenge(client)))

    def test_what_another_browser_was_asked_is_no_answer_here(self, laptop):
        client = browser()
        challenge(client)
        self.refused(client, laptop.use(challenge(browser())))

    def test_an_answer_opens_one_session(self, laptop):
        client = browser()
        credential = laptop.use(challenge(client))
        client.post(LOGIN, {"credential": credential})
        client.post("/accounts/logout/")
        self.refused(client, credential)

    def test_a_challenge_is_answered_once_even_wrongly(self, laptop):
        client = browser()
        options = challenge(client)
        right = laptop.use(options)
        laptop.origin = "https://evil.example"
        client.post(LOGIN, {"credential": laptop.use(options)})
        client.get("/accounts/login/")
        assert not is_in(client)
        client.post(LOGIN, {"credential": right})
        assert not is_in(client)

    def test_a_wrong_signature_an_unknown_device_and_one_that_verified_nobody(self, ada, laptop):
        stranger = Device()
        stranger.handle, stranger.id = laptop.handle, laptop.id
        client = browser()
        self.refused(client, stranger.use(challenge(client)))

    def test_one_that_verified_nobody(self, laptop):
        client = browser()
        laptop.verifies = False
        self.refused(client, laptop.use(challenge(client)))

    def test_somebody_else_s_handle(self, laptop):
        ben = make_user(username="ben", password=PASSWORD)
        laptop.handle = str(ben.pk).encode()
        client = browser()
        self.refused(client, laptop.use(challenge(client)))

    @pytest.mark.parametrize("handle", [b"", b"\xff", b"7", b"01890000-0000-7000-8000-000000000000"])
    def test_a_handle_of_nobody(self, laptop, handle):
        laptop.handle = handle
        client = browser()
        self.refused(client, laptop.use(challenge(client)))

    @pytest.mark.parametrize("sent", ["null", "[]", "7", "{}", '{"id": 1}', '{"response": {"userHandle": 7}}'])
    def test_what_makes_no_sense(self, laptop, sent):
        client = browser()
        challenge(client)
        client.post(LOGIN, {"credential": sent})
        assert not is_in(client)

    def test_who_left_comes_in_no_more(self, ada, laptop):
        ada.is_active = False
        ada.save()
        client = browser()
        client.post(LOGIN, {"credential": laptop.use(challenge(client))})
        assert not is_in(client)

    def test_challenges_are_not_for_the_asking_without_end(self, settings):
        settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "passkey_challenge": "2/m/ip"}
        client = browser()
        for _time in range(2):
            assert client.get(LOGIN, headers={"accept": "application/json"}).status_code == 200
        assert client.get(LOGIN, headers={"accept": "application/json"}).status_code == 429

    def test_another_site_posts_nothing(self, laptop):
        client = Client(enforce_csrf_checks=True, headers={"host": "plane.example.com"})
        assert client.post(LOGIN, {"credential": laptop.use(challenge(client))}).status_code == 403


class TestConfirming:
    def test_a_passkey_confirms_that_it_is_you(self, ada, laptop):
        client = browser()
        client.post(LOGIN, {"credential": laptop.use(challenge(client))})
        page = client.get(f"{AGAIN}?next=/settings/")
        answer = client.post(AGAIN, {"credential": laptop.use(options_of(page)), "next": "/settings/"})
        assert answer["Location"] == "/settings/"
        assert Entry.objects.filter(name="user.stepped_up").latest("id").payload["method"] == "webauthn"
        assert client.get(ADD).status_code == 200

    def test_it_is_offered_beside_the_password(self, ada, laptop):
        client = browser()
        client.post(LOGIN, {"credential": laptop.use(challenge(client))})
        page = client.get("/accounts/reauthenticate/?next=/settings/").content.decode()
        assert f'href="{AGAIN}?next=%2Fsettings%2F"' in page

    def test_a_wrong_one_is_recorded_and_confirms_nothing(self, ada, laptop):
        client = browser()
        client.post(LOGIN, {"credential": laptop.use(challenge(client))})
        options = options_of(client.get(AGAIN))
        laptop.origin = "https://evil.example"
        page = client.post(AGAIN, {"credential": laptop.use(options)})
        assert page.status_code == 200
        assert names()[-1] == "user.sign_in_failed"
        assert client.get(ADD).status_code == 302
        laptop.origin = "https://plane.example.com"
        assert client.post(AGAIN, {"credential": laptop.use(options_of(page))}).status_code == 302


class TestKeepingThem:
    def own(self, ada) -> Authenticator:
        return Authenticator.objects.filter(user=ada, type="webauthn").latest("id")

    def confirmed(self, laptop) -> Client:
        client = browser()
        client.post(LOGIN, {"credential": laptop.use(challenge(client))})
        page = client.get(AGAIN)
        client.post(AGAIN, {"credential": laptop.use(options_of(page))})
        return client

    def test_it_is_called_something_else(self, ada, laptop):
        client, row = self.confirmed(laptop), self.own(ada)
        assert client.post(f"{BASE}keys/{row.pk}/edit/", {"name": "Old laptop"})["Location"] == BASE
        assert "Old laptop" in client.get(BASE).content.decode()
        assert names()[-1] == "user.passkey_renamed"
        assert client.post(f"{BASE}keys/{row.pk}/edit/", {"name": ""}).status_code == 200

    def test_the_last_second_factor_goes_with_open_eyes(self, ada, laptop):
        client, row = self.confirmed(laptop), self.own(ada)
        page = client.get(f"{BASE}keys/{row.pk}/remove/").content.decode()
        assert "your last second factor" in page
        client.post(f"{BASE}keys/{row.pk}/remove/")
        assert not Authenticator.objects.filter(user=ada).exists()
        assert Entry.objects.filter(name="user.second_factor_removed").latest("id").payload["method"] == "webauthn"
        assert names()[-1] == "user.second_factor_removed"
        again = browser()
        again.post(LOGIN, {"credential": laptop.use(challenge(again))})
        assert not is_in(again)

    def test_beside_an_app_it_is_not_the_last(self, ada, laptop):
        TOTP.activate(ada, generate_totp_secret())
        client, row = self.confirmed(laptop), self.own(ada)
        assert "your last second factor" not in client.get(f"{BASE}keys/{row.pk}/remove/").content.decode()

    def test_the_only_way_in_stays(self, ada, laptop):
        client, row = self.confirmed(laptop), self.own(ada)
        ada.set_unusable_password()
        ada.save()
        client = self.confirmed(laptop)
        assert "the only way in" in client.get(f"{BASE}keys/{row.pk}/remove/").content.decode()
        assert client.post(f"{BASE}keys/{row.pk}/remove/").status_code == 200
        assert self.own(ada) == row
        assert "user.second_factor_removed" not in names()

    def test_nobody_touches_somebody_else_s(self, ada, laptop):
        row = self.own(ada)
        make_user(username="ben", password=PASSWORD)
        ben = browser()
        ben.post("/accounts/login/", {"login": "ben", "password": PASSWORD})
        ben.post("/accounts/reauthenticate/", {"password": PASSWORD})
        for page in ("edit", "remove"):
            assert ben.get(f"{BASE}keys/{row.pk}/{page}/").status_code == 404
            assert ben.post(f"{BASE}keys/{row.pk}/{page}/", {"name": "mine"}).status_code == 404
        assert self.own(ada) == row


def test_nobody_gives_themselves_a_colleague_s_address(ada):
    client = signed_in()
    assert client.get("/accounts/email/").status_code == 404
    assert client.post("/accounts/email/", {"action_add": "", "email": "ceo@example.com"}).status_code == 404
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"
