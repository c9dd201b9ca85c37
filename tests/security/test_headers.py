"""Every answer tells the browser what it may do with it: pages, problems, files, downloads, streams, refusals."""

import json
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from django.conf import global_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connection

from apps.core.rules import HEADERS, POLICY
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.serving import serving

PASSWORD = "a long one that nobody guesses"
HASHED = f"pbkdf2_sha256${PBKDF2PasswordHasher.iterations}$"
HTTPS = {"X-Forwarded-Proto": "https"}
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    "ACP_ENVIRONMENT": "production",
    "ACP_DEMO": "",
    "SECRET_KEY": "s" * 60,
    "ACP_ENCRYPTION_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "ALLOWED_HOSTS": "127.0.0.1",
}


@pytest.fixture
def person(real_db: str, settings):
    """Somebody whose password costs what passwords cost in earnest."""
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    found = make_admin(username="ada", password=PASSWORD)
    assert found.password.startswith(HASHED)
    return found


@pytest.fixture
def plane(person, tmp_path: Path) -> Iterator[str]:
    """The web process as production runs it, behind a proxy that speaks https with the browser."""
    with serving(str(connection.settings_dict["NAME"]), tmp_path, **PRODUCTION) as address:
        yield address


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("Set-Cookie"):
        jar.load(line)
    return jar


def sign_in(address: str) -> tuple[dict[str, str], SimpleCookie]:
    """The headers of somebody who is signed in, and all cookies that were set on the way."""
    door = httpx.get(f"{address}/accounts/login/", headers=HTTPS)
    first = cookies_of(door)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', door.text)[1]
    sent = "; ".join(f"{name}={one.value}" for name, one in first.items())
    answer = httpx.post(
        f"{address}/accounts/login/",
        data={"login": "ada", "password": PASSWORD, "csrfmiddlewaretoken": token},
        headers={**HTTPS, "Cookie": sent, "Referer": f"{address}/".replace("http:", "https:")},
    )
    assert answer.status_code == 302, answer.text
    first.update(cookies_of(answer))
    return {**HTTPS, "Cookie": "; ".join(f"{name}={one.value}" for name, one in first.items())}, first


def asked(address: str, signed_in: dict[str, str], key: str) -> Iterator[tuple[str, httpx.Response]]:
    """One answer of each kind that the plane gives."""
    bearer = {**HTTPS, "Authorization": f"Bearer {key}"}
    for path, headers in [
        ("/healthz", HTTPS), ("/accounts/login/", HTTPS), ("/inbox/", HTTPS), ("/inbox/", signed_in),
        ("/nowhere/", signed_in), ("/inbox/?q=%00", signed_in), ("/sw.js", HTTPS), ("/static/nothing.js", HTTPS),
        ("/dashboards/overview/kpis.csv", signed_in), ("/admin/", signed_in), ("/api/v1/me/", HTTPS),
        ("/api/v1/me/", bearer), ("/api/v1/schema/", HTTPS), ("/api/v1/nowhere/", bearer), ("/api/docs/", HTTPS),
        ("/api/v1/actions/01890000-0000-7000-8000-000000000000/?wait=1", bearer),
        ("/live/", HTTPS), ("/live/versions?topics=inbox", HTTPS), ("/live/versions?topics=inbox", signed_in),
    ]:  # fmt: skip
        yield path, httpx.get(f"{address}{path}", headers=headers, timeout=60)  # the schema takes a while
    yield "no token", httpx.post(f"{address}/accounts/login/", headers=HTTPS, data={"login": "ada"})
    yield "too large", httpx.post(f"{address}/api/v1/actions/", headers=bearer, content=b" " * (3 * 2**20))
    yield "not JSON", httpx.post(f"{address}/api/v1/actions/", headers=bearer, content=b"{", timeout=20)
    with httpx.stream("GET", f"{address}/live/?topics=inbox", headers=signed_in) as answer:
        yield "stream", answer


def test_every_kind_of_answer_carries_every_header_and_names_no_server(plane):
    signed_in, _cookies = sign_in(plane)
    key = make_key_for(make_agent())
    statuses, lacking = set(), {}
    for what, answer in asked(plane, signed_in, key):
        statuses.add(answer.status_code)
        found = {name: answer.headers.get(name) for name in HEADERS}
        if what in {"/sw.js", "/live/versions?topics=inbox"} and answer.status_code == 200:  # the same for everyone,
            assert found.pop("Cache-Control") in {"max-age=60, public", "no-cache"}  # and what names itself by a tag
        elif "no-store" in (found["Cache-Control"] or ""):
            found.pop("Cache-Control")
        wrong = {name: said for name, said in found.items() if said != HEADERS[name]}
        if answer.headers.get("Strict-Transport-Security") != "max-age=31536000; includeSubDomains":
            wrong["Strict-Transport-Security"] = answer.headers.get("Strict-Transport-Security")
        if answer.headers.get_list("Content-Security-Policy") != [POLICY] or "Server" in answer.headers:
            wrong["once"] = answer.headers.get("Server")
        if wrong:
            lacking[what, answer.status_code] = wrong
    assert lacking == {}
    assert {200, 204, 302, 401, 403, 404, 413} <= statuses, statuses


def test_cookies_are_bound_to_this_host_to_https_and_away_from_scripts(plane):
    _signed_in, cookies = sign_in(plane)
    assert set(cookies) == {"__Host-sessionid", "__Host-csrftoken", "__Host-acp_known"}
    for one in cookies.values():
        assert (one["path"], one["domain"]) == ("/", "")
        assert (bool(one["secure"]), bool(one["httponly"]), one["samesite"]) == (True, True, "Lax")
    assert int(cookies["__Host-sessionid"]["max-age"] or 0) <= 8 * 3600


def test_a_password_is_kept_at_the_full_cost_of_guessing_it(plane, person):
    sign_in(plane)  # which would hash it anew, were another way preferred
    person.refresh_from_db()
    assert person.password.startswith(HASHED)


def test_without_https_a_production_plane_promises_none(plane):
    answer = httpx.get(f"{plane}/healthz")
    assert "Strict-Transport-Security" not in answer.headers


def test_the_policy_lets_nothing_in_by_default():
    rules = dict(one.split(" ", 1) for one in POLICY.split("; "))
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert rules.pop(name) == "'none'"
    assert rules.pop("img-src") == "'self' data: blob:"
    assert rules.pop("report-uri") == "/csp-report/"
    assert set(rules.values()) == {"'self'"}


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_no_other_origin_may_read_an_answer(client, db, origin):
    key = make_key_for(make_agent())
    for method in ("get", "options"):
        answer = getattr(client, method)(
            "/api/v1/me/",
            headers={"Origin": origin, "Authorization": f"Bearer {key}", "Access-Control-Request-Method": "GET"},
        )
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_problems_are_never_taken_for_pages(client, db):
    answer = client.get("/api/v1/<script>alert(1)</script>/")
    assert answer["Content-Type"] == "application/problem+json"
    assert json.loads(answer.content)["status"] == answer.status_code
