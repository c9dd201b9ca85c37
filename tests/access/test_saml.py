"""Single sign-on by SAML: who comes in, by which way back, and what a lie is worth."""

from base64 import urlsafe_b64decode
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, RequestFactory

from apps.access.accounts import signed_in_recently
from apps.access.models import Identity, Session, SpentSamlAssertion
from apps.access.services import forget_assertions
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from controlplane.environment import saml_providers
from tests.factories.access import make_user
from tests.factories.saml_provider import ISSUER, STRONG, URL, SamlIdp, in_seconds, keys_of

pytestmark = pytest.mark.django_db
START = "/accounts/saml/house/"
ACS, DONE, METADATA = f"{START}acs/", f"{START}done/", f"{START}metadata/"
MAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"


@pytest.fixture
def idp(settings):
    found = SamlIdp()
    settings.SAML_PROVIDERS = {
        "house": {**found.about(), "email": "mail", "domains": ("example.com",), "strong": (STRONG,)}
    }
    return found


@pytest.fixture
def ada():
    return make_user(username="ada", email="Ada@example.com")


def leave(client, idp, query=""):
    """Begin; what the provider was asked."""
    away = client.get(START + query)
    assert away.status_code == 302
    return idp.asked(away["Location"])


def post(answer, address=ACS):
    """Another site's POST: the browser sends no cookie of ours with it, and keeps none that it is answered with."""
    browser = Client(enforce_csrf_checks=True)
    taken = browser.post(address, {"SAMLResponse": answer}, headers={"Origin": "https://idp.example"})
    assert not browser.cookies, "a session of its own would put whoever is signed in out"
    return taken


def come_back(client, answer):
    taken = post(answer)
    assert taken.status_code == 303
    return client.get(taken["Location"])


def sign_on(idp, client=None, query=""):
    client = client or Client()
    return client, come_back(client, idp.answer(leave(client, idp, query)))


def is_in(client):
    return "_auth_user_id" in client.session


def assert_refused(client, answer, said="proves nothing"):
    assert answer["Location"] == "/accounts/login/"
    assert not is_in(client)
    assert said in client.get("/accounts/login/").content.decode()
    assert not Entry.objects.filter(name="user.signed_in").exists()
    assert not Identity.objects.exists()
    assert Entry.objects.filter(name="user.sign_in_failed").latest("id").payload["method"] == "saml"


