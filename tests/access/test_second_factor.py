"""A second factor, demanded: of whom, what it closes, what proves one, and that nothing leads past it."""

import re
from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client
from django.urls import resolve, reverse

from apps.access.enrolment import ALWAYS_OPEN, OPEN_TO_CONFIRM, OPEN_TO_SET_UP
from apps.access.models import PersonalToken
from apps.access.rules import EMERGENCY_PERMISSIONS, PERMISSIONS
from apps.access.selectors import is_factor_demanded_of
from apps.access.services import arm_emergency, create_token
from apps.core.models import User
from controlplane.environment import second_factor
from tests.factories.access import grant, make_admin, make_holder, make_role, make_user
from tests.factories.codes import code_now
from tests.factories.identity_provider import CLIENT, SECRET, identity_provider
from tests.test_house import every_address, example_of

pytestmark = pytest.mark.django_db
PASSWORD = "a long one that nobody guesses"
NEEDED = "/accounts/2fa/needed/"


@pytest.fixture(autouse=True)
def demanded(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # slow on purpose elsewhere
    settings.ACP_SECOND_FACTOR = "deciders"


@pytest.fixture
def ada():
    return make_holder("oversight.decide_escalation", username="ada", email="ada@example.com", password=PASSWORD)


def signed_in(name: str = "ada") -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": name, "password": PASSWORD})
    assert "_auth_user_id" in client.session
    return client


def set_up(client: Client):
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    secret = re.search(r"<code[^>]*>(\w+)</code>", page)[1]
    return client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)})


def is_open(client: Client) -> bool:
    return client.get("/settings/").status_code == 200


class TestOfWhom:
    @pytest.mark.parametrize("perm", sorted(PERMISSIONS))
    def test_of_whoever_may_do_more_than_look_and_stop(self, perm):
        assert is_factor_demanded_of(make_holder(perm)) == (perm not in EMERGENCY_PERMISSIONS)

    def test_of_nobody_of_everybody(self, settings, ada):
        settings.ACP_SECOND_FACTOR = "offered"
        assert not is_factor_demanded_of(ada)
        settings.ACP_SECOND_FACTOR = "everybody"
        assert is_factor_demanded_of(make_user())

    def test_a_role_that_comes_while_one_is_signed_in_counts_at_the_next_request(self):
        eve = make_user(username="eve", password=PASSWORD)
        client = signed_in("eve")
        assert is_open(client)
        grant(eve, make_role("oversight.decide_escalation"))
        assert client.get("/settings/")["Location"] == f"{NEEDED}?next=%2Fsettings%2F"

    def test_production_demands_it_and_an_unknown_word_stops_the_start(self):
        assert second_factor({}, "deciders") == "deciders"
        assert second_factor({"ACP_SECOND_FACTOR": "everybody"}, "deciders") == "everybody"
        with pytest.raises(ImproperlyConfigured, match="ACP_SECOND_FACTOR"):
            second_factor({"ACP_SECOND_FACTOR": "yes"}, "deciders")


OPEN = ALWAYS_OPEN | OPEN_TO_SET_UP


def is_refused(path: str, answer: Any) -> bool:
    if path.startswith(("/api/", "/scim/", "/v1/", "/otlp/")):
        return answer.status_code == 403 and answer.json()["code"] == "second_factor_needed"
    if path.startswith("/live/"):
        return answer.status_code == 403
    return answer.status_code == 302 and answer["Location"].startswith(NEEDED)


def test_nothing_else_opens(ada, client):
    """Every address of the plane, so that a new one is asked too."""
    client.force_login(ada)
    paths = [f"/{example_of(route)}" for route in sorted(set(every_address())) if "(?P" not in route]
    closed = [path for path in paths if resolve(path).view_name not in OPEN]
    assert len(closed) > 600
    found = {}
    for path in closed:
        for method in ("get", "post", "put", "delete"):
            answer = getattr(client, method)(path)
            if not is_refused(path, answer):
                found[method, path] = answer.status_code
        part = client.get(path, headers={"HX-Request": "true"})
        if part.status_code != 403:
            found["part", path] = part.status_code
    assert found == {}


