"""Budgets with real threads, connections and commits: nobody overspends together what each alone may spend."""

import pytest

from apps.agents.models import Action
from apps.core.errors import InvalidError
from apps.oversight.models import Escalation
from apps.policies.models import BudgetPeriod, Reservation
from apps.policies.services.reserving import settle_reservations
from tests.factories.access import make_approver
from tests.factories.budgets import make_budget
from tests.factories.oversight import say
from tests.together import at_once
from tests.workflows.actions import make_desk, rules_of
from tests.workflows.budgeted import MEASURES, make_budgeted

pytestmark = pytest.mark.usefixtures("real_db")


def test_fifty_requests_at_once_never_spend_more_than_the_cap():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    answers = at_once(*(lambda: desk.ask(7_000).json()["state"] for _ in range(50)))
    assert sorted(answers) == ["approved"] * 14 + ["denied"] * 36
    period = BudgetPeriod.objects.get()
    assert (period.spent, period.reserved) == (0, 98_000)
    assert sum(Reservation.objects.values_list("amount", flat=True)) == 98_000
    assert Action.objects.count() == 50


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("scope", ["unit", "workflow", "connector"])
def test_fifty_requests_of_two_agents_at_once_never_take_more_than_both_may(scope, measure):
    house = make_budgeted()
    share = 7_000 if measure == "money" else 1
    budget = house.budget(scope, cap=14 * share + share // 2, **MEASURES[measure])
    asking = (house.first, house.second) * 25
    answers = at_once(*(lambda desk=desk: house.ask(7_000, desk)["state"] for desk in asking))
    assert sorted(answers) == ["approved"] * 14 + ["denied"] * 36
    period = BudgetPeriod.objects.get(budget=budget)
    assert (period.spent, period.reserved) == (0, 14 * share)
    assert sum(Reservation.objects.values_list("amount", flat=True)) == 14 * share


def test_edits_that_add_an_amount_and_requests_at_once_take_no_more_than_the_cap():
    any_amount = {"type": "object", "properties": {name: {} for name in ("amount_minor", "currency", "iban")}}
    desk = make_desk(parameters=any_amount)
    rules_of(desk, {"effect": "require_approval", "queue": desk.queue.slug})
    money = make_budget(desk.agent, cap=100_000)
    make_budget(desk.agent, cap=100, measure="calls", currency="")
    for _ in range(6):
        desk.ask(0)
    items = [(item, make_approver(desk.queue)) for item in Escalation.objects.select_related("action")]

    def edit(item, person):
        wanted = {**item.action.parameters, "amount_minor": 30_000}
        return say(person, item, parameters=wanted).state

    edits = [lambda item=item, person=person: edit(item, person) for item, person in items]
    asks = [lambda: desk.ask(30_000).json()["state"] for _ in range(6)]
    answers = at_once(*edits, *asks)
    assert sum(answer in {"approved", "pending_approval"} for answer in answers) == 3
    assert all(isinstance(answer, InvalidError) for answer in answers if not isinstance(answer, str))
    assert BudgetPeriod.objects.get(budget=money).reserved == 90_000


def test_settling_and_asking_at_once_lose_nothing():
    desk = make_desk()
    make_budget(desk.agent, cap=100_000)
    make_budget(desk.agent, cap=30, measure="calls", currency="", period="month")
    for _ in range(10):
        desk.ask(10_000)
    Action.objects.filter(state="approved").update(state="failed")
    jobs = [lambda: desk.ask(10_000).json()["state"], settle_reservations]
    answers = at_once(*(job for _ in range(12) for job in jobs))
    assert [each for each in answers if isinstance(each, str)].count("approved") == 10
    settle_reservations()
    assert sorted(BudgetPeriod.objects.values_list("spent", "reserved")) == [(0, 10), (0, 100_000)]
