"""What an agent carried out itself and says has failed is spent all the same: nobody has looked."""

from typing import Any

import pytest

from apps.agents.models import Action
from apps.agents.rules import Execution
from apps.audit.tasks import deliver_reactions
from apps.halts.rules import BreakerTerms
from apps.halts.services import save_breaker
from apps.oversight.services import cast_vote
from apps.policies.models import Reservation
from apps.policies.services.reserving import settle_reservations
from apps.workflows.services.actions import Ask, check_action
from apps.workflows.services.breakers import check_breakers
from apps.workflows.tasks.actions import raise_unreported
from tests.factories.access import make_admin
from tests.factories.budgets import make_budget
from tests.workflows.actions import Desk, make_desk, rules_of, the_item, work
from tests.workflows.test_budgets import used
from tests.workflows.test_unreported import later

pytestmark = pytest.mark.django_db


def begun(desk: Desk, amount: int = 60_000) -> str:
    """The path of an action that its agent has begun."""
    asked = desk.ask(amount, execution="agent").json()
    path = f"actions/{asked['id']}/"
    assert desk.post(f"{path}consume/", {"digest": asked["digest"]}).status_code == 200
    return path


def failed(desk: Desk, path: str, error: Any = None) -> None:
    answer = desk.post(f"{path}outcome/", {"succeeded": False, "error": error or {"code": "timeout"}})
    assert (answer.status_code, answer.json()["state"]) == (200, "failed")


def test_it_is_spent_and_the_next_does_not_fit() -> None:
    desk = make_desk(execution="agent")
    make_budget(desk.agent, cap=100_000)
    failed(desk, begun(desk), {"code": "reconciled", "by": "person"})
    unsettled = check_action(desk.agent.user, ask=_ask(desk))[-1]
    assert settle_reservations() == 1
    assert used() == (60_000, 0)
    settled = check_action(desk.agent.user, ask=_ask(desk))[-1]
    assert (unsettled, settled) == (False, False)
    assert desk.ask(50_000, execution="agent").json()["verdict"]["reason"] == "budget_exhausted"


def _ask(desk: Desk) -> Ask:
    asked = Action.objects.get()
    parameters = {**asked.parameters, "amount_minor": 50_000}
    return Ask(operation=desk.operation.slug, parameters=parameters, execution=Execution.AGENT)


def test_of_what_only_reads_and_of_what_never_began_it_is_given_back() -> None:
    desk = make_desk(execution="agent", effect="read")
    make_budget(desk.agent, cap=100_000)
    failed(desk, begun(desk))
    settle_reservations()
    assert used() == (0, 0)
    other = make_desk(execution="agent")
    budget = make_budget(other.agent, cap=100_000)
    asked = other.ask(60_000, execution="agent").json()
    assert other.post(f"actions/{asked['id']}/cancel/", {}).json()["state"] == "cancelled"
    settle_reservations()
    assert not Reservation.objects.filter(period__budget=budget).exclude(state="released").exists()


def test_what_the_plane_carried_out_and_a_system_refused_is_given_back(system: Any) -> None:
    desk = make_desk(system.url)
    make_budget(desk.agent, cap=100_000)
    system.will(status=400)
    desk.ask(60_000)
    work()
    settle_reservations()
    assert Action.objects.get().state == "failed"
    assert used() == (0, 0)


def test_what_people_find_to_have_failed_is_given_back() -> None:
    desk = make_desk(execution="agent")
    make_budget(desk.agent, cap=100_000)
    begun(desk)
    later()
    assert raise_unreported() == 1
    settle_reservations()
    assert used() == (0, 60_000)
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="answer", answer="failed", version=1)
    while deliver_reactions():
        pass
    settle_reservations()
    assert Action.objects.get().state == "failed"
    assert used() == (0, 0)


def test_a_breaker_of_money_counts_it() -> None:
    desk = make_desk(execution="agent")
    terms = BreakerTerms("spend", "agent", 50_000, 3_600, "EUR")
    save_breaker(make_admin(), slug="much", name="Much", target="", unit=None, terms=terms)
    failed(desk, begun(desk))
    assert check_breakers() == 1


def test_rules_that_ask_what_was_before_count_it() -> None:
    desk = make_desk(execution="agent")
    many = f"history.sum_minor('{desk.operation.slug}', '1d', 'agent') + action.amount_minor > 100000"
    rules_of(desk, {"slug": "all"}, {"slug": "split", "effect": "deny", "when": many})
    failed(desk, begun(desk))
    assert desk.ask(60_000, execution="agent").json()["state"] == "denied"