class TestComingIn:
    def test_the_door_names_the_provider(self, idp):
        page = Client().get("/accounts/login/?next=/inbox/").content.decode()
        assert "Sign in with House ID" in page
        assert f'href="{START}?next=/inbox/"' in page

    def test_an_address_of_its_domain_is_known_once_and_its_subject_ever_after(self, ada, idp):
        client, answer = sign_on(idp, query="?next=/settings/")
        assert (answer.status_code, answer["Location"]) == (302, "/settings/")
        assert is_in(client)
        known = Identity.objects.get()
        assert (known.user, known.issuer, known.subject) == (ada, ISSUER, "0001")
        names = list(Entry.objects.filter(name__startswith="user.").order_by("id").values_list("name", flat=True))
        assert names == ["user.identity_linked", "user.signed_in"]
        assert Entry.objects.get(name="user.signed_in").payload["methods"] == ["saml"]
        idp.mail = ["renamed@elsewhere.example"]
        assert is_in(sign_on(idp)[0])
        idp.name, idp.mail = "0002", ["ada@example.com"]
        assert not is_in(sign_on(idp)[0])
        assert Identity.objects.count() == 1

    @pytest.mark.parametrize("signs", [("Assertion",), ("Assertion", "Response")])
    def test_it_signs_the_assertion_or_both(self, ada, idp, signs):
        idp.signs = signs
        assert is_in(sign_on(idp)[0])

    def test_it_leads_nowhere_else(self, ada, idp):
        assert sign_on(idp, query="?next=https://evil.example/")[1]["Location"] == "/"

    def test_what_is_asked(self, ada, idp):
        asked = leave(Client(), idp)
        assert (asked.acs, asked.entity, asked.again) == (
            f"http://testserver{ACS}",
            f"http://testserver{METADATA}",
            False,
        )

    def test_its_administrators_are_told_who_the_plane_is(self, idp):
        told = Client().get(METADATA)
        assert told["Content-Type"] == "application/samlmetadata+xml"
        for part in (f'entityID="http://testserver{METADATA}"', f'Location="http://testserver{ACS}"', "HTTP-POST"):
            assert part in told.content.decode()
        assert 'WantAssertionsSigned="true"' in told.content.decode()
        assert "validUntil" not in told.content.decode()

    def test_nobody_is_made(self, idp):
        client, answer = sign_on(idp)
        assert_refused(client, answer, "nobody here is known by that")
        assert not User.objects.filter(kind="human").exists()

    @pytest.mark.parametrize(
        "mail",
        [[], [""], ["ada@other.example"], ["ada@example.com@other.example"], ["ada@example.com", "bob@example.com"]],
        ids=str,
    )
    def test_an_address_that_proves_nothing_takes_nobody_over(self, ada, idp, mail):
        idp.mail = mail
        assert_refused(*sign_on(idp), "nobody here is known by that")

    def test_without_domains_no_address_counts(self, ada, idp, settings):
        settings.SAML_PROVIDERS["house"]["domains"] = ()
        assert_refused(*sign_on(idp), "nobody here is known by that")

    @pytest.mark.parametrize(("kind", "is_known"), [(MAIL, True), (None, False)])
    def test_the_name_is_the_address_where_it_says_so(self, ada, idp, settings, kind, is_known):
        settings.SAML_PROVIDERS["house"]["email"] = ""
        idp.lies = {"name": "ada@example.com", "format": kind}
        assert is_in(sign_on(idp)[0]) == is_known

    def test_who_left_and_agents_come_in_by_nothing(self, ada, idp):
        sign_on(idp)
        for change in ({"is_active": False}, {"kind": "agent"}, {"kind": "system"}):
            User.objects.filter(pk=ada.pk).update(**{"is_active": True, "kind": "human", **change})
            assert not is_in(sign_on(idp)[0])


class TestTheWayBack:
    def test_what_another_browser_began_ends_not_here(self, ada, idp):
        attacker, victim = Client(), Client()
        answer = idp.answer(leave(attacker, idp))
        leave(victim, idp)
        assert_refused(victim, come_back(victim, answer))

    def test_a_browser_that_asked_nothing_is_answered_nothing(self, ada, idp):
        client = Client()
        assert_refused(client, come_back(client, idp.answer(leave(Client(), idp))))

    def test_an_answer_is_taken_once(self, ada, idp):
        client = Client()
        answer = idp.answer(leave(client, idp))
        first, second = post(answer), post(answer)
        assert_refused(client, client.get(second["Location"]))
        assert is_in(client) is False
        client.get(first["Location"])
        assert is_in(client)
        assert SpentSamlAssertion.objects.count() == 1

    def test_what_was_spent_is_forgotten_when_it_is_too_old_anyway(self, ada, idp):
        sign_on(idp)
        assert forget_assertions() == 0
        SpentSamlAssertion.objects.update(until=ClockTimestamp() - timedelta(seconds=1))
        assert forget_assertions() == 1

    def test_its_second_step_is_taken_once(self, ada, idp):
        client = Client()
        onwards = post(idp.answer(leave(client, idp)))["Location"]
        client.get(onwards)
        client.session.flush()
        assert not is_in(client)
        client.get(onwards)
        assert not is_in(client)

    @pytest.mark.parametrize("wrong", ["", "bm9uc2Vuc2U=", "%%%", "ä"])
    def test_a_second_step_that_we_did_not_seal(self, ada, idp, wrong):
        client = Client()
        leave(client, idp)
        assert_refused(client, client.get(DONE, {"answer": wrong}))

    def test_a_second_step_for_another_provider(self, ada, idp, settings):
        settings.SAML_PROVIDERS["other"] = {**settings.SAML_PROVIDERS["house"], "issuer": "https://other.example"}
        client = Client()
        onwards = post(idp.answer(leave(client, idp)))["Location"]
        client.get(onwards.replace("house", "other"))
        assert not is_in(client)

    def test_a_second_step_that_comes_late(self, ada, idp, monkeypatch):
        client = Client()
        onwards = post(idp.answer(leave(client, idp)))["Location"]
        monkeypatch.setattr("apps.access.views.saml.ANSWER_S", -1)
        assert_refused(client, client.get(onwards))

    def test_its_address_says_nothing_of_anybody(self, ada, idp):
        onwards = post(idp.answer(leave(Client(), idp)))
        onwards_to = urlsplit(onwards["Location"])
        assert onwards_to.path == DONE
        assert b"example.com" not in urlsafe_b64decode(parse_qs(onwards_to.query)["answer"][0])
        assert onwards["Cache-Control"] == "no-store"

    def test_a_post_of_another_site_signs_nobody_out(self, ada, idp):
        client, _answer = sign_on(idp)
        for text in ("junk", idp.answer(leave(Client(), idp))):
            come_back(client, text)
            assert is_in(client)

    def test_another_site_begins_nothing(self, idp):
        assert Client().get(START, headers={"Sec-Fetch-Site": "cross-site"})["Location"] == "/accounts/login/"

    def test_somebody_who_cancelled_is_told_and_it_is_no_failure(self, ada, idp):
        client = Client()
        idp.lies = {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}
        assert "signed nobody in" in come_back_page(client, idp.answer(leave(client, idp)))
        assert not Entry.objects.filter(name="user.sign_in_failed").exists()

    def test_one_that_is_not_configured_is_not_there(self, idp):
        for address in ("/accounts/saml/none/", "/accounts/saml/none/done/", "/accounts/saml/none/metadata/"):
            assert Client().get(address).status_code == 404
        assert Client().post("/accounts/saml/none/acs/").status_code == 404
        assert Client().get(ACS).status_code == 405


