"""Changes of budgets with real threads, connections and commits."""

from functools import partial

import pytest

from apps.core.errors import ConflictError
from apps.policies.models import Budget, BudgetChange
from apps.policies.services.changes import decline_change, release_change
from tests.factories.access import make_admin
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.policies.test_budget_changes import proposed, save
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def test_of_two_who_release_at_once_one_does():
    budget = make_budget(make_agent(), cap=10_000)
    change = proposed(make_admin(), budget, cap=20_000)
    answers = at_once(*(partial(release_change, make_admin(), change=change) for _ in range(6)))
    assert [type(each) for each in answers].count(BudgetChange) == 1
    assert [type(each) for each in answers].count(ConflictError) == 5
    assert Budget.objects.get().cap == 20_000


def test_a_cap_that_is_lowered_meanwhile_stays_lowered_or_the_release_came_first():
    admin, second, third = make_admin(), make_admin(), make_admin()
    for _ in range(8):
        budget = make_budget(make_agent(), cap=10_000)
        change = proposed(admin, budget, cap=20_000)
        lowered, released = at_once(
            lambda budget=budget: save(third, budget, cap=5_000),
            lambda change=change: release_change(second, change=change),
        )
        assert lowered == "changed"
        budget.refresh_from_db()
        assert budget.cap == 5_000  # either it came last, or the release found another budget than was proposed
        assert isinstance(released, BudgetChange | ConflictError)


def test_released_and_declined_at_once_is_one_of_both():
    budget = make_budget(make_agent(), cap=10_000)
    change = proposed(make_admin(), budget, cap=20_000)
    second, third = make_admin(), make_admin()
    at_once(
        lambda: release_change(second, change=change), lambda: decline_change(third, change=change, reason="Not now.")
    )
    change.refresh_from_db()
    assert (change.state, Budget.objects.get().cap) in {("released", 20_000), ("declined", 10_000)}


def test_the_same_proposed_at_once_is_one_proposal():
    budget = make_budget(make_agent(), cap=10_000)
    answers = at_once(*(partial(save, make_admin(), budget, cap=20_000) for _ in range(6)))
    assert answers == ["proposed"] * 6
    assert BudgetChange.objects.count() == 1
