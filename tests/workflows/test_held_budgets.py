"""What only waits for people holds a budget: how much of it, and by whom, stands where people look."""

import pytest
from django.test import Client

from apps.oversight.models import Escalation
from apps.policies.services.reserving import settle_reservations
from tests.factories.access import make_admin, make_holder
from tests.factories.budgets import make_budget
from tests.factories.oversight import say
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db


def looked(person, slug):
    client = Client()
    client.force_login(person)
    return client.get(f"/api/v1/budgets/{slug}/").json(), client.get(f"/budgets/{slug}/").content.decode()


def test_a_budget_that_is_full_of_what_waits_says_by_whom_and_is_freed_by_a_rejection():
    desk = make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    for _ in range(4):
        assert desk.ask(240_000).json()["state"] == "pending_approval"
    assert desk.ask(50_000).json()["state"] == "denied", "nothing is spent, and nothing fits"
    told, page = looked(make_admin(), budget.slug)
    assert (told["spent"], told["reserved"]) == (0, 960_000)
    assert told["waiting"] == [{"agent": desk.agent.slug, "amount": 960_000, "actions": 4}]
    assert "Held by what waits" in page
    assert f'by 4 actions of <a href="/agents/{desk.agent.slug}/">' in page
    say(desk.approver, Escalation.objects.first(), "reject", reason="Not this.")
    settle_reservations()
    told, _page = looked(make_admin(), budget.slug)
    assert told["waiting"] == [{"agent": desk.agent.slug, "amount": 720_000, "actions": 3}]
    assert desk.ask(50_000).json()["state"] == "approved"


def test_agents_that_whoever_looks_may_not_see_are_not_named():
    desk = make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    desk.ask(240_000)
    told, page = looked(make_holder("policies.view_policy", unit=desk.agent.unit), budget.slug)
    assert told["waiting"] == [{"agent": None, "amount": 240_000, "actions": 1}]
    assert desk.agent.slug not in page.split("Held by what waits")[1].split("</dd>")[0]
