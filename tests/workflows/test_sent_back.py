"""Approval steps that people send back: offered where the workflow goes back from there, and nowhere else."""

import copy
from typing import Any, ClassVar

import pytest
from django.test import Client

from apps.core.errors import InvalidError
from apps.core.models import User
from apps.oversight.models import Escalation
from apps.workflows.models import Run
from apps.workflows.selectors.tasks import task_for
from apps.workflows.services import ask_about_task, claim_tasks, complete_task
from tests.factories.access import make_approver, make_queue
from tests.factories.oversight import make_escalation
from tests.factories.workflows import decide, deliver_all, make_run, make_worker, make_workflow, open_item
from tests.oversight.test_api import caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
DOCUMENT: dict[str, Any] = {
    "kind": "Workflow", "slug": "letters", "name": "Letters", "unit": "office",
    "steps": {
        "write": {"agent": "letter.write"},
        "sign": {"needs": ["write"], "queue": "clerks", "due": {"after": "1d"}},
    },
}  # fmt: skip


class Case:
    """One run whose letter was written, and who signs it."""

    SIGN: ClassVar[dict[str, Any]] = {"approval": {"subject": "steps.write"}}

    def __init__(self, **outcomes: Any) -> None:
        document = copy.deepcopy(DOCUMENT)
        document["steps"]["sign"] |= self.SIGN
        if outcomes:
            document["steps"]["sign"]["outcomes"] = outcomes
        self.workflow = make_workflow(document)
        self.agent = make_worker(self.workflow, "letter.write")
        self.run = make_run(self.workflow)
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


def test_whoever_does_the_work_again_gets_the_words_and_nobody_else() -> None:
    case = Case(changes_requested={"back_to": "write", "max": 2})
    case.send_back()
    (task,) = claim_tasks(case.agent.user)
    told = task_for(case.agent.user, task.pk).context["sent_back"]
    assert told == {"step": "sign", "state": "changes_requested", "reason": "Name the sum."}
    other = make_run(case.workflow)
    (fresh,) = claim_tasks(case.agent.user)
    assert fresh.run_id == other.pk
    assert "sent_back" not in task_for(case.agent.user, fresh.pk).context


class FormCase(Case):
    """The same with a form that a person fills in of what was written."""

    SIGN: ClassVar[dict[str, Any]] = {
        "form": {"schema": {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "integer"}}}}
    }


def test_a_form_whose_input_is_wrong_goes_back_to_who_wrote_it() -> None:
    case = FormCase(changes_requested={"back_to": "write", "max": 2})
    first = case.item
    assert list(detail(case.clerk, first)["allowed"]) == ["answer", "request_changes"]
    assert "decide=request_changes" in page(case.clerk, first)
    client = Client()
    client.force_login(case.clerk)
    panel = client.get(f"/inbox/{first.pk}/?decide=request_changes").content.decode()
    assert "The run goes back to write with your words" in panel
    sent = client.post(
        f"/inbox/{first.pk}/decision/",
        {"verdict": "request_changes", "version": first.version, "reason": "Which sum?"},
    )
    assert sent.status_code == 302
    deliver_all()
    step = case.now().steps.filter(name="sign").earliest("round")
    assert (step.outcome, step.output["reason"]) == ("changes_requested", "Which sum?")
    assert step.output["decided_by"] == [case.clerk.username]
    (task,) = claim_tasks(case.agent.user)
    assert task_for(case.agent.user, task.pk).context["sent_back"]["reason"] == "Which sum?"
    complete_task(case.agent.user, task_id=task.pk, lease=str(task.fence), output={"text": "Dear Sir, 7"})
    assert case.item.supersedes == first
    decide(case.item, case.clerk, "answer", answer={"sum": 7})
    assert (case.now().state, case.now().outcome) == ("succeeded", "completed")


