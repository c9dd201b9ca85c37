"""The ledger's pages: what was only tried is marked, and lines say what happened to what."""

import re

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.agents.selectors import tried_trails_for
from apps.audit.models import Entry
from apps.halts.services import engage_halt
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db


def rows_of(page: str) -> list[str]:
    """The lines of the list."""
    return re.findall(r"<tr><td.*?</tr>", page, re.DOTALL)


def test_what_an_agent_only_tried_is_marked_in_the_list_and_on_its_entries(client: Client) -> None:
    desk, auditor = make_desk(), make_holder("audit.view_entry")
    live, tried = (Action.objects.get(pk=desk.ask(amount).json()["id"]) for amount in (30_000, 40_000))
    Action.objects.filter(pk=tried.pk).update(environment="test")
    client.force_login(auditor)
    for action, is_test in ((live, False), (tried, True)):
        page = client.get(f"/audit/?trail={action.trail}").content.decode()
        assert rows_of(page)
        assert all((">Test</span>" in row) is is_test for row in rows_of(page))
        entry = Entry.objects.filter(trail_id=action.trail).earliest("id")
        assert ('<span class="badge info">Test</span>' in client.get(f"/audit/{entry.pk}/").content.decode()) is is_test
    assert tried_trails_for(make_admin(), [live.trail, tried.trail]) == {tried.trail}
    assert tried_trails_for(make_holder("audit.view_entry", unit=desk.agent.unit), [tried.trail]) == {tried.trail}
    assert tried_trails_for(make_holder("audit.view_entry", unit=make_unit()), [tried.trail]) == set()
    assert tried_trails_for(make_holder("agents.view_agent"), [tried.trail]) == set()


def test_a_line_says_what_happened_to_what(client: Client) -> None:
    desk = make_desk()
    action = Action.objects.get(pk=desk.ask(30_000).json()["id"])
    client.force_login(make_holder("audit.view_entry"))
    entry = Entry.objects.filter(trail_id=action.trail, name="action.proposed").get()
    assert "Action proposed · " in client.get(f"/audit/{entry.pk}/").content.decode()


def test_who_it_was_is_found_by_the_name_that_the_list_shows(client: Client) -> None:
    admin, other = make_admin(name="Cleo Danso"), make_admin(name="Ben")
    for person in (admin, other):
        engage_halt(person, scope="agent", target=make_agent().slug, reason="Look.")
    client.force_login(make_holder("audit.view_entry"))
    for asked in ("cleo danso", admin.username):
        rows = rows_of(client.get("/audit/", {"actor": asked, "name": "halt.engaged"}).content.decode())
        assert len(rows) == 1
        assert "Cleo Danso" in rows[0]


def test_a_filter_that_does_not_fit_shows_no_entries_as_if_they_answered_it(client: Client) -> None:
    engage_halt(make_admin(), scope="agent", target=make_agent().slug, reason="Look.")
    client.force_login(make_holder("audit.view_entry"))
    answer = client.get("/audit/?trail=b20375a8")
    page = answer.content.decode()
    assert (answer.status_code, rows_of(page)) == (422, [])
    assert "The whole id is wanted" in page
    assert "No entry fits" in page