class TestSettingOneUp:
    def test_the_page_says_why_and_leads_to_both_and_out(self, ada):
        page = signed_in().get(NEEDED).content.decode()
        for address in ("/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/", "/accounts/logout/"):
            assert address in page
        assert 'id="rail"' not in page

    def test_once_it_is_set_up_everything_opens_here_and_the_next_time_by_its_code(self, ada):
        client = signed_in()
        assert set_up(client)["Location"] == "/accounts/2fa/recovery-codes/"
        assert is_open(client)
        assert client.get(NEEDED)["Location"] == "/"
        again = Client()
        again.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
        assert "_auth_user_id" not in again.session

    def test_a_wrong_code_sets_nothing_up(self, ada):
        client = signed_in()
        client.get("/accounts/2fa/totp/activate/")
        assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
        assert not is_open(client)
        assert not Authenticator.objects.exists()

    def test_parts_of_an_open_page_lead_the_whole_page_there_but_not_those_that_ask_by_themselves(self, ada):
        client = signed_in()
        part = client.get("/inbox/", headers={"HX-Request": "true"})
        assert (part.status_code, part["HX-Redirect"]) == (403, NEEDED)
        bell = client.get("/inbox/", headers={"HX-Request": "true", "HX-Target": "bell"})
        assert (bell.status_code, "HX-Redirect" in bell) == (403, False)

    def test_one_signs_out(self, ada):
        client = signed_in()
        answer = client.post("/accounts/logout/")
        assert "_auth_user_id" not in client.session
        assert answer["Clear-Site-Data"] == '"storage"'

    def test_the_first_administrator_comes_in_by_their_link_and_sets_one_up(self):
        call_command("create_admin", "root", email="root@example.com")
        root = User.objects.get(username="root")
        client = Client()
        key = {"uidb36": user_pk_to_url_str(root), "key": default_token_generator.make_token(root)}
        page = client.get(reverse("account_reset_password_from_key", kwargs=key))
        client.post(page["Location"], {"password1": PASSWORD, "password2": PASSWORD})
        client = signed_in("root")
        assert not is_open(client)
        set_up(client)
        assert is_open(client)


class TestWhatLeadsPastIt:
    def test_a_session_that_was_open_before_proves_it_and_adds_no_other(self, ada):
        first, second = signed_in(), signed_in()
        set_up(first)
        assert not is_open(second)
        for name in OPEN_TO_SET_UP:
            assert second.get(reverse(name))["Location"].startswith(NEEDED)
        assert all(second.get(reverse(name)).status_code in {200, 302} for name in OPEN_TO_CONFIRM)
        codes = Authenticator.objects.get(type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()
        second.post(f"{reverse('mfa_reauthenticate')}?next=/settings/", {"code": codes[0]})
        assert is_open(second)

    def test_the_password_again_proves_nothing(self, ada):
        client = signed_in()
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert not is_open(client)

    def test_no_token_comes_of_such_a_session_and_one_of_before_goes_on(self, ada):
        text = create_token(ada, user=ada, days=1)
        client = signed_in()
        answer = client.post("/api/v1/me/tokens/", {"name": "x", "days": 1}, content_type="application/json")
        assert answer.json()["code"] == "second_factor_needed"
        assert PersonalToken.objects.count() == 1
        assert Client().get("/api/v1/users/", headers={"Authorization": f"Bearer {text}"}).status_code != 401

    def test_the_last_one_is_not_removed(self, ada):
        client = signed_in()
        set_up(client)
        page = client.post("/accounts/2fa/totp/deactivate/").content.decode()
        assert "add another first" in page
        assert Authenticator.objects.filter(type=Authenticator.Type.TOTP).exists()

    def test_an_emergency_account_is_not_asked(self):
        _row, credential = arm_emergency(make_admin(), username="break-glass-1")
        client = Client()
        said = {"login": "break-glass-1", "password": credential, "reason": "The provider is down."}
        client.post("/accounts/emergency/", said)
        assert client.get("/halts/").status_code == 200


class TestSingleSignOn:
    @pytest.fixture
    def idp(self, settings):
        with identity_provider(email="ada@example.com", email_verified=True) as found:
            about = {"name": "House ID", "issuer": found.issuer, "client_id": CLIENT, "secret": SECRET}
            settings.OIDC_PROVIDERS = {"house": {**about, "domains": ("example.com",), "strong": ("mfa",)}}
            yield found

    def sign_on(self) -> Client:
        from tests.access.test_single_sign_on import sign_on

        return sign_on()[0]

    def test_it_counts_where_the_provider_says_so_in_a_word_that_is_configured(self, ada, idp):
        assert not is_open(self.sign_on())
        idp.lies = {"amr": ["pwd"]}
        assert not is_open(self.sign_on())
        idp.lies = {"amr": ["pwd", "mfa"]}
        assert is_open(self.sign_on())

    def test_whoever_has_nothing_here_sets_one_up_right_after_it(self, ada, idp):
        User.objects.filter(pk=ada.pk).update(password="!")
        client = self.sign_on()
        set_up(client)
        assert is_open(client)

    def test_and_not_later(self, ada, idp):
        User.objects.filter(pk=ada.pk).update(password="!")
        client = self.sign_on()
        session = client.session
        records = session["account_authentication_methods"]
        session["account_authentication_methods"] = [{**one, "at": one["at"] - 301} for one in records]
        session.save()
        assert "Sign out, sign in again" in client.get(NEEDED).content.decode()
        assert client.get("/accounts/2fa/totp/activate/").status_code == 302
        assert not Authenticator.objects.exists()


def test_where_it_is_offered_a_password_is_enough(settings, ada):
    settings.ACP_SECOND_FACTOR = "offered"
    assert is_open(signed_in())
