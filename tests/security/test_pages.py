"""What other sites, guessers and spreadsheets try on people: nothing happens, and nobody is led away."""

import csv
import io
import re

import pytest
from django.test import Client

from apps.core.rules import as_cell
from apps.core.services import system_user
from tests.factories.access import make_admin, make_user
from tests.oversight.edge_cases.census import census, differences
from tests.test_house import every_address, example_of

pytestmark = pytest.mark.django_db
PASSWORD = "a long one that nobody guesses"
FOR_PROGRAMS = ("oauth/", "scim/", "v1/", "otlp/")
"""Doors that ask each request for a secret of its own: what a browser holds opens none of them."""
ROUTES = sorted({route for route in every_address() if "(?P" not in route})


def test_no_page_takes_a_form_that_another_site_posts():
    """Signed in, with every right, without the page's token."""
    person = make_admin()
    system_user("plane")  # made when first needed
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    before, taken, asked = census(), {}, 0
    for route in ROUTES:
        if route.startswith("csp-report"):
            continue
        answer = client.post(f"/{example_of(route)}", {"reason": "x"}, headers={"Origin": "https://evil.example"})
        asked += answer.status_code == 403
        unheard = {400, 401} if route.startswith(FOR_PROGRAMS) else set()
        if answer.status_code not in {403, 404, 405, *unheard}:
            taken[route] = answer.status_code
    assert taken == {}
    assert asked >= 50
    changed = [line for line in differences(before, census()) if not line.endswith(" cache")]
    assert len(changed) == 1
    assert re.fullmatch(r"\+\d entry request\.refused", changed[0])  # however many doors: one line a minute of pages


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)", "data:text/html,x", " https://evil.example", "/%0d%0aLocation:https://evil.example",
        "https://testserver@evil.example/", "http://testserver.evil.example/",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(where):
    make_user(username="ada", password=PASSWORD)
    answer = Client().post("/accounts/login/", {"login": "ada", "password": PASSWORD, "next": where})
    assert answer.status_code == 302
    assert re.match(r"/(?![/\\])", answer["Location"]), answer["Location"]
    assert "evil.example" not in answer["Location"].split("%0d%0a")[0]


@pytest.mark.parametrize("where", ["//evil.example", "https:evil.example", "\\\\evil.example", "javascript:alert(1)"])
def test_stopping_leads_nowhere_else(where):
    client = Client()
    client.force_login(make_admin())
    answer = client.post("/halts/engage/", {"scope": "everything", "reason": "It pays twice.", "next": where})
    assert answer.status_code == 302
    assert re.match(r"/(?![/\\])", answer["Location"]), answer["Location"]
    assert "evil.example" not in answer["Location"]


class TestGuessing:
    def guess(self, password: str, name: str = "ada", address: str = "192.0.2.7"):
        return Client(REMOTE_ADDR=address).post("/accounts/login/", {"login": name, "password": password})

    def test_a_password_is_guessed_five_times_and_then_not_even_the_right_one_opens(self):
        make_user(username="ada", password=PASSWORD)
        for number in range(5):
            assert "_auth_user_id" not in self.guess(f"wrong {number}").client.session
        answer = self.guess(PASSWORD)
        assert answer.status_code in {200, 429}
        assert "_auth_user_id" not in answer.client.session

    def test_who_guesses_locks_nobody_else_out(self):
        make_user(username="ada", password=PASSWORD)
        make_user(username="ben", password=PASSWORD)
        for number in range(6):
            self.guess(f"wrong {number}", name="ben")
        assert self.guess(PASSWORD, address="192.0.2.8").status_code == 302

    def test_one_address_tries_ten_names_a_minute(self):
        make_user(username="ada", password=PASSWORD)
        for number in range(10):
            self.guess("wrong", name=f"nobody{number}")
        assert "_auth_user_id" not in self.guess(PASSWORD).client.session

    def test_the_answer_does_not_tell_whether_there_is_such_a_person(self):
        make_user(username="ada", password=PASSWORD)
        said = []
        for name in ("ada", "eve"):
            html = self.guess("wrong", name=name).content.decode()
            said.append(re.sub(r'value="[^"]*"|\d\d:\d\d:\d\d[.\d]*', "", html).replace(name, "NAME"))
        assert said[0] == said[1]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("https://evil.example")']
)
def test_no_text_is_a_formula_in_a_spreadsheet(text):
    written = io.StringIO()
    csv.writer(written).writerow([as_cell(text), as_cell(-5.0), as_cell(None), as_cell("plain")])
    assert next(csv.reader(io.StringIO(written.getvalue(), newline=""))) == [f"'{text}", "-5.0", "", "plain"]
