"""The list of people: found by name, e-mail, role and state, a page at a time, with the roles that each holds."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from lxml import html

from apps.access.services import revoke_role
from apps.console.views import access
from tests.console.offers import signed_in
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user

pytestmark = pytest.mark.django_db


def listed(client: Client, query: str = "") -> dict[str, str]:
    """Who is listed, by user name, and what their row says."""
    page = html.fromstring(client.get(f"/access/{query}").content)
    rows = page.xpath("//section[@aria-labelledby='people']//tbody/tr")
    return {row.xpath("string(th/span)"): " ".join(row.text_content().split()) for row in rows}


def test_a_row_says_which_roles_where_until_when_and_by_whom() -> None:
    admin, ada, unit = make_admin(), make_user(username="ada", name="Ada"), make_unit()
    role = make_role("workflows.view_run")
    grant(ada, role, unit)
    rows = listed(signed_in(admin))
    assert f"{role}, {unit.name}" in rows["ada"]
    assert "given by" in rows["ada"]
    revoke_role(admin, grant=ada.role_grants.get(), reason="Over.")
    assert str(role) not in listed(signed_in(admin))["ada"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=LOVE", {"ada"}),
        ("?q=ada@", {"ada"}),
        ("?q=be", {"ben"}),
        ("?q=%25", set()),
        ("?role=checker", {"ben"}),
        ("?role=nonsense", set()),
        ("?state=left", {"cleo"}),
        ("?state=nonsense&q=cleo", {"cleo"}),
        ("?q=ada&role=checker", set()),
    ],
)
def test_they_are_found_by_what_is_known_of_them(query: str, found: set[str]) -> None:
    make_user(username="ada", name="Ada Lovelace", email="ada@example.com")
    ben = make_user(username="ben", name="Ben")
    make_user(username="cleo", name="Cleo", is_active=False)
    grant(ben, make_role("workflows.view_run", slug="checker"), make_unit())
    admin = make_admin()
    assert set(listed(signed_in(admin), query)) == found
    if not found:
        assert "Nobody fits" in signed_in(admin).get(f"/access/{query}").content.decode()


def test_thousands_are_read_a_page_at_a_time_at_the_cost_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "SHOWN_PEOPLE", 3)
    admin, role = make_admin(), make_role("workflows.view_run")

    def cost(path: str) -> int:
        client = signed_in(admin)
        client.get(path)
        with CaptureQueriesContext(connection) as seen:
            client.get(path)
        return len(seen)

    grant(make_user(username="a0"), role, make_unit())
    before = cost("/access/?q=a")
    for number in range(1, 7):
        grant(make_user(username=f"a{number}"), role, make_unit())
    assert cost("/access/?q=a") <= before
    seen: list[str] = []
    url = "/access/?q=a"
    while url:
        page = html.fromstring(signed_in(admin).get(url).content)
        seen += page.xpath("//section[@aria-labelledby='people']//tbody/tr/th/span/text()")
        url = next(iter(page.xpath("//a[contains(@href, 'after=')]/@href")), "")
    assert [name for name in seen if name[:1] == "a" and name[1:].isdigit()] == [f"a{number}" for number in range(7)]
    assert len(seen) == len(set(seen))


def test_who_manages_one_unit_sees_its_people_and_their_roles_there_alone() -> None:
    here, there = make_unit(), make_unit()
    ada, ben = make_user(username="ada"), make_user(username="ben")
    role, other = make_role("workflows.view_run"), make_role("agents.view_agent")
    grant(ada, role, here)
    grant(ada, other, there)
    grant(ben, other, there)
    rows = listed(signed_in(make_holder("access.manage_access", unit=here)))
    assert "ben" not in rows
    assert str(role) in rows["ada"]
    assert str(other) not in rows["ada"]
    assert set(listed(signed_in(make_holder("access.manage_access", unit=here)), f"?role={other.slug}")) == set()
