"""The ledger told as facts: real runs, decisions, effects and usage come out as numbers, once."""

from datetime import timedelta
from typing import Any

import pytest

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.audit.services import record
from apps.connectors.models import Connector, Operation
from apps.core.services import system_user
from apps.kpis.models import ApprovalFact, CostItem, RollupDay, RunFact, StepFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules import RangeName
from apps.kpis.rules.filters import filter_of
from apps.kpis.selectors import kpis_for
from apps.kpis.selectors.data_quality import data_quality_for
from apps.kpis.services import fold_entries, save_price
from apps.oversight.services import cast_vote
from apps.telemetry.services import record_usage
from apps.workflows.models import Run, Task, Workflow
from apps.workflows.services import claim_tasks, complete_task, fail_task
from apps.workflows.services.tasks.sweeps import offer_scheduled
from tests.factories.access import make_approver, make_holder
from tests.factories.oversight import make_payment
from tests.factories.workflows import carry_out, decide, make_run, make_worker, make_workflow, open_item, waiting_action
from tests.kpis.test_services import state

pytestmark = pytest.mark.django_db

DOCUMENT: dict[str, Any] = {
    "slug": "order",
    "sla": {"after": "1d"},
    "steps": {
        "check": {"agent": "order.check", "retry": {"max": 1, "delay": "1s"}},
        "approve": {
            "needs": ["check"],
            "approval": {"subject": "input"},
            "queue": "heads",
            "due": {"after": "1d"},
        },
        "order": {"needs": ["approve"], "operation": "erp.order", "with": {"n": "1"}},
    },
}


@pytest.fixture
def workflow() -> Workflow:
    flow = make_workflow(DOCUMENT)
    Operation.objects.update(fee_minor=5)
    return flow


@pytest.fixture
def worker(workflow: Workflow) -> Agent:
    return make_worker(workflow, "order.check")


def fold() -> None:
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))


def whole_run(workflow: Workflow, worker: Agent, *, verdict: str = "approve", cost_minor: int | None = None) -> Run:
    """A run from its start to its end, with usage reported while the task is held."""
    run = make_run(workflow, {"a": 1})
    (task,) = claim_tasks(worker.user)
    used = {"input_tokens": 1000, "output_tokens": 100, "cost_minor": cost_minor}
    record_usage(worker.user, model="large", task_id=task.pk, **used)
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={"ok": True})
    item = open_item(run, "approve")
    queue = item.group_list()[0].queue
    decide(item, make_approver(queue), verdict)
    if verdict == "approve":
        carry_out(waiting_action(run, "order"), {"number": "1"})
    return Run.objects.get(pk=run.pk)


def test_a_run_becomes_a_fact_with_its_touches_and_costs(workflow: Workflow, worker: Agent) -> None:
    save_price(
        system_user("console"),
        model="large",
        valid_from=database_now().replace(year=2020),
        input_micro=3,
        output_micro=15,
    )  # type: ignore[arg-type]
    run = whole_run(workflow, worker)
    assert (run.state, run.outcome) == ("succeeded", "completed")
    fold()
    fact = RunFact.objects.get()
    assert (fact.run_id, fact.workflow, fact.version, fact.state) == (run.pk, "order", 1, "succeeded")
    assert fact.unit == run.unit_id
    assert fact.sla_met is True
    assert fact.sla_ms == 86_400_000
    assert (fact.touches, fact.escalated, fact.reworked) == (1, False, False)
    assert fact.agents == [worker.slug]
    assert fact.llm_micro == 1000 * 3 + 100 * 15
    assert fact.connector_micro == 50_000
    assert fact.human_micro > 0
    assert fact.cost_micro == fact.llm_micro + fact.connector_micro + fact.human_micro
    assert fact.cycle_ms is not None
    assert fact.lead_ms is not None
    assert fact.lead_ms >= fact.cycle_ms
    decision = ApprovalFact.objects.get()
    assert (decision.kind, decision.outcome, decision.by_person, decision.overridden) == (
        "approval",
        "approved",
        True,
        False,
    )
    steps = dict(StepFact.objects.values_list("name", "state"))
    assert steps == {"check": "done", "approve": "done", "order": "done"}


def test_folding_again_or_in_pieces_changes_nothing(workflow: Workflow, worker: Agent) -> None:
    whole_run(workflow, worker)
    whole_run(workflow, worker, verdict="reject")
    fold()
    before = state()
    fold()
    assert state() == before
    for model in (RunFact, StepFact, ApprovalFact, CostItem, RollupDay):
        model.objects.all().delete()
    for entry in Entry.objects.select_related("actor").order_by("id"):
        fold_entries(entries=[entry])
    assert state() == before


def test_a_rejection_is_a_success_with_an_outcome_and_an_override(workflow: Workflow, worker: Agent) -> None:
    run = whole_run(workflow, worker, verdict="reject")
    fold()
    fact = RunFact.objects.get()
    assert (fact.state, fact.outcome) == (run.state, run.outcome) == ("succeeded", "rejected")
    assert ApprovalFact.objects.get().overridden


