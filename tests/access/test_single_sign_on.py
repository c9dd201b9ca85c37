"""Single sign-on against a provider that speaks HTTP: who comes in, who does not, and what a lie is worth."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory

from apps.access.accounts import signed_in_recently
from apps.access.models import Identity
from apps.audit.models import Entry
from apps.core.models import User
from controlplane.environment import identity_providers
from tests.factories.access import make_user
from tests.factories.identity_provider import CLIENT, SECRET, identity_provider

pytestmark = pytest.mark.django_db
PASSWORD = "a long one that nobody guesses"
START, BACK = "/accounts/sso/house/", "/accounts/sso/house/callback/"
KNOWN = {"email": "ada@example.com", "email_verified": True}


@pytest.fixture
def idp(settings):
    with identity_provider(**KNOWN) as found:
        about = {"name": "House ID", "issuer": found.issuer, "client_id": CLIENT, "secret": SECRET}
        settings.OIDC_PROVIDERS = {"house": {**about, "domains": ("example.com",), "strong": ("mfa",)}}
        yield found


@pytest.fixture
def ada():
    return make_user(username="ada", email="Ada@example.com", password=PASSWORD)


def leave(client: Client, query: str = "", **headers: str) -> str:
    """Begin, and be signed in at the provider; where the browser is sent back to."""
    away = client.get(START + query, headers=headers)
    assert away.status_code == 302
    return httpx.get(away["Location"]).headers["Location"]


def come_back(client: Client, address: str):
    place = urlsplit(address)
    return client.get(f"{place.path}?{place.query}")


def sign_on(client: Client | None = None, query: str = ""):
    client = client or Client()
    answer = come_back(client, leave(client, query))
    return client, answer


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def assert_refused(client: Client, answer, said: str = "proves nothing") -> None:
    assert answer["Location"] == "/accounts/login/"
    assert not is_in(client)
    assert said in client.get("/accounts/login/").content.decode()
    assert not Entry.objects.filter(name="user.signed_in").exists()
    assert Entry.objects.filter(name="user.sign_in_failed").latest("id").payload["method"] == "oidc"


class TestComingIn:
    def test_the_door_names_the_provider(self, idp):
        page = Client().get("/accounts/login/?next=/inbox/").content.decode()
        assert "Sign in with House ID" in page
        assert f'href="{START}?next=/inbox/"' in page

    def test_a_verified_address_of_its_domain_is_known_once_and_its_subject_ever_after(self, ada, idp):
        client, answer = sign_on(query="?next=/settings/")
        assert (answer.status_code, answer["Location"]) == (302, "/settings/")
        assert is_in(client)
        assert Identity.objects.get().user == ada
        names = list(Entry.objects.filter(name__startswith="user.").order_by("id").values_list("name", flat=True))
        assert names == ["user.identity_linked", "user.signed_in"]
        assert Entry.objects.get(name="user.signed_in").payload["methods"] == ["oidc"]
        idp.person = {"sub": "0001", "email": "renamed@elsewhere.example"}
        again, _answer = sign_on()
        assert is_in(again)
        assert Identity.objects.count() == 1

    def test_it_leads_nowhere_else(self, ada, idp):
        _client, answer = sign_on(query="?next=https://evil.example/")
        assert answer["Location"] == "/"

    def test_what_is_asked_is_bound_to_this_browser_and_carries_no_secret(self, ada, idp):
        client = Client()
        leave(client)
        asked = idp.asked[0]
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert {"state", "nonce", "code_challenge"} <= set(asked)
        assert SECRET not in str(asked)

    def test_nobody_is_made(self, idp):
        before = User.objects.filter(kind="human").count()
        client, answer = sign_on()
        assert_refused(client, answer, "nobody here is known by that")
        assert User.objects.filter(kind="human").count() == before

    @pytest.mark.parametrize(
        "lie",
        [
            {"email_verified": False},
            {"email_verified": None},
            {"email_verified": "true"},
            {"email": "ada@other.example"},
            {"email": "ada@example.com@other.example"},
            {"email": None},
            {"email": ["ada@example.com"]},
            {"email": "аda@example.com"},
        ],
    )
    def test_an_address_that_proves_nothing_takes_nobody_over(self, ada, idp, lie):
        idp.lies = lie
        client, answer = sign_on()
        assert_refused(client, answer, "nobody here is known by that")
        assert not Identity.objects.exists()

    def test_without_domains_no_address_counts(self, ada, idp, settings):
        settings.OIDC_PROVIDERS = {"house": {**settings.OIDC_PROVIDERS["house"], "domains": ()}}
        client, answer = sign_on()
        assert_refused(client, answer, "nobody here is known by that")

    def test_an_address_that_passed_to_somebody_else_opens_nothing(self, ada, idp):
        sign_on()
        idp.person = {**KNOWN, "sub": "0002"}
        client, _answer = sign_on()
        assert not is_in(client)
        assert Identity.objects.get().subject == "0001"

    def test_two_people_of_one_address_are_nobody(self, ada, idp):
        make_user(username="ada2", email="ada@example.com")
        client, answer = sign_on()
        assert_refused(client, answer, "nobody here is known by that")

    def test_who_left_agents_and_systems_come_in_by_nothing(self, ada, idp):
        sign_on()
        for change in ({"is_active": False}, {"kind": "agent"}, {"kind": "system"}):
            User.objects.filter(pk=ada.pk).update(**{"is_active": True, "kind": "human", **change})
            assert not is_in(sign_on()[0])
        Identity.objects.all().delete()
        assert not is_in(sign_on()[0])


class TestLies:
    @pytest.mark.parametrize(
        "lie",
        [
            {"nonce": "of somebody else"},
            {"nonce": None},
            {"aud": "another-client"},
            {"aud": ["the-plane", "another-client"]},
            {"aud": ["the-plane", "another-client"], "azp": "another-client"},
            {"azp": "another-client"},
            {"iss": "https://evil.example"},
            {"exp": -3600},
            {"iat": -3600},
            {"iat": 3600},
            {"exp": None},
            {"iat": None},
            {"sub": None},
            {"sub": ""},
            {"sub": 7},
            {"sub": "x" * 256},
            {"nbf": 3600},
        ],
        ids=str,
    )
    def test_a_token_that_is_not_for_us_now_is_worth_nothing(self, ada, idp, lie):
        idp.lies = lie
        assert_refused(*sign_on())

    def test_a_signature_of_another_key(self, ada, idp):
        idp.other = rsa.generate_private_key(65537, 2048)
        assert_refused(*sign_on())

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "RS384"])
    def test_an_algorithm_that_is_not_ours(self, ada, idp, algorithm):
        idp.algorithm = algorithm
        assert_refused(*sign_on())

    def test_a_description_of_another_issuer(self, ada, idp):
        idp.described = {"issuer": "https://evil.example"}
        client = Client()
        assert_refused(client, client.get(START))

    def test_a_description_that_leads_out_of_https(self, ada, idp):
        idp.described = {"token_endpoint": "file:///etc/passwd"}
        client = Client()
        assert_refused(client, client.get(START))

    def test_an_answer_of_another_issuer_is_mixed_up(self, ada, idp):
        client = Client()
        address = leave(client).replace(idp.issuer.replace(":", "%3A").replace("/", "%2F"), "https%3A%2F%2Fevil")
        assert "evil" in address
        assert_refused(client, come_back(client, address))

    def test_one_that_does_not_answer(self, ada, idp):
        idp.down = True
        client = Client()
        assert_refused(client, client.get(START))


class TestTheWayBack:
    def test_a_state_is_answered_once(self, ada, idp):
        client = Client()
        address = leave(client)
        come_back(client, address)
        client.post("/accounts/logout/")
        client.session.flush()
        assert come_back(client, address)["Location"] == "/accounts/login/"
        assert not is_in(client)

    def test_a_state_is_answered_once_even_when_that_failed(self, ada, idp):
        client = Client()
        address = leave(client)
        code = parse_qs(urlsplit(address).query)["code"][0]
        come_back(client, address.replace(code, "wrong"))
        assert_refused(client, come_back(client, address))

    def test_what_another_browser_began_ends_not_here(self, ada, idp):
        client = Client()
        assert_refused(client, come_back(client, leave(Client())))

    def test_no_state_and_one_of_nobody(self, ada, idp):
        client = Client()
        assert_refused(client, client.get(f"{BACK}?code=x"))
        assert client.get(f"{BACK}?code=x&state=made-up")["Location"] == "/accounts/login/"

    def test_one_that_took_too_long(self, ada, idp, monkeypatch):
        client = Client()
        address = leave(client)
        monkeypatch.setattr("apps.access.views.single_sign_on.AGE_S", -1)
        assert_refused(client, come_back(client, address))

    def test_who_cancels_is_told_so_and_nothing_failed(self, ada, idp):
        client = Client()
        state = parse_qs(urlsplit(leave(client)).query)["state"][0]
        client.get(f"{BACK}?error=access_denied&state={state}")
        assert "House ID signed nobody in" in client.get("/accounts/login/").content.decode()
        assert not Entry.objects.filter(name="user.sign_in_failed").exists()

    def test_another_site_begins_nothing(self, ada, idp):
        answer = Client().get(START, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer["Location"] == "/accounts/login/"
        assert not idp.asked

    def test_another_tab_that_was_faster_stays_who_it_is(self, ada, idp):
        client, ben = Client(), make_user(username="ben", password=PASSWORD)
        address = leave(client, "?next=/settings/")
        client.post("/accounts/login/", {"login": "ben", "password": PASSWORD})
        assert come_back(client, address)["Location"] == "/settings/"
        assert client.session["_auth_user_id"] == str(ben.pk)

    def test_neither_way_is_for_the_asking_without_end(self, idp, settings):
        settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "single_sign_on": "1/m/ip"}
        client = Client()
        assert [client.get(START).status_code, client.get(START).status_code] == [302, 429]
        assert client.get(f"{BACK}?state=x").status_code == 429

    def test_there_is_no_other_provider(self, idp):
        assert Client().get("/accounts/sso/other/").status_code == 404
        assert Client().get("/accounts/sso/other/callback/?state=x&code=y").status_code == 404


class TestSecondFactors:
    def recently(self, client: Client, user: User) -> bool:
        request = RequestFactory().get("/")
        request.session, request.user = client.session, user
        return signed_in_recently(request)

    def test_the_plane_asks_for_its_own_unless_the_provider_says_that_it_asked(self, ada, idp):
        TOTP.activate(ada, generate_totp_secret())
        client, answer = sign_on()
        assert answer["Location"].startswith("/accounts/2fa/authenticate/")
        assert not is_in(client)
        idp.lies = {"amr": ["pwd"]}
        assert not is_in(sign_on()[0])
        idp.lies = {"amr": ["pwd", "mfa"]}
        assert is_in(sign_on()[0])

    def test_a_sign_on_is_no_fresh_one_unless_the_provider_says_so(self, ada, idp):
        assert not self.recently(sign_on()[0], ada)
        idp.lies = {"amr": ["mfa"]}
        assert not self.recently(sign_on()[0], ada)
        idp.lies = {"amr": ["mfa"], "auth_time": -3600}
        assert not self.recently(sign_on()[0], ada)
        idp.lies = {"amr": ["pwd"], "auth_time": 0}
        assert not self.recently(sign_on()[0], ada)
        idp.lies = {"amr": ["mfa"], "auth_time": 0}
        assert self.recently(sign_on()[0], ada)

    def test_one_confirms_by_it(self, ada, idp):
        User.objects.filter(pk=ada.pk).update(password="!")
        client, _answer = sign_on()
        away = client.get("/accounts/reauthenticate/?next=/settings/")
        assert away["Location"] == f"{START}?next=%2Fsettings%2F"
        idp.lies = {"acr": "mfa", "auth_time": 0}
        assert sign_on(client, "?next=/settings/")[1]["Location"] == "/settings/"
        assert (idp.asked[-1]["prompt"], idp.asked[-1]["max_age"]) == ("login", "0")
        assert self.recently(client, User.objects.get(pk=ada.pk))
        entry = Entry.objects.get(name="user.stepped_up")
        assert (entry.actor, entry.payload["method"]) == (ada, "oidc")

    @pytest.mark.parametrize("lie", [{}, {"amr": ["mfa"]}, {"auth_time": -3600, "amr": ["mfa"]}, {"sub": "0002"}])
    def test_one_confirms_nothing_by_less_nor_as_somebody_else(self, ada, idp, lie):
        client, _answer = sign_on()
        idp.lies = {"auth_time": 0, "amr": ["mfa"], **lie} if "sub" in lie else lie
        assert sign_on(client, "?next=/inbox/")[1]["Location"] == "/settings/"
        assert not self.recently(client, ada)
        assert not Entry.objects.filter(name="user.stepped_up").exists()
        assert is_in(client)

    def test_who_has_nothing_else_adds_no_second_factor_without_confirming(self, ada, idp):
        User.objects.filter(pk=ada.pk).update(password="!")
        client, _answer = sign_on()
        for page in ("webauthn/add", "totp/activate"):
            answer = client.get(f"/accounts/2fa/{page}/")
            assert answer.status_code == 302, page
            assert "/reauthenticate/" in answer["Location"]
        assert not Authenticator.objects.exists()


class TestKeepingThem:
    def test_who_somebody_is_there_is_forgotten_by_a_command(self, ada, idp):
        sign_on()
        call_command("unlink_identities", "ada")
        assert not Identity.objects.exists()
        assert Entry.objects.filter(name="user.identity_unlinked").exists()
        with pytest.raises(CommandError):
            call_command("unlink_identities", "ada")
        with pytest.raises(CommandError):
            call_command("unlink_identities", "nobody")

    def test_the_settings_are_read_strictly(self, tmp_path):
        said = {"ACP_OIDC": "house", "ACP_OIDC_HOUSE_ISSUER": "https://id.example.com", "ACP_OIDC_HOUSE_CLIENT_ID": "a"}
        with pytest.raises(ImproperlyConfigured):
            identity_providers(said, ("https://",))
        (tmp_path / "secret").write_text("s3cret\n")
        said |= {
            "ACP_OIDC_HOUSE_CLIENT_SECRET_FILE": str(tmp_path / "secret"),
            "ACP_OIDC_HOUSE_DOMAINS": "A.com, b.com",
        }
        found = identity_providers(said, ("https://",))["house"]
        assert (found["name"], found["secret"], found["domains"]) == ("House", "s3cret", ("a.com", "b.com"))
        with pytest.raises(ImproperlyConfigured):
            identity_providers({**said, "ACP_OIDC_HOUSE_ISSUER": "http://id.example.com"}, ("https://",))
        with pytest.raises(ImproperlyConfigured):
            identity_providers({**said, "ACP_OIDC": "House ID"}, ("https://",))
        assert identity_providers({}, ("https://",)) == {}
