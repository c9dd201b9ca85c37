"""Sums of the past with real threads, connections and commits: what is sent at once is seen as what is sent in turn."""

import pytest
from django.db.models import Sum

from apps.agents.models import Action
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import permit
from tests.together import at_once
from tests.workflows.actions import Desk, make_desk, rules_of

pytestmark = pytest.mark.usefixtures("real_db")
LIMIT, AMOUNT = 10_000, 1_000


def beside(desk: Desk) -> Desk:
    """Another agent of the same unit that may pay by the same operation."""
    other = make_agent(unit=desk.agent.unit)
    permit(other.user, desk.operation)
    return Desk(other, make_key_for(other), desk.operation, desk.queue, desk.policy, desk.approver)


@pytest.mark.parametrize("scope", ["everywhere", "unit", "target"])
@pytest.mark.parametrize("call", ["sum_minor", "count"])
def test_twenty_requests_of_two_agents_at_once_never_get_more_than_the_sum_allows(call, scope):
    first = make_desk()
    past = f"history.{call}('{first.operation.slug}', '1d', '{scope}')"
    room = f"{past} + action.amount_minor <= {LIMIT}" if call == "sum_minor" else f"{past} < {LIMIT // AMOUNT}"
    rules_of(first, {"when": room}, {"when": f"!({room})", "effect": "deny"})
    second = beside(first)
    answers = at_once(*(lambda desk=desk: desk.ask(AMOUNT).json()["state"] for desk in [first, second] * 10))
    assert sorted(answers) == ["approved"] * 10 + ["denied"] * 10
    assert Action.objects.filter(state="approved").aggregate(sum=Sum("amount_minor"))["sum"] == LIMIT
