"""The purchase order of the design, from the request to the order, with agents, people and systems."""

from pathlib import Path
from typing import Any

import pytest

from apps.access.models import Queue
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.oversight.models import Escalation
from apps.workflows.models import Attempt, Compensation, Run, Step, Task, Timer, Workflow
from apps.workflows.services import claim_tasks, complete_task, fail_task
from tests.factories.access import make_approver, make_holder
from tests.factories.workflows import (
    carry_out,
    decide,
    make_run,
    make_worker,
    make_workflow,
    open_item,
    waiting_action,
)

DOCUMENT = (Path(__file__).parent / "purchase_order.yaml").read_text()
REQUEST = {
    "request_id": "R-1",
    "vendor_id": "V-7",
    "suppliers": ["acme", "bolt", "cord"],
    "requester": "olga@example.com",
    "cost_center": "it",
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(DOCUMENT)


class Case:
    """One run and everybody in it."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.agent = make_worker(workflow, "vendor.validate", "quote.gather")
        self.buyer = make_approver(Queue.objects.get(slug="buyers"), username="ben")
        self.treasurer = make_approver(Queue.objects.get(slug="finance"), username="ada")
        self.starter = make_holder("workflows.start_run", "workflows.view_run", username="olga")
        self.run = make_run(workflow, REQUEST, actor=self.starter)

    def work(self, *outputs: Any) -> None:
        for output in outputs:
            (task,) = claim_tasks(self.agent.user)
            complete_task(self.agent.user, task_id=task.pk, lease=str(task.fence), output=output)

    def select(self, amount_minor: int) -> None:
        answer = {"vendor": "acme", "amount_minor": amount_minor}
        decide(open_item(self.run, "select_vendor"), self.buyer, "answer", answer=answer)

    def carry_out(self, step: str, result: Any) -> None:
        carry_out(waiting_action(self.run, step), result)

    def now(self) -> Run:
        return Run.objects.get(pk=self.run.pk)

    def states(self) -> dict[str, str]:
        rows = Step.objects.filter(run=self.run, current=True)
        return {row.name: f"{row.state} {row.outcome or ''}".strip() for row in rows}


def test_the_whole_path_from_the_request_to_the_order(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": True})
    case.work({"price": 1}, {"price": 2})
    assert Task.objects.count() == 0  # two quotes are enough: the third was cancelled
    case.select(2_000_000)
    case.carry_out("reserve_budget", {"id": "B-1"})
    assert case.now().state == "waiting"
    approval = open_item(case.run, "approve")
    assert sorted(approval.exclude) == ["ben", "olga"]
    decide(approval, case.treasurer, "approve")
    case.carry_out("create_order", {"number": "PO-1"})
    case.carry_out("notify", {"sent": True})
    run = case.now()
    assert (run.state, run.outcome, run.output) == ("succeeded", "completed", {"notify": {"sent": True}})
    assert case.states() == {
        "validate_vendor": "done valid",
        "refuse_vendor": "dead",
        "quotes": "done done",
        "select_vendor": "done answered",
        "reserve_budget": "done done",
        "approve": "done approved",
        "create_order": "done done",
        "notify": "done done",
    }
    assert Timer.objects.count() == 0
    assert not Escalation.objects.filter(state="pending").exists()
    said = Step.objects.get(run=run, name="approve").output
    assert said["decided_by"] == ["ada"]
    assert said["outcome"] == "approved"
    order = Action.objects.get(step="create_order")
    assert order.parameters == {"vendor": "acme", "amount_minor": 2_000_000}
    assert order.principal.username == "workflow:purchase-order"


def test_a_small_order_skips_the_approval(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": True}, {"price": 1}, {"price": 2})
    case.select(10_000)
    case.carry_out("reserve_budget", {"id": "B-1"})
    assert case.states()["approve"] == "skipped"
    assert case.states()["create_order"] == "open"


def test_an_invalid_vendor_is_told_so_and_the_rest_dies(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": False})
    case.carry_out("refuse_vendor", {"sent": True})
    assert case.now().state == "succeeded"
    assert case.states()["create_order"] == "dead"
    assert Task.objects.count() == 0


def test_a_rejection_releases_the_budget_before_the_vendor_is_selected_again(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": True}, {"price": 1}, {"price": 2})
    case.select(2_000_000)
    case.carry_out("reserve_budget", {"id": "B-1"})
    decide(open_item(case.run, "approve"), case.treasurer, "reject")
    release = Action.objects.get(operation="erp.release_budget")
    assert (release.parameters, release.purpose) == ({"reservation": "B-1"}, "compensate")
    assert case.states()["select_vendor"] == "done answered"  # not reopened before the budget is released
    carry_out(release, {"released": True})
    assert case.states()["select_vendor"] == "open"
    assert sorted(Step.objects.filter(run=case.run, current=False).values_list("name", "state")) == [
        ("approve", "superseded"),
        ("reserve_budget", "superseded"),
        ("select_vendor", "superseded"),
    ]
    case.select(10_000)
    assert Step.objects.get(run=case.run, name="reserve_budget", current=True).round == 2
    assert Compensation.objects.get().state == "done"


def test_after_three_rejections_the_fourth_fails_the_run(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": True}, {"price": 1}, {"price": 2})
    for number in range(4):
        case.select(2_000_000 + number)
        case.carry_out("reserve_budget", {"id": f"B-{number}"})
        decide(open_item(case.run, "approve"), case.treasurer, "reject")
        carry_out(Action.objects.filter(operation="erp.release_budget").latest("id"), {})
    run = case.now()
    assert (run.state, run.error["code"]) == ("failed", "rework_limit")
    assert [row.state for row in Compensation.objects.order_by("position")] == ["done"] * 4
    assert not Escalation.objects.filter(state="pending").exists()


def test_an_order_above_the_higher_limit_takes_two_people(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": True}, {"price": 1}, {"price": 2})
    case.select(20_000_000)
    case.carry_out("reserve_budget", {"id": "B-1"})
    item = open_item(case.run, "approve")
    decide(item, case.treasurer, "approve")
    assert case.states()["approve"] == "open"
    second = make_approver(Queue.objects.get(slug="finance"), username="cleo")
    decide(item, second, "approve")
    assert case.states()["approve"] == "done approved"
    assert Step.objects.get(run=case.run, name="approve").output["decided_by"] == ["ada", "cleo"]


def test_a_vendor_check_that_keeps_failing_goes_to_a_person(workflow: Workflow) -> None:
    case = Case(workflow)
    (task,) = claim_tasks(case.agent.user)
    fail_task(case.agent.user, task_id=task.pk, lease="1", code="registry_down", message="No.", retryable=False)
    item = open_item(case.run, "validate_vendor")
    assert (item.kind, case.now().state) == ("exception", "waiting")
    decide(item, case.buyer, "answer", answer={"valid": True})
    step = Step.objects.get(run=case.run, name="validate_vendor")
    assert (step.state, step.outcome, step.by_hand, step.output) == ("done", "valid", True, {"valid": True})
    assert Attempt.objects.get().state == "failed"


def test_the_closing_entries_carry_what_facts_need(workflow: Workflow) -> None:
    case = Case(workflow)
    case.work({"valid": False})
    case.carry_out("refuse_vendor", {})
    told = Entry.objects.get(name="run.succeeded").payload
    assert told["workflow"] == "purchase-order"
    assert told["sla_ms"] == 15 * 86_400_000
    assert told["finished_at"]
    assert told["started_at"]
    steps = {entry.payload["name"]: entry.payload for entry in Entry.objects.filter(name="step.done")}
    step = steps["validate_vendor"]
    assert (step["agent"], step["attempts"], step["failed_attempts"]) == (case.agent.slug, 1, 0)
