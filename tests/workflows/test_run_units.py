"""A run is judged where its agents and its workflow belong, and where it was started: the strictest of all wins."""

from typing import Any, NamedTuple

import pytest

from apps.access.models import BusinessUnit
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.oversight.models import Escalation
from apps.oversight.services import reweigh_pending
from apps.policies.models import BudgetPeriod
from apps.policies.selectors import ground_for
from apps.workflows.models import Run, Workflow
from tests.factories.access import grant, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.budgets import make_budget
from tests.factories.policies import make_policy, make_rule
from tests.factories.waivers import make_waiver
from tests.factories.workflows import make_run, make_workflow
from tests.oversight.test_api import caller, post

pytestmark = pytest.mark.django_db
FLOW = {"steps": {"pay": {"operation": "lab.pay", "with": {"amount": 5}}}}


class House(NamedTuple):
    """A workflow of one unit, and another unit where its runs are started; both below one."""

    workflow: Workflow
    theirs: BusinessUnit
    top: BusinessUnit

    def run(self, unit: BusinessUnit | None = None) -> Run:
        return make_run(self.workflow, business_unit=(unit or self.theirs).slug)

    def pay(self, unit: BusinessUnit | None = None) -> Action:
        """The action of a run that was started there, as it was judged."""
        return Action.objects.get(run_id=self.run(unit).pk)


@pytest.fixture
def house() -> House:
    top = make_unit()
    return House(make_workflow(FLOW, unit=make_unit(parent=top).slug), make_unit(parent=top), top)


def rules_in(unit: BusinessUnit, **fields: Any) -> Any:
    return make_policy(make_rule(slug="theirs", **fields), unit=unit)


def test_a_denial_where_it_was_started_denies_and_the_action_names_it(house: House) -> None:
    policy = rules_in(house.theirs, effect="deny")
    denied = house.pay()
    assert denied.state == "denied"
    first = denied.verdict["rules"][0]
    assert (first["policy"], first["rule"]) == (policy.slug, "theirs")
    assert denied.verdict["facts"]["run_units"] == [house.theirs.slug]
    assert house.pay(house.workflow.unit).state == "approved"


def test_what_asks_there_asks_people_who_may_decide_where_the_work_is_done(house: House) -> None:
    queue = make_queue(unit=house.top)
    rules_in(house.theirs, effect="require_approval", queue=queue.slug)
    there = make_user()
    grant(there, queue.role, house.top)
    action = house.pay()
    item = Escalation.objects.get(action=action)
    assert (action.state, item.unit, item.group_list()[0].queue) == ("pending_approval", house.workflow.unit, queue)
    answer = post(caller(there), f"/api/v1/escalations/{item.pk}/decision/", {"verdict": "approve", "version": 1})
    assert answer.status_code == 200, answer.content


def test_what_is_released_there_while_it_waits_is_asked_for_too(house: House) -> None:
    queue = make_queue(unit=house.top)
    make_policy(make_rule(effect="require_approval", queue=queue.slug), unit=house.workflow.unit)
    action = house.pay()
    assert action.state == "pending_approval"
    rules_in(house.theirs, effect="deny")
    assert reweigh_pending() == 1
    action.refresh_from_db()
    assert action.state == "denied"
    assert Entry.objects.filter(name="escalation.invalidated").exists()


def test_a_budget_there_counts_and_does_not_stretch(house: House) -> None:
    about = {"scope": "unit", "target": house.theirs.slug, "unit": house.theirs, "measure": "calls"}
    budget = make_budget(make_agent(), cap=1, currency="", **about)
    assert house.pay().state == "approved"
    assert BudgetPeriod.objects.get(budget=budget).reserved == 1
    beyond = house.pay()
    assert (beyond.state, beyond.verdict["reason"]) == ("denied", "budget_exhausted")
    assert house.pay(house.workflow.unit).state == "approved"
    assert BudgetPeriod.objects.get(budget=budget).reserved == 1


def test_a_waiver_for_the_unit_where_it_was_started_lifts_nothing_of_its_agents(house: House) -> None:
    policy = make_policy(make_rule(slug="no", effect="deny"), unit=house.workflow.unit)
    make_waiver(policy, "no", scope="unit", target=house.theirs.slug, times=5)
    assert house.pay().state == "denied"
    make_waiver(policy, "no", scope="unit", target=house.workflow.unit.slug, times=5)
    assert house.pay().state == "approved"


def test_the_ground_is_one_query_with_and_without_a_run(house: House, django_assert_num_queries: Any) -> None:
    person = make_user()
    grant(person, make_role("policies.view_policy"), house.top)
    with django_assert_num_queries(2):
        alone = ground_for(person, house.workflow.unit_id)
        both = ground_for(person, house.workflow.unit_id, run_unit_id=house.theirs.pk)
    assert (alone.run_units, both.units) == (frozenset(), alone.units)
    assert both.run_units == {house.theirs.slug}
    assert both.currencies[""] == house.top.currency