def come_back_page(client, answer):
    come_back(client, answer)
    assert not is_in(client)
    return client.get("/accounts/login/").content.decode()


class TestConfirming:
    @pytest.fixture
    def signed_in(self, ada, idp):
        client, _answer = sign_on(idp)
        return client

    def confirm(self, client, idp, **lies):
        asked = leave(client, idp, "?next=/settings/")
        assert asked.again, "the provider asks, though it knows"
        idp.lies = lies
        return come_back(client, idp.answer(asked))

    def fresh(self, client, ada):
        request = RequestFactory().get("/")
        request.session, request.user = client.session, ada
        return signed_in_recently(request)

    def test_a_password_there_confirms_nothing(self, signed_in, ada, idp):
        assert not self.fresh(signed_in, ada)
        self.confirm(signed_in, idp)
        assert not self.fresh(signed_in, ada)

    def test_more_than_a_password_just_now_does(self, signed_in, ada, idp):
        assert self.confirm(signed_in, idp, context=STRONG)["Location"] == "/settings/"
        assert self.fresh(signed_in, ada)
        assert Entry.objects.get(name="user.stepped_up").payload["method"] == "saml"
        assert signed_in.get("/accounts/reauthenticate/")["Location"] == START, "it is the only way that she has"

    def test_an_old_sign_in_there_does_not(self, signed_in, ada, idp):
        self.confirm(signed_in, idp, context=STRONG, at=in_seconds(-120))
        assert not self.fresh(signed_in, ada)

    def test_somebody_else_confirms_nothing(self, signed_in, ada, idp):
        self.confirm(signed_in, idp, context=STRONG, name="0002")
        assert not self.fresh(signed_in, ada)
        assert not Entry.objects.filter(name="user.stepped_up").exists()

    def test_a_second_factor_is_asked_for_unless_the_provider_did(self, ada, idp):
        TOTP.activate(ada, generate_totp_secret())
        assert Authenticator.objects.filter(user=ada).exists()
        client, answer = sign_on(idp)
        assert answer["Location"].startswith("/accounts/2fa/authenticate/")
        assert not is_in(client)
        idp.context = STRONG
        assert is_in(sign_on(idp)[0])


