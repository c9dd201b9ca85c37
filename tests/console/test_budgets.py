"""Budgets by page, API and document, and whoever is warned of them."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils.dateparse import parse_datetime

from apps.audit.tasks import deliver_reactions
from apps.configuration.selectors import export_for
from apps.configuration.services import apply_texts
from apps.core.services import system_user
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from apps.policies.models import Budget, BudgetChange
from apps.policies.selectors.budgets import used_of
from tests.factories.access import make_admin, make_holder, make_user
from tests.factories.budgets import make_budget
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db
TYPED = {
    "slug": "daily",
    "name": "Daily",
    "scope": "agent",
    "measure": "money",
    "amount": "500.00",
    "currency": "EUR",
    "period": "day",
    "exhausted": "deny",
}


@pytest.fixture
def desk():
    return make_desk()


def test_a_budget_is_made_changed_and_ended_on_pages(client, desk):
    admin = make_admin()
    client.force_login(admin)
    typed = {**TYPED, "target": desk.agent.slug, "owner": admin.username}
    assert "No budget yet" in client.get("/budgets/").content.decode()
    page = client.get("/new-budget/").content.decode()
    assert f'<option value="{desk.agent.slug}">Agent: {desk.agent.name}</option>' in page
    made = client.post("/new-budget/", typed)
    assert (made.status_code, made["Location"]) == (302, "/budgets/daily/")
    assert Budget.objects.get().cap == 50_000
    desk.ask(30_000)
    page = client.get("/budgets/daily/").content.decode()
    assert "300.00 EUR" in page
    assert "200.00 EUR" in page
    changed = {"name": "Each day", "amount": "250", "exhausted": "deny"}
    client.post("/budgets/daily/", {**changed, "owner": admin.username})
    budget = Budget.objects.get()
    assert (budget.cap, budget.name) == (25_000, "Each day")
    assert "Each day" in client.get("/budgets/").content.decode()
    client.post("/budgets/daily/end/", {"reason": "Not needed."})
    client.force_login(make_admin())
    client.post(f"/budgets/daily/changes/{budget.changes.get().pk}/release/")
    assert "No budget yet" in client.get("/budgets/").content.decode()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"target": "nobody"}, "There is none with this short name."),
        ({"amount": "1.005"}, "more digits"),
        ({"currency": ""}, "Name the currency"),
        ({"exhausted": "escalate"}, "Name the queue"),
        ({"slug": "taken"}, "There is one with this short name already."),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field_and_saves_nothing(client, desk, wrong, words):
    admin = make_admin()
    make_budget(desk.agent, cap=1, slug="taken")
    client.force_login(admin)
    typed = {**TYPED, "target": desk.agent.slug, "owner": admin.username, **wrong}
    answer = client.post("/new-budget/", typed)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Budget.objects.count() == 1


def test_who_may_not_publish_reads_and_changes_nothing(client, desk):
    budget = make_budget(desk.agent, cap=10)
    client.force_login(make_holder("policies.view_policy", unit=desk.agent.unit))
    assert client.get(f"/budgets/{budget.slug}/").status_code == 200
    assert client.get("/new-budget/").status_code == 403
    assert client.post(f"/budgets/{budget.slug}/end/", {"reason": "Not needed."}).status_code == 403
    assert not BudgetChange.objects.exists()
    client.force_login(make_user())
    assert client.get("/budgets/").status_code == 403
    assert client.get(f"/budgets/{budget.slug}/").status_code == 404


def test_a_budget_over_the_api(client, desk):
    admin = make_admin()
    client.force_login(admin)
    body = {
        "scope": "connector", "target": desk.operation.connector.slug, "owner": admin.username,
        "measure": "calls", "cap": 3, "period": "month",
    }  # fmt: skip

    def put(**changes):
        return client.put("/api/v1/budgets/calls/", json.dumps({**body, **changes}), content_type="application/json")

    assert put().status_code == 201
    assert put(cap=2).status_code == 200
    desk.ask()
    found = client.get("/api/v1/budgets/").json()["results"][0]
    assert (found["slug"], found["cap"], found["reserved"], found["left"]) == ("calls", 2, 1, 1)
    for changes, field in (({"period": "day"}, "period"), ({"target": "x"}, "target"), ({"cap": -1}, "cap")):
        answer = put(**changes)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    ended = client.delete("/api/v1/budgets/calls/?reason=Over")
    assert ended.status_code == 202
    client.force_login(make_admin())
    client.post(f"/api/v1/budgets/calls/changes/{ended.json()['id']}/release/")
    assert client.get("/api/v1/budgets/calls/").status_code == 404
    assert desk.get("budgets/").json().get("results", []) == []


def test_its_owner_is_told_where_to_look(desk):
    budget = make_budget(desk.agent, cap=100_000)
    desk.ask(90_000)
    deliver_reactions()
    spread_notices()
    told = Delivery.objects.get(channel="in_app", recipient=desk.agent.owner)
    assert (told.notice.title, told.notice.url) == (budget.name, f"/budgets/{budget.slug}/")


def test_documents_make_change_and_end_it_and_an_export_changes_nothing(desk):
    console = system_user("console")
    text = f"""kind: Budget
slug: daily
scope: {{agent: {desk.agent.slug}}}
cap_minor: 0
currency: EUR
period: day
exhausted: escalate
queue: {desk.queue.slug}
"""
    (made,) = apply_texts(console, texts={"b.yaml": text})
    assert made.outcome == "created"
    assert Budget.objects.get().owner == desk.agent.owner
    exported = export_for(console, kinds=["Budget"])
    (again,) = apply_texts(console, texts={"out.yaml": exported})
    assert again.outcome == "unchanged"
    assert export_for(console, kinds=["Budget"]) == exported
    absent = {"b.yaml": "kind: Budget\nslug: daily\nstate: absent\n"}
    (gone,) = apply_texts(console, texts=absent, approved_by=make_admin())
    assert gone.outcome == "removed"
    assert export_for(console, kinds=["Budget"]) == ""


def test_one_made_in_the_middle_of_its_day_says_since_when_it_counts(client, desk):
    budget = make_budget(desk.agent, cap=100)
    client.force_login(make_admin())

    def said():
        since = client.get(f"/api/v1/budgets/{budget.slug}/").json()["counted_since"]
        return since, "Counted since" in client.get(f"/budgets/{budget.slug}/").content.decode()

    since, is_told = said()
    assert is_told
    assert parse_datetime(since) == budget.created_at
    Budget.objects.update(created_at=budget.created_at - timedelta(days=2))
    assert said() == (None, False)


@pytest.mark.parametrize(("zone", "hour", "counts_from"), [("Asia/Tokyo", 14, False), ("Asia/Tokyo", 16, True)])
def test_since_when_it_counts_is_asked_in_the_units_zone(desk, zone, hour, counts_from):
    unit = desk.agent.unit
    unit.timezone = zone
    unit.save()
    budget = make_budget(desk.agent, cap=100, period="month")
    begun = used_of([budget])[budget.pk].starts
    made = datetime.combine(begun - timedelta(days=1), time(hour), UTC)  # the month begins at 15:00 UTC
    Budget.objects.update(created_at=made)
    assert used_of([budget])[budget.pk].since == (made if counts_from else None)
