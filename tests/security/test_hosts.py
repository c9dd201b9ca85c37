"""A host that whoever asks has made up leads nobody astray: no link in a mail, no redirect, no address of ours."""

import re
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest
from django.core.mail.backends.base import BaseEmailBackend

from apps.access.posting import beside
from tests.factories.access import make_user
from tests.factories.agents import make_agent, make_key_for
from tests.security.test_headers import HTTPS, person, plane

__all__ = ["person", "plane"]
EVIL = "evil.example"
PASSWORD = "a long one that nobody guesses"


def test_production_answers_to_its_own_names_alone(plane):
    """400, and nothing of the name comes back: no link, no redirect."""
    bearer = {"Authorization": f"Bearer {make_key_for(make_agent())}"}
    doors = [
        ("GET", "/accounts/login/", {}), ("GET", "/inbox/", {}), ("GET", "/accounts/sso/house/", {}),
        ("GET", "/accounts/saml/house/metadata/", {}), ("GET", "/api/v1/me/", bearer),
        ("GET", "/api/v1/actions/?limit=1", bearer), ("POST", "/api/v1/tasks/claim/", bearer),
        ("POST", "/accounts/password/reset/", {}), ("GET", "/.well-known/oauth-authorization-server", {}),
        ("GET", "/new-agent/", {}), ("GET", "/nowhere", {}),
    ]  # fmt: skip
    for made_up in ({"Host": EVIL}, {"Host": f"127.0.0.1.{EVIL}"}, {"Host": f"{EVIL}:80"}, {"Host": "a b"}):
        for method, path, headers in doors:
            answer = httpx.request(method, f"{plane}{path}", headers={**HTTPS, **headers, **made_up}, timeout=60)
            assert answer.status_code == 400, (method, path, made_up)
            assert EVIL not in answer.text + str(answer.headers), (method, path, made_up)
    forwarded = httpx.get(f"{plane}/inbox/", headers={**HTTPS, "X-Forwarded-Host": EVIL, "Forwarded": f"host={EVIL}"})
    assert (forwarded.status_code, EVIL in forwarded.headers["Location"]) == (302, False)


@pytest.mark.django_db
class TestWhereEveryNameIsTaken:
    """As in development, or where an operator let every host in."""

    @pytest.fixture(autouse=True)
    def every_host(self, settings):
        settings.ALLOWED_HOSTS = ["*"]
        settings.ACP_URL = "https://plane.example"
        settings.MAIL = {**settings.MAIL, "host": "mail.example"}

    def test_the_link_that_sets_a_password_leads_home(self, client, mailoutbox):
        ada = make_user(username="ada", email="ada@example.com", password=PASSWORD)
        answer = client.post("/accounts/password/reset/", {"email": ada.email}, headers={"Host": EVIL})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/reset/done/")
        [mail] = soon(mailoutbox)
        assert EVIL not in mail.subject + mail.body
        link = re.search(r"https?://\S+/password/reset/key/\S+", mail.body)[0]
        assert link.startswith("https://plane.example/accounts/")
        page = client.get(urlsplit(link).path, follow=True)
        assert page.status_code == 200
        assert b'type="password"' in page.content

    def test_strangers_and_planes_without_mail_send_none(self, client, settings, mailoutbox):
        make_user(username="ada", email="ada@example.com", password=PASSWORD)
        assert client.post("/accounts/password/reset/", {"email": "nobody@example.com"}).status_code == 302
        assert "/accounts/password/reset/" in client.get("/accounts/login/").content.decode()
        assert 'name="email"' in client.get("/accounts/password/reset/").content.decode()
        settings.MAIL = {**settings.MAIL, "host": ""}
        page = client.get("/accounts/password/reset/").content.decode()
        assert ("no link can come" in page, 'name="email"' in page) == (True, False)
        assert "Ask an administrator" in client.get("/accounts/login/").content.decode()
        assert client.post("/accounts/password/reset/", {"email": "ada@example.com"}).status_code == 302
        assert soon(mailoutbox) == []

    @pytest.mark.parametrize("server", ["Silent", "Gone"])
    def test_the_answer_tells_nobody_who_has_an_account(self, client, settings, caplog, server):
        """Not by what becomes of the mail, nor by the time that it takes."""
        make_user(username="ada", email="ada@example.com", password=PASSWORD)
        settings.EMAIL_BACKEND = f"{__name__}.{server}"
        told = [
            client.post("/accounts/password/reset/", {"email": f"{name}@example.com"}) for name in ("ada", "nobody")
        ]
        assert {(one.status_code, one["Location"], one.content) for one in told} == {
            (302, "/accounts/password/reset/done/", b"")
        }
        ANSWERED.set()
        assert TRIED.wait(HANGS_S)
        soon([])
        assert ("ConnectionRefusedError" in caplog.text) is (server == "Gone")


HANGS_S = 30
ANSWERED, TRIED = Event(), Event()


class Silent(BaseEmailBackend):
    """A mail server that says nothing until the request is answered."""

    def send_messages(self, messages):
        assert ANSWERED.wait(HANGS_S)
        TRIED.set()
        return len(messages)


class Gone(BaseEmailBackend):
    """One that does not answer."""

    def send_messages(self, messages):
        TRIED.set()
        raise ConnectionRefusedError


@pytest.fixture(autouse=True)
def nothing_tried():
    ANSWERED.clear()
    TRIED.clear()


def soon(box):
    """With all that was to be sent until now."""
    beside.submit(int).result(HANGS_S)
    return box
