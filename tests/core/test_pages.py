"""What surrounds every page: the policy of its answers, the menu, the door, the one foreign file."""

import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from apps.core.rules import POLICY
from tests.factories.access import make_admin, make_holder, make_user

pytestmark = pytest.mark.django_db


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_every_answer_carries_a_policy_without_exceptions() -> None:
    for url in ("/accounts/login/", "/nowhere/", "/healthz"):
        answer = Client().get(url)
        assert answer["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY
    assert "nonce" not in POLICY
    assert "http" not in POLICY


@pytest.mark.parametrize("is_demo", [True, False])
def test_only_the_demo_offers_its_people_and_their_password(settings: Any, is_demo: bool) -> None:
    make_user(username="ada", name="Ada of the sample company")
    settings.ACP_DEMO = is_demo
    html = Client().get("/accounts/login/").content.decode()
    offered = ["Ada of the sample company" in html, "demo-demo" in html, 'name="login" value="ada"' in html]
    assert offered == [is_demo] * 3


@pytest.mark.parametrize("name", ["ada", "ada@meridian.example"])
def test_a_wrong_password_is_said_in_the_words_of_the_page(name: str) -> None:
    html = Client().post("/accounts/login/", {"login": name, "password": "wrong"}).content.decode()
    assert "That name and that password do not belong together." in html


def test_what_is_missing_to_sign_in_is_named_as_the_page_names_it() -> None:
    html = Client().post("/accounts/login/", {}).content.decode()
    assert '<a href="#id_login">Username or e-mail</a>: Say who you are.' in html
    assert '<a href="#id_password">Password</a>: Say your password.' in html


def test_pages_are_kept_by_no_cache() -> None:
    assert signed_in(make_holder("oversight.view_escalation")).get("/inbox/")["Cache-Control"] == "no-store"


def places(client: Client, url: str = "/help/") -> set[str]:
    rail = client.get(url).content.decode().split('id="rail"')[1].split("</nav>")[0]
    return set(re.findall(r'href="(/[a-z]+/)"', rail)) - {"/help/", "/settings/"}


def test_the_menu_has_no_entry_that_its_reader_may_not_open() -> None:
    assert places(signed_in(make_user())) == set()
    assert places(signed_in(make_holder("kpis.view_kpi"))) == {"/dashboards/"}
    assert {"/inbox/", "/access/", "/connectors/", "/policies/", "/halts/"} <= places(signed_in(make_admin()))


def test_the_page_that_is_open_is_marked_in_the_menu() -> None:
    html = signed_in(make_holder("oversight.view_escalation")).get("/inbox/").content.decode()
    assert re.search(r'<a href="/inbox/" aria-current="page"', html)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_theme_is_written_by_the_server_so_that_nothing_flashes(theme: str) -> None:
    client = Client()
    client.cookies["acp_theme"] = theme
    assert f'data-theme="{theme}"' in client.get("/accounts/login/").content.decode()
    client.cookies["acp_theme"] = '"><script>'
    assert "data-theme" not in client.get("/accounts/login/").content.decode().split("<head>")[0]


def test_what_a_browser_complains_of_is_logged_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    answer = Client().post("/csp-report/", b"x" * 50_000, content_type="application/csp-report")
    assert answer.status_code == 204
    assert Client().get("/csp-report/").status_code == 405


def test_a_complaint_that_is_sent_as_a_form_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    assert Client().post("/csp-report/", {"reason": "x"}).status_code == 204
    assert "csp_violation" in caplog.text


def test_the_chart_library_comes_from_its_installed_package_and_nothing_else_does() -> None:
    found = finders.find("plotly/plotly.min.js")
    assert str(found).endswith("package_data/plotly.min.js")
    assert not finders.find("plotly/other.js")
    assert not finders.find("vendor/nothing.js")
    listed = [path for finder in finders.get_finders() for path, _ in finder.list([]) if "plotly" in path]
    assert "plotly.min.js" in listed


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/agents/a/permissions/", "/agents/a/"),
        ("/halts/engage/", "/halts/"),
    ],
)
def test_an_address_that_only_takes_forms_leads_to_its_page_when_it_is_opened(path: str, above: str) -> None:
    answer = signed_in(make_admin()).get(path)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    page = answer.content.decode()
    assert "Opening it did nothing" in page
    assert f'href="{above}"' in page
