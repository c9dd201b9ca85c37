"""Approval steps that people send back: offered where the workflow goes back from there, and nowhere else."""

import copy
from typing import Any

import pytest
from django.test import Client

from apps.core.models import User
from apps.oversight.models import Escalation
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.access import make_approver
from tests.factories.workflows import decide, make_run, make_worker, make_workflow, open_item
from tests.oversight.test_api import caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
DOCUMENT: dict[str, Any] = {
    "kind": "Workflow", "slug": "letters", "name": "Letters", "unit": "office",
    "steps": {
        "write": {"agent": "letter.write"},
        "sign": {
            "needs": ["write"], "approval": {"subject": "steps.write"}, "queue": "clerks", "due": {"after": "1d"},
        },
    },
}  # fmt: skip


class Case:
    """One run whose letter was written, and who signs it."""

    def __init__(self, **outcomes: Any) -> None:
        document = copy.deepcopy(DOCUMENT)
        if outcomes:
            document["steps"]["sign"]["outcomes"] = outcomes
        workflow = make_workflow(document)
        self.agent = make_worker(workflow, "letter.write")
        self.run = make_run(workflow)
        self.write()
        self.clerk = make_approver(self.item.groups.get().queue)

    @property
    def item(self) -> Escalation:
        return open_item(self.run, "sign")

    def write(self) -> None:
        (task,) = claim_tasks(self.agent.user)
        complete_task(self.agent.user, task_id=task.pk, lease=str(task.fence), output={"text": "Dear Sir"})

    def send_back(self) -> None:
        decide(self.item, self.clerk, "request_changes", reason="Name the sum.")

    def now(self) -> Run:
        return Run.objects.get(pk=self.run.pk)


def detail(person: User, item: Escalation) -> Any:
    return caller(person).get(f"/api/v1/escalations/{item.pk}/").json()


def page(person: User, item: Escalation) -> str:
    client = Client()
    client.force_login(person)
    return client.get(f"/inbox/{item.pk}/").content.decode()


@pytest.mark.parametrize("outcome", ["changes_requested", "rejected"])
def test_changes_are_requested_where_the_workflow_goes_back(outcome: str) -> None:
    case = Case(**{outcome: {"back_to": "write", "max": 2}})
    first = case.item
    told = detail(case.clerk, first)
    assert list(told["allowed"]) == ["approve", "reject", "request_changes"]
    assert told["back_to"] == "write"
    assert "The run goes back to write with your words" in page(case.clerk, first)
    case.send_back()
    first.refresh_from_db()
    assert (first.state, first.reason) == ("changes_requested", "Name the sum.")
    case.write()
    assert case.item.supersedes == first
    decide(case.item, case.clerk, "approve")
    assert (case.now().state, case.now().outcome) == ("succeeded", "completed")


def test_where_the_workflow_goes_back_for_changes_alone_a_rejection_is_final() -> None:
    case = Case(changes_requested={"back_to": "write", "max": 2})
    decide(case.item, case.clerk, "reject")
    assert (case.now().state, case.now().outcome) == ("succeeded", "rejected")


def refused(case: Case) -> None:
    item = case.item
    assert list(detail(case.clerk, item)["allowed"]) == ["approve", "reject"]
    assert detail(case.clerk, item)["back_to"] is None
    assert 'value="request_changes"' not in page(case.clerk, item)
    with nothing_but_a_note():
        answer = post(
            caller(case.clerk),
            f"/api/v1/escalations/{item.pk}/decision/",
            {"verdict": "request_changes", "version": item.version, "reason": "Name the sum."},
        )
    assert answer.status_code == 422
    assert answer.json()["errors"] == {"verdict": ["The workflow has nowhere to go back to from here: reject it."]}


def test_without_a_way_back_it_is_not_offered_and_the_api_says_why() -> None:
    refused(Case())


def test_after_the_last_time_it_is_not_offered_any_more() -> None:
    case = Case(changes_requested={"back_to": "write", "max": 1})
    case.send_back()
    case.write()
    refused(case)


def test_the_answer_of_the_step_says_what_people_want() -> None:
    case = Case(changes_requested={"back_to": "write", "max": 2})
    case.send_back()
    step = case.now().steps.filter(name="sign").earliest("round")
    assert step.outcome == "changes_requested"
    assert step.output["outcome"] == "changes_requested"
    assert step.output["reason"] == "Name the sum."
