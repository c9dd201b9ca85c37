"""The ledger's pages: what was only tried is marked, and lines say what happened to what."""

import re

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.agents.selectors import tried_trails_for
from apps.audit.models import Entry
from tests.factories.access import make_admin, make_holder, make_unit
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
