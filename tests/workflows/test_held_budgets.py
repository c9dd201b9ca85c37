"""What only waits for people holds a budget: how much of it, and by whom, stands where people look."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Action
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp
from apps.halts.models import Halt, Pace, Trip
from apps.halts.services import lift_halt
from apps.notifications.models import Delivery
from apps.notifications.services import spread_notices
from apps.notifications.services.letters import letter_of
from apps.oversight.models import Escalation
from apps.oversight.services import perform_due_items, start_bulk
from apps.policies.services.reserving import settle_reservations
from apps.workflows.services.breakers import check_breakers
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
    assert told["waiting"] == [{"by": "agent", "agent": desk.agent.slug, "amount": 960_000, "actions": 4}]
    assert "Held by what waits" in page
    assert f'by 4 actions of <a href="/agents/{desk.agent.slug}/">' in page
    say(desk.approver, Escalation.objects.first(), "reject", reason="Not this.")
    settle_reservations()
    told, _page = looked(make_admin(), budget.slug)
    assert told["waiting"] == [{"by": "agent", "agent": desk.agent.slug, "amount": 720_000, "actions": 3}]
    assert desk.ask(50_000).json()["state"] == "approved"


def test_agents_that_whoever_looks_may_not_see_are_not_named():
    desk = make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    desk.ask(240_000)
    told, page = looked(make_holder("policies.view_policy", unit=desk.agent.unit), budget.slug)
    assert told["waiting"] == [{"by": "other_agents", "agent": None, "amount": 240_000, "actions": 1}]
    assert desk.agent.slug not in page.split("Held by what waits")[1].split("</dd>")[0]
    assert "by agents of other units" in page


def test_what_workflows_do_themselves_is_said_apart_from_agents_that_are_not_seen():
    desk = make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    its_own = desk.ask(240_000).json()["id"]
    desk.ask(200_000)
    Action.objects.filter(pk=its_own).update(agent=None, workflow="pay-invoices")
    told, page = looked(make_holder("policies.view_policy", unit=desk.agent.unit), budget.slug)
    assert told["waiting"] == [
        {"by": "workflows", "agent": None, "amount": 240_000, "actions": 1},
        {"by": "other_agents", "agent": None, "amount": 200_000, "actions": 1},
    ]
    assert "by one action of workflows" in page
    assert page.count("by agents of other units") == 1
    told, page = looked(make_admin(), budget.slug)
    assert [(one["by"], one["agent"]) for one in told["waiting"]] == [
        ("workflows", None),
        ("agent", desk.agent.slug),
    ]
    assert "by agents of other units" not in page


def test_many_budgets_cost_no_more_queries_than_one_and_each_says_its_own():
    desk, client = make_desk(), Client()
    client.force_login(make_admin())
    unit = desk.agent.unit.slug
    first = make_budget(desk.agent, scope="unit", target=unit, cap=1_000_000)
    desk.ask(240_000)

    def listed():
        with CaptureQueriesContext(connection) as asked:
            rows = client.get("/api/v1/budgets/").json()["results"]
        return len(asked), {row["slug"]: [one["amount"] for one in row["waiting"]] for row in rows}

    listed()
    few, waiting = listed()
    assert waiting == {first.slug: [240_000]}
    more = [make_budget(desk.agent, scope="unit", target=unit, cap=1_000_000) for _ in range(8)]
    monthly = make_budget(desk.agent, scope="unit", target=unit, cap=1_000_000, period="month")
    desk.ask(200_000)
    many, waiting = listed()
    assert waiting == {first.slug: [440_000], **{budget.slug: [200_000] for budget in [*more, monthly]}}
    assert many == few


def warned_of(budget):
    """What its owner is told of it, in the app; once."""
    deliver_reactions()
    spread_notices()
    return Delivery.objects.get(channel="in_app", recipient=budget.owner, notice__budget=budget)


def test_the_warning_says_how_much_only_waits_for_people_on_the_page_and_in_the_mail():
    desk = make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    desk.ask(60_000)
    for _ in range(4):
        desk.ask(220_000)
    told = warned_of(budget)
    words = f"{budget}: 9,400.00 EUR of 10,000.00 EUR, of which 8,800.00 EUR only waits for people"
    assert (told.notice.headline, told.notice.title) == ("Nearly used up", words)
    letter = letter_of([told])
    assert words in letter.subject
    assert words in letter.text


def test_of_a_budget_of_calls_it_says_so_in_calls():
    desk = make_desk()
    budget = make_budget(desk.agent, measure="calls", cap=5, currency="")
    for amount in (100, 240_000, 240_000, 240_000):
        desk.ask(amount)
    assert warned_of(budget).notice.title == f"{budget}: 4 of 5, of which 3 only waits for people"


def test_where_nothing_waits_the_warning_names_the_budget_alone():
    desk = make_desk()
    budget = make_budget(desk.agent, cap=100_000)
    desk.ask(90_000)
    assert warned_of(budget).notice.title == str(budget)


def reject_all(desk):
    """One rejection of everything that waits of the agent, in bulk; what is held of budgets follows."""
    items = list(Escalation.objects.filter(agent=desk.agent, state="pending").values_list("pk", flat=True))
    start_bulk(desk.approver, verdict="reject", reason="A flood.", ids=items)
    while perform_due_items():
        pass
    settle_reservations()


def test_the_breaker_of_volume_stops_a_flood_whose_amounts_are_free_when_people_have_lifted_and_rejected_it():
    desk, other = make_desk(), make_desk()
    budget = make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=10_000_000)
    Pace.objects.create(agent=desk.agent.slug, p99=1, minutes=60, computed_at=ClockTimestamp())
    for _ in range(9):
        assert desk.ask(240_000).json()["state"] == "pending_approval"
    assert check_breakers() == 0, "nine in a minute are not ten times one"
    desk.ask(240_000)
    assert check_breakers() == 1
    halt = Halt.objects.get()
    assert (Trip.objects.get().breaker.slug, halt.target) == ("volume", desk.agent.slug)
    assert (desk.ask(240_000).status_code, other.ask(240_000).status_code) == (423, 202)
    reject_all(desk)
    told, _page = looked(make_admin(), budget.slug)
    assert told["waiting"] == [{"by": "agent", "agent": desk.agent.slug, "amount": 2_400_000, "actions": 10}], (
        "nobody decides in a halt"
    )
    lift_halt(make_admin(), halt_id=halt.pk, reason="Its items are rejected next.")
    reject_all(desk)
    told, _page = looked(make_admin(), budget.slug)
    assert (told["spent"], told["reserved"], told["waiting"]) == (0, 0, [])


def test_a_small_budget_is_full_before_the_breaker_of_volume_sees_a_flood():
    desk = make_desk()
    make_budget(desk.agent, scope="unit", target=desk.agent.unit.slug, cap=1_000_000)
    Pace.objects.create(agent=desk.agent.slug, p99=1, minutes=60, computed_at=ClockTimestamp())
    for _ in range(4):
        desk.ask(240_000)
    assert desk.ask(50_000).json()["verdict"]["reason"] == "budget_exhausted"
    assert check_breakers() == 0