class TestLies:
    @pytest.mark.parametrize(
        "lie",
        [
            {"Destination": None},
            {"Destination": "http://testserver/accounts/saml/house/acs/more/"},
            {"Destination": "https://elsewhere.example/acs/"},
            {"Recipient": None},
            {"Recipient": "https://elsewhere.example/acs/"},
            {"Recipient": "http://testserver/accounts/saml/house/acs/?more"},
            {"audiences": []},
            {"audiences": ["https://elsewhere.example"]},
            {"audiences": ["http://testserver/accounts/saml/house/metadata/", "https://elsewhere.example"]},
            {"issuer": "https://evil.example"},
            {"response_issuer": "https://evil.example"},
            {"InResponseTo": None},
            {"answers": None},
            {"InResponseTo": None, "answers": None},
            {"InResponseTo": "ONELOGIN_of_another"},
            {"answers": "ONELOGIN_of_another"},
            {"InResponseTo": "ONELOGIN_of_another", "answers": "ONELOGIN_of_another"},
            {"from": in_seconds(3600)},
            {"to": in_seconds(-120)},
            {"to": None},
            {"confirmed_to": in_seconds(-120)},
            {"confirmed_to": None},
            {"confirmed_from": in_seconds(3600)},
            {"issued": in_seconds(-3600)},
            {"issued": in_seconds(3600)},
            {"issued": "2026-01-01T00:00:00"},
            {"to": "9999-12-31T23:59:59"},
            {"to": "tomorrow"},
            {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
            {"method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"},
            {"name": ""},
            {"name": " 0001"},
            {"name": "x" * 256},
            {"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"},
            {"condition": "<saml:Condition xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:type='saml:Odd'/>"},
            {"assertion_id": None},
            {"subject": "<saml:SubjectConfirmation Method='urn:oasis:names:tc:SAML:2.0:cm:bearer'/>"},
        ],
        ids=lambda lie: "-".join(lie),
    )
    def test_an_assertion_that_is_not_for_us_here_and_now_is_worth_nothing(self, ada, idp, lie):
        if lie == {"assertion_id": None}:
            idp.signs = ("Response",)
            idp.lies, client = lie, Client()
            assert_refused(client, come_back(client, idp.answer(leave(client, idp))))
            return
        idp.lies = lie
        assert_refused(*sign_on(idp))
        assert not Session.objects.filter(user__isnull=False).exists()


class TestSettings:
    SAID = {"ACP_SAML": "corp", "ACP_SAML_CORP_ISSUER": ISSUER, "ACP_SAML_CORP_URL": URL}

    def test_one_is_read_with_its_certificates(self, tmp_path):
        file = tmp_path / "both.pem"
        file.write_text(keys_of("idp")[1] + keys_of("next")[1])
        said = {
            **self.SAID,
            "ACP_SAML_CORP_CERTIFICATE_FILE": str(file),
            "ACP_SAML_CORP_DOMAINS": "Example.com, b.example",
        }
        found = saml_providers(said, ("https://",), {})["corp"]
        assert found["certificates"] == (keys_of("idp")[1], keys_of("next")[1])
        assert (found["name"], found["domains"], found["email"]) == ("Corp", ("example.com", "b.example"), "")

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"ACP_SAML": "C-1"}, "small letters"),
            ({"ACP_SAML_CORP_ISSUER": ""}, "ACP_SAML_CORP_ISSUER"),
            ({"ACP_SAML_CORP_CERTIFICATE_FILE": ""}, "CERTIFICATE_FILE"),
            ({"ACP_SAML_CORP_URL": "http://idp.example/sso"}, "begins with https"),
            ({"ACP_SAML_CORP_ISSUER": "https://okta.example"}, "another provider's"),
        ],
    )
    def test_what_is_missing_or_odd_is_named(self, tmp_path, other, said):
        file = tmp_path / "one.pem"
        file.write_text(keys_of("idp")[1])
        whole = {**self.SAID, "ACP_SAML_CORP_CERTIFICATE_FILE": str(file), **other}
        with pytest.raises(ImproperlyConfigured, match=said):
            saml_providers(whole, ("https://",), {"okta": {"issuer": "https://okta.example"}})

    def test_what_is_no_certificate_is_refused(self, tmp_path):
        file = tmp_path / "one.pem"
        file.write_text("no certificate")
        with pytest.raises(ImproperlyConfigured, match="no certificates"):
            saml_providers({**self.SAID, "ACP_SAML_CORP_CERTIFICATE_FILE": str(file)}, ("https://",), {})


def test_the_request_names_nobody(ada, idp):
    client, _answer = sign_on(idp)
    away = client.get(START)["Location"]
    assert set(parse_qs(urlsplit(away).query)) == {"tenant", "SAMLRequest"}