def test_a_form_without_a_way_back_says_so_on_the_page_and_in_the_api() -> None:
    case = FormCase()
    item = case.item
    said = "The workflow has nowhere to go back to from here: answer what can be answered."
    assert list(detail(case.clerk, item)["allowed"]) == ["answer"]
    assert "decide=request_changes" not in page(case.clerk, item)
    client = Client()
    client.force_login(case.clerk)
    assert said in client.get(f"/inbox/{item.pk}/?decide=more").content.decode()
    body = {"verdict": "request_changes", "version": item.version, "reason": "Which sum?"}
    with nothing_but_a_note():
        answer = post(caller(case.clerk), f"/api/v1/escalations/{item.pk}/decision/", body)
    assert (answer.status_code, answer.json()["errors"]) == (422, {"verdict": [said]})


def test_a_form_goes_back_for_changes_alone_and_a_document_that_says_otherwise_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        FormCase(rejected={"back_to": "write", "max": 2})
    assert "never ends with 'rejected'" in str(refused.value.errors)


def ask(case: Case, text: str = "Is it fine?") -> Escalation:
    (task,) = claim_tasks(case.agent.user)
    return ask_about_task(case.agent.user, task_id=task.pk, lease=str(task.fence), question=text)


def asked() -> tuple[Case, Escalation, User]:
    case = Case()
    case.run = make_run(case.workflow)
    item = ask(case)
    return case, item, make_approver(item.groups.get().queue)


def test_a_question_that_nobody_can_answer_goes_back_to_the_agent_that_asks_again() -> None:
    case, item, clerk = asked()
    assert list(detail(clerk, item)["allowed"]) == ["answer", "request_changes"]
    client = Client()
    client.force_login(clerk)
    panel = client.get(f"/inbox/{item.pk}/?decide=request_changes").content.decode()
    assert "The agent gets your words instead of an answer" in panel
    decide(item, clerk, "request_changes", reason="Say what is fine.")
    item.refresh_from_db()
    assert (item.state, item.answer) == ("changes_requested", None)
    again = ask(case, "Is the sum of 7 fine?")
    assert again.supersedes == item
    decide(again, clerk, "answer", answer="yes")
    (task,) = claim_tasks(case.agent.user)
    first, second = task_for(case.agent.user, task.pk).context["answers"]
    assert (first["state"], first["answer"], first["reason"]) == ("changes_requested", None, "Say what is fine.")
    assert first["answered_by"] == [clerk.username]
    assert (second["state"], second["answer"]) == ("answered", "yes")


def test_a_new_question_after_an_answer_takes_nothing_s_place() -> None:
    case, item, clerk = asked()
    decide(item, clerk, "answer", answer="yes")
    assert ask(case, "And this?").supersedes is None


def test_words_are_needed() -> None:
    _case, item, clerk = asked()
    with nothing_but_a_note():
        answer = post(
            caller(clerk),
            f"/api/v1/escalations/{item.pk}/decision/",
            {"verdict": "request_changes", "version": item.version},
        )
    assert list(answer.json()["errors"]) == ["reason"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("exception", "Nobody asked for this: something failed. Say how it goes on."),
        ("unknown", "Nobody asked for this: a system fell silent. Say what it did."),
        ("review", "This was done already: say what it was."),
    ],
)
def test_what_nobody_asked_for_is_not_changed_and_page_and_api_say_why(kind: str, said: str) -> None:
    queue = make_queue()
    clerk = make_approver(queue)
    item = make_escalation(queue=queue, kind=kind, task_id=None, options=["a", "b"])
    assert list(detail(clerk, item)["allowed"]) == ["answer"]
    body = {"verdict": "request_changes", "version": item.version, "reason": "Otherwise."}
    with nothing_but_a_note():
        answer = post(caller(clerk), f"/api/v1/escalations/{item.pk}/decision/", body)
    assert (answer.status_code, answer.json()["errors"]) == (422, {"verdict": [said]})
    client = Client()
    client.force_login(clerk)
    assert said in client.get(f"/inbox/{item.pk}/?decide=more").content.decode()
    assert said in client.post(f"/inbox/{item.pk}/decision/", body).content.decode()