def test_an_open_run_arrives_and_is_the_backlog(workflow: Workflow, worker: Agent) -> None:
    make_run(workflow, {})
    fold()
    viewer = make_holder("kpis.view_kpi")
    asked = filter_of({}, now=database_now(), zone=reporting_zone(), days=RangeName.DAYS_30)
    totals = kpis_for(viewer, asked).totals
    assert totals["arrivals"].figure.value == 1
    assert totals["backlog"].figure.value == 1
    assert totals["throughput"].figure.value == 0


def test_a_failed_attempt_costs_the_first_pass_and_is_no_rework(workflow: Workflow, worker: Agent) -> None:
    run = make_run(workflow, {})
    (task,) = claim_tasks(worker.user)
    fail_task(worker.user, task_id=task.pk, lease=str(task.fence), code="busy", message="", retryable=True)
    Task.objects.update(not_before=database_now() - timedelta(seconds=1))
    offer_scheduled()
    (task,) = claim_tasks(worker.user)
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
    item = open_item(run, "approve")
    decide(item, make_approver(item.group_list()[0].queue), "reject")
    fold()
    fact = RunFact.objects.get()
    assert (fact.state, fact.failed_attempts, fact.reworked) == ("succeeded", 1, False)
    assert StepFact.objects.get(name="check").attempts == 2


def test_an_escalated_action_outside_a_run_counts_as_a_decision_and_costs_a_persons_time() -> None:
    payment = make_payment(quorum=2)
    for person in (payment.ada, payment.ben):
        cast_vote(person, escalation_id=payment.item.pk, verdict="approve", version=payment.now().version)
    fold()
    decision = ApprovalFact.objects.get()
    assert (decision.kind, decision.outcome, decision.run_id) == ("action", "approved", None)
    assert decision.agent == payment.agent.slug
    assert decision.rule.endswith("/large")
    assert CostItem.objects.filter(kind="human").count() == 2
    assert RunFact.objects.count() == 0


def test_usage_without_a_price_is_counted_and_priced_once_the_book_knows(workflow: Workflow, worker: Agent) -> None:
    whole_run(workflow, worker)
    fold()
    assert CostItem.objects.get(kind="llm").priced_by == "unpriced"
    assert RunFact.objects.get().unpriced == 1
    assert RunFact.objects.get().llm_micro == 0
    save_price(
        system_user("console"),
        model="large",
        valid_from=database_now().replace(year=2020),
        input_micro=3,
        output_micro=15,
    )  # type: ignore[arg-type]
    fold_entries(entries=list(Entry.objects.filter(subject_kind="pricebook")))
    assert RunFact.objects.get().unpriced == 0
    assert RunFact.objects.get().llm_micro == 4500
    assert RollupDay.objects.filter(llm_micro=4500, unpriced=0).count() == 1


@pytest.mark.parametrize(("currency", "priced"), [("EUR", True), ("JPY", False)])
def test_what_is_in_another_currency_is_unpriced_and_no_euro(
    workflow: Workflow, worker: Agent, currency: str, priced: bool
) -> None:
    """An hour for 600,000 yen is not one for 6,000.00 EUR."""
    run = whole_run(workflow, worker, cost_minor=9)
    BusinessUnit.objects.update(currency=currency, hourly_rate_minor=600_000)
    Connector.objects.update(unit=run.unit)
    record(system_user("plane"), Action.objects.get(), "succeeded", payload={"cost_minor": 70, "currency": ""})
    fold()
    costs = {one.kind: (one.amount_micro > 0, one.priced_by) for one in CostItem.objects.all()}
    known = {"human": "hourly_rate", "connector": "fee", "agent": "reported", "llm": "reported"}
    assert costs == {kind: (priced, by if priced else "unpriced") for kind, by in known.items()}
    fact = RunFact.objects.get()
    assert fact.human_ms > 0
    assert (fact.cost_micro > 0, fact.unpriced) == ((True, 0) if priced else (False, 4))
    viewer = make_holder("kpis.view_kpi")
    assert data_quality_for(viewer).abroad == (0 if priced else 3)
    assert [one.model for one in data_quality_for(viewer).unpriced] == ([] if priced else ["large"])


def test_an_agents_word_in_a_currency_of_its_own_is_unpriced(workflow: Workflow, worker: Agent) -> None:
    whole_run(workflow, worker)
    told = {"cost_minor": 70, "currency": "USD"}
    record(system_user("plane"), Action.objects.get(), "succeeded", payload=told)
    fold()
    assert CostItem.objects.get(kind="agent").priced_by == "unpriced"
    assert CostItem.objects.get(kind="human").priced_by == "hourly_rate"


def test_entries_that_tell_nothing_of_runs_are_passed_over() -> None:
    user = make_holder("kpis.view_kpi")
    entry = record(system_user("console"), user, "user.created")  # type: ignore[arg-type]
    assert fold_entries(entries=[entry]) == 0
