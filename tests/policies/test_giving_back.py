"""What an agent carried out and says has failed is spent, until one person looked and another gives it back too."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.policies.models import Budget, BudgetChange, BudgetPeriod, Reservation
from apps.policies.rules.budgets import BudgetTerms
from apps.policies.services.budgets import return_spent, save_budget
from apps.policies.services.changes import decline_change, release_change
from apps.policies.services.reserving import settle_reservations
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.budgets import make_budget
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk, rules_of
from tests.workflows.test_budgets import used
from tests.workflows.test_said_failed import begun, failed

PUBLISH, LOWER, VIEW = "policies.publish_policy", "policies.lower_enforcement", "policies.view_policy"
REASON = "The bank has no such payment."


def spent() -> tuple[Desk, Budget, Action]:
    """A desk whose payment of 600.00 failed by its own word, of 1,000.00 a day."""
    desk = make_desk(execution="agent")
    budget = make_budget(desk.agent, cap=100_000)
    failed(desk, begun(desk))
    settle_reservations()
    assert used() == (60_000, 0)
    return desk, budget, Action.objects.get()


def asked(actor: Any, budget: Budget, action: Action, reason: str = REASON) -> BudgetChange:
    return return_spent(actor, budget=budget, action_id=action.pk, reason=reason)


@pytest.mark.django_db
class TestGivingBack:
    def test_one_asks_another_releases_and_as_much_fits_again(self) -> None:
        desk, budget, action = spent()
        first, second = make_admin(), make_admin()
        change = asked(first, budget, action)
        assert used() == (60_000, 0)
        assert desk.ask(50_000, execution="agent").json()["state"] == "denied"
        with pytest.raises(NotAllowedError):
            release_change(first, change=change)
        assert used() == (60_000, 0)
        release_change(second, change=change)
        assert used() == (0, 0)
        told = Entry.objects.get(name="budget.returned")
        assert told.actor == second
        assert told.payload == {
            "name": budget.slug, "by": first.username, "action": str(action.pk), "amount": 60_000,
        }  # fmt: skip
        assert Entry.objects.get(name="budgetchange.open").payload["reason"] == REASON
        assert desk.ask(100_000, execution="agent").json()["state"] == "approved"

    def test_it_is_given_back_once(self) -> None:
        _desk, budget, action = spent()
        change = asked(make_admin(), budget, action)
        assert asked(make_admin(), budget, action, "Again.") == change
        release_change(make_admin(), change=change)
        with pytest.raises(ConflictError):
            release_change(make_admin(), change=change)
        with pytest.raises(NotFoundError):
            asked(make_admin(), budget, action)
        settle_reservations()
        assert used() == (0, 0)

    def test_a_reason_is_needed_and_it_may_be_declined(self) -> None:
        _desk, budget, action = spent()
        with pytest.raises(InvalidError):
            asked(make_admin(), budget, action, " ")
        assert not BudgetChange.objects.exists()
        decline_change(make_admin(), change=asked(make_admin(), budget, action), reason="I see it in the bank.")
        assert used() == (60_000, 0)
        assert asked(make_admin(), budget, action).state == "open"

    def test_strangers_other_rights_and_agents_do_neither(self) -> None:
        desk, budget, action = spent()
        others = [make_holder(VIEW), make_holder(PUBLISH, LOWER, unit=make_unit()), desk.agent.user]
        for actor in others:
            with pytest.raises(NotAllowedError):
                asked(actor, budget, action)
        change = asked(make_holder(PUBLISH, VIEW, unit=desk.agent.unit), budget, action)
        for actor in [*others, make_holder(PUBLISH, VIEW, unit=desk.agent.unit)]:
            with pytest.raises(NotAllowedError):
                release_change(actor, change=change)
        assert used() == (60_000, 0)
        release_change(make_holder(PUBLISH, LOWER, unit=desk.agent.unit), change=change)
        assert used() == (0, 0)

    def test_a_day_that_is_over_gives_nothing_back(self) -> None:
        _desk, budget, action = spent()
        change = asked(make_admin(), budget, action)
        BudgetPeriod.objects.update(starts=BudgetPeriod.objects.get().starts - timedelta(days=9))
        with pytest.raises(ConflictError) as refused:
            release_change(make_admin(), change=change)
        assert refused.value.code == "stale"
        with pytest.raises(NotFoundError):
            asked(make_admin(), budget, action)
        assert Reservation.objects.get().state == "spent"
        assert BudgetPeriod.objects.get().spent == 60_000

    def test_what_succeeded_what_is_held_and_what_another_budget_counted_is_not_there(self) -> None:
        desk, budget, action = spent()
        other = make_budget(desk.agent, cap=10**6, period="month")
        held = Action.objects.get(pk=desk.ask(1_000, execution="agent").json()["id"])
        path = begun(desk, 2_000)
        assert desk.post(f"{path}outcome/", {"succeeded": True}).json()["state"] == "succeeded"
        settle_reservations()
        done = Action.objects.get(state="succeeded")
        for wrong, of in ((held, budget), (done, budget), (action, other)):
            with pytest.raises(NotFoundError):
                asked(make_admin(), of, wrong)
        assert not BudgetChange.objects.exists()

    def test_another_cap_meanwhile_asks_anew(self) -> None:
        _desk, budget, action = spent()
        admin = make_admin()
        change = asked(admin, budget, action)
        about = {"scope": budget.scope, "target": budget.target, "unit": budget.unit, "owner": budget.owner}
        terms = BudgetTerms(cap=90_000, period="day", currency="EUR")
        assert save_budget(admin, slug=budget.slug, terms=terms, **about)[1] == "changed"
        with pytest.raises(ConflictError):
            release_change(make_admin(), change=change)
        assert used() == (60_000, 0)

    def test_what_rules_ask_of_the_past_stays_as_it_was(self) -> None:
        desk, budget, action = spent()
        many = f"history.sum_minor('{desk.operation.slug}', '1d', 'agent') + action.amount_minor > 100000"
        rules_of(desk, {"slug": "all"}, {"slug": "split", "effect": "deny", "when": many})
        release_change(make_admin(), change=asked(make_admin(), budget, action))
        verdict = desk.ask(60_000, execution="agent").json()["verdict"]
        assert (verdict["effect"], verdict["budgets"]) == ("deny", [])

    def test_postgresql_refuses_one_that_names_nothing(self) -> None:
        _desk, budget, action = spent()
        change = asked(make_admin(), budget, action)
        with pytest.raises(IntegrityError, match="budget_change_gives_back_something"), transaction.atomic():
            BudgetChange.objects.filter(pk=change.pk).update(reservation=None)

    def test_over_the_api(self) -> None:
        desk, budget, action = spent()
        first, second = signed_in(make_admin()), signed_in(make_admin())
        path = f"/api/v1/budgets/{budget.slug}/"
        body = json.dumps({"action": str(action.pk), "reason": REASON})
        assert desk.post(f"budgets/{budget.slug}/returns/", body).status_code in {403, 404}
        made = first.post(f"{path}returns/", body, content_type="application/json")
        assert made.status_code == 202, made.content
        told = made.json()
        assert (told["kind"], told["action"], told["amount"]) == ("return", str(action.pk), 60_000)
        assert second.get(path).json()["changes"] == [told]
        assert second.post(f"{path}changes/{told['id']}/release/").json()["state"] == "released"
        assert second.get(path).json()["left"] == 100_000
        assert first.post(f"{path}returns/", body, content_type="application/json").status_code == 404

    def test_on_the_budgets_page(self) -> None:
        _desk, budget, action = spent()
        page, url = f"/budgets/{budget.slug}/", f"/budgets/{budget.slug}/actions/{action.pk}/return/"
        reader, first, second = signed_in(make_holder(VIEW)), signed_in(make_admin()), signed_in(make_admin())
        assert "Spent, though" not in reader.get(page).content.decode()
        assert reader.post(url, {"reason": REASON}).status_code == 403
        shown = first.get(page).content.decode()
        assert "Spent, though its agent says that it failed" in shown
        assert "600.00 EUR" in shown
        assert "Say why." in first.post(url, {"reason": ""}, follow=True).content.decode()
        assert not BudgetChange.objects.exists()
        answer = first.post(url, {"reason": REASON}, follow=True).content.decode()
        assert "somebody else has released it" in answer
        assert "Spent, though" not in answer
        seen = second.get(page).content.decode()
        assert "to give back what was spent" in seen
        assert REASON in seen
        second.post(f"{page}changes/{BudgetChange.objects.get().pk}/release/")
        assert used() == (0, 0)


def signed_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.usefixtures("real_db")
def test_many_who_release_it_at_once_give_it_back_once() -> None:
    _desk, budget, action = spent()
    change = asked(make_admin(), budget, action)
    people = [make_admin() for _ in range(8)]
    said = at_once(*(lambda person=person: release_change(person, change=change) for person in people))
    assert sorted(type(each).__name__ for each in said) == ["BudgetChange"] + ["ConflictError"] * 7
    assert used() == (0, 0)
