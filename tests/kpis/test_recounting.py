"""Costs counted again by what holds now: what was counted by other rates, prices and another currency follows."""

import io
from typing import Any

import pytest
from django.core.management import call_command

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.services import record
from apps.connectors.models import Operation
from apps.core.services import system_user
from apps.kpis.models import CostItem, PriceBook, RollupDay, RunFact
from apps.kpis.services.recounting import recount_costs
from apps.workflows.models import Workflow
from tests.factories.kpis import make_price
from tests.factories.workflows import make_worker, make_workflow
from tests.kpis.test_folding import DOCUMENT, fold, whole_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    flow = make_workflow(DOCUMENT)
    Operation.objects.update(fee_minor=5)
    return flow


@pytest.fixture
def worker(workflow: Workflow) -> Agent:
    return make_worker(workflow, "order.check")


def amounts() -> dict[str, tuple[int, str]]:
    return {one.kind: (one.amount_micro, one.priced_by) for one in CostItem.objects.all()}


def test_what_was_counted_before_currencies_were_told_apart_is_counted_again(
    workflow: Workflow, worker: Agent, settings: Any
) -> None:
    make_price()
    whole_run(workflow, worker)
    fold()
    before = amounts()
    assert {by for _micro, by in before.values()} == {"hourly_rate", "fee", "book"}
    BusinessUnit.objects.update(currency="USD")
    settings.ACP_REPORTING_CURRENCY = "USD"
    fold_nothing_changes = amounts()
    assert fold_nothing_changes == before
    assert recount_costs() == 3
    after = amounts()
    assert after["llm"] == (0, "unpriced")  # the book is in euros
    assert after["human"] == before["human"]  # by the unit's own rate, which is in dollars now
    PriceBook.objects.update(currency="USD")
    assert recount_costs() == 3
    assert amounts() == before
    assert CostItem.objects.count() == 3


def test_it_follows_what_documents_say_now_and_sums_follow_it(workflow: Workflow, worker: Agent) -> None:
    whole_run(workflow, worker)
    fold()
    Operation.objects.update(fee_minor=9)
    out = io.StringIO()
    call_command("recount_costs", stdout=out, stderr=io.StringIO())
    assert out.getvalue().split() == ["3"]
    assert amounts()["connector"] == (90_000, "fee")
    assert RunFact.objects.get().connector_micro == 90_000
    assert sum(RollupDay.objects.values_list("connector_micro", flat=True)) == 90_000
    Operation.objects.update(fee_minor=0)
    recount_costs()
    assert amounts()["connector"] == (0, "fee"), "nothing asks for it any more"
    assert RunFact.objects.get().connector_micro == 0
    call_command("recount_costs", "--since", "2100-01-01", stdout=out, stderr=io.StringIO())
    assert out.getvalue().split() == ["3", "0"]


def test_fees_stay_where_a_later_batch_tells_of_their_actions_again(
    workflow: Workflow, worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_run(workflow, worker)
    action = Action.objects.get(operation="erp.order")
    record(system_user("plane"), action, "action.compensation_asked", trail=action.run_id, unit=action.unit_id)
    fold()
    asked = Entry.objects.get(name="action.compensation_asked")
    Operation.objects.update(fee_minor=9)
    monkeypatch.setattr("apps.kpis.services.recounting.AT_ONCE", 1)  # what is asked later is not beside the end
    recount_costs()
    assert amounts()["connector"] == (90_000, "fee")
    assert recount_costs(since=asked.occurred_at) == 0, "from between the two, too"
    assert amounts()["connector"] == (90_000, "fee")
    assert RunFact.objects.get().connector_micro == 90_000
    Operation.objects.update(fee_minor=0)
    recount_costs()
    assert amounts()["connector"] == (0, "fee"), "nothing asks for it any more"
