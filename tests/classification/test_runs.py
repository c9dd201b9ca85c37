"""What a run carries of a class, by its input, an agent's output, a form and an answer, followed through every door."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client

from apps.access.models import Queue, RoleGrant
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.selectors import proof_for
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.workflows.models import Run
from apps.workflows.services.retention import erase_ended
from tests.classification.test_hidden import addresses, shows
from tests.connectors.conftest import system
from tests.factories.access import grant, make_admin, make_approver, make_holder, make_role, make_unit
from tests.factories.agents import make_key_for
from tests.factories.classification import make_data_class
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.workflows import make_worker, make_workflow
from tests.notifications.conftest import mail, tell
from tests.oversight.edge_cases.doors import Person, make_reachable
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.workflows.actions import work

__all__ = ["mail", "system"]
pytestmark = pytest.mark.django_db

IBAN, SALARY, TAX, BADGE = "NL91ABNA0417164300", "EUR 87,654.32 p.a.", "TAX-5566-7788", "BADGE-99-1234"
SECRETS = (IBAN, SALARY, TAX, BADGE)
CANARY = re.compile(r"0417[\s-]*1643|87,654\.32|5566-7788|99-1234")
KEPT = {
    "workflows_run", "workflows_step", "workflows_task", "workflows_attempt", "oversight_escalation",
    "core_idempotencykey",
}  # fmt: skip
"""Where the value itself is kept: what went in, what agents got and gave, what is before people, what was answered."""
PEOPLE = {"type": "string", "x-data-class": "people"}
HIRE = {
    "slug": "hire",
    "name": "Hire",
    "input": {"type": "object", "required": ["iban"], "properties": {"iban": PEOPLE, "team": {"type": "string"}}},
    "steps": {
        "check": {
            "agent": "person.check",
            "with": {"iban": "input.iban", "team": "input.team"},
            "output": {"type": "object", "required": ["salary"], "properties": {"salary": PEOPLE}},
            "retry": {"max": 1, "delay": "1s"},
            "on_error": {"then": "escalate", "to": "clerks"},
        },
        "details": {
            "needs": ["check"],
            "form": {
                "schema": {"type": "object", "required": ["tax"], "properties": {"tax": PEOPLE}},
                "context": {"said": "'Goes to ' + input.iban", "salary": "steps.check.salary"},
            },
            "queue": "clerks",
            "due": {"after": "1h"},
        },
        "agree": {
            "needs": ["details"],
            "approval": {"subject": "steps.details"},
            "queue": "clerks",
            "due": {"after": "1h"},
        },
        "enrol": {
            "needs": ["agree"],
            "operation": "hr.enrol",
            "with": {"account": "input.iban", "words": "'Tax ' + steps.details.tax", "pay": "steps.check.salary"},
        },
    },
}


class Case:
    """One run, an agent that works in it, who may see its people and who has every other right."""

    def __init__(self, url: str = "http://127.0.0.1:1029", *, cleared: bool = True, risk: str = "low") -> None:
        make_data_class(slug="people", name="People", visible_to=["officer"], retention_days=30)
        connector = make_connector(base_url=url, cleared=["people"] if cleared else [])
        made: dict[str, Any] = {"parameters": {"type": "object"}, "amount": None, "target": "account"}
        self.operation = make_operation(slug="hr.enrol", connector=connector, consequence="Enrols {account}.", **made)
        self.workflow = make_workflow({**HIRE, "risk": risk})
        self.queue = Queue.objects.get(slug="clerks")
        officer = make_approver(self.queue)
        grant(officer, make_role("audit.view_entry", slug="officer"), self.workflow.unit)
        stranger = make_admin()
        grant(stranger, make_role("oversight.decide_escalation", "oversight.view_escalation"))
        RoleGrant.objects.create(user=stranger, role=self.queue.role, granted_by=stranger)
        grant(officer, make_role("workflows.view_run"), self.workflow.unit)
        self.officer, self.stranger = Person(officer), Person(stranger)
        self.agent = make_worker(self.workflow, "person.check")
        self.api = Client(headers={"Authorization": f"Bearer {make_key_for(self.agent)}"})

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        headers = {"Idempotency-Key": str(uuid4())}
        answer = self.api.post(f"/api/v1{path}", json.dumps(body), content_type="application/json", headers=headers)
        assert answer.status_code == status, (answer.status_code, answer.content)
        return answer.json()

    def start(self) -> None:
        self.run_id = self.post("/runs/", {"workflow": "hire", "input": {"iban": IBAN, "team": "a"}}, 201)["id"]

    def task(self, verb: str, body: Any, status: int = 200) -> Any:
        (task,) = self.post("/tasks/claim/", {"limit": 1})["tasks"]
        assert task["input"]["iban"] == IBAN, "The agent sees what it works on."
        return self.post(f"/tasks/{task['id']}/{verb}/", {"lease": task["lease"]["token"], **body}, status)

    def item(self, **where: Any) -> Escalation:
        return Escalation.objects.get(run_id=self.run_id, state="pending", **where)

    def answer(self, person: Person, answer: Any) -> Any:
        said = person.decide(self.item(), "answer", answer=answer, key=str(uuid4()))
        assert said.status_code == 200, said.content
        work()
        return said

    def near(self) -> Iterator[str]:
        """Where the run, its items, actions and entries are the subject."""
        yield from (f"/runs/{self.run_id}/?tab={tab}&step=check" for tab in ("graph", "timeline", "data", "story"))
        yield from (f"/api/v1/runs/{self.run_id}/", "/runs/", "/api/v1/runs/", "/inbox/", "/inbox/focus/", "/")
        yield from (f"/audit/?trail={self.run_id}", f"/api/v1/audit/entries/?trail={self.run_id}")
        for pk in Escalation.objects.filter(run_id=self.run_id).values_list("pk", flat=True):
            yield from (f"/inbox/{pk}/", f"/inbox/{pk}/?decide=more", f"/api/v1/escalations/{pk}/")
        for pk in Action.objects.filter(run_id=self.run_id).values_list("pk", flat=True):
            yield from (f"/actions/{pk}/", f"/api/v1/actions/{pk}/")
        for pk in Entry.objects.filter(trail_id=self.run_id).values_list("pk", flat=True):
            yield f"/audit/{pk}/"

    def leaks(self) -> list[str]:
        return [address for address in self.near() if shows(self.stranger, address, CANARY) == 1]

    def through(self) -> None:
        """From the start to the end, as people and the agent do it."""
        self.start()
        assert self.leaks() == []
        self.task("complete", {"output": {"salary": SALARY}, "reasoning": f"She gets {SALARY}."})
        assert self.leaks() == []
        said = self.answer(self.officer, {"tax": TAX})
        assert said.status_code == 200
        assert self.leaks() == []
        assert self.stranger.decide(self.item(kind="approval"), key=str(uuid4())).status_code == 200
        work()


def test_no_page_of_a_run_shows_what_it_carries_to_who_may_not_see_it(system):
    case = Case(system.url)
    system.will(body=json.dumps({"number": "P-1", "for": TAX}).encode())
    case.through()
    assert Run.objects.get().state == "succeeded", Run.objects.get().error
    assert case.leaks() == []
    assert json.loads(system.asked[0][3]) == {"account": IBAN, "words": f"Tax {TAX}", "pay": SALARY}
    whole = [case.officer.get(f"/runs/{case.run_id}/"), case.officer.pages.get(f"/runs/{case.run_id}/?tab=data")]
    assert [secret for secret in SECRETS[:3] for seen in whole if secret not in seen.content.decode()] == []
    told = case.stranger.get(f"/runs/{case.run_id}/").json()
    assert told["input"] == {"iban": "[people/iban hidden]", "team": "a"}
    assert [told["steps"][at]["output"] for at in (0, 1)] == [
        {"salary": "[people/salary hidden]"},
        {"tax": "[people/tax hidden]", "decided_by": [case.officer.user.username]},
    ]
    action = case.stranger.get(f"/actions/{Action.objects.get().pk}/").json()
    assert action["consequence"] == "Enrols [people/account hidden]."
    named = [case.agent.slug, case.operation.slug, case.operation.connector.slug, case.workflow.slug]
    seen = {address: shows(case.stranger, address, CANARY) for address in addresses(*named)}
    assert [address for address, shown in seen.items() if shown == 1] == []
    assert sum(shown == 0 for shown in seen.values()) > 100


def test_what_an_agent_asks_about_a_run_and_what_people_answer_is_hidden_and_reaches_the_agent():
    case = Case()
    case.start()
    form = {"type": "object", "required": ["badge"], "properties": {"badge": PEOPLE}}
    odd = {"type": "object", "properties": {"badge": {"type": "string", "x-data-class": "nobody"}}}
    (task,) = case.post("/tasks/claim/", {"limit": 1})["tasks"]
    asked = {"lease": task["lease"]["token"], "question": f"Whose is {IBAN.lower()}?"}
    refused = case.post(f"/tasks/{task['id']}/ask/", {**asked, "schema": odd}, 422)
    assert list(refused["errors"]) == ["schema.properties.badge.x-data-class"]
    assert not Escalation.objects.exists()
    case.post(f"/tasks/{task['id']}/ask/", {**asked, "schema": form}, 201)
    assert case.leaks() == []
    item = case.item()
    assert case.officer.get(f"/escalations/{item.pk}/").json()["subject"]["input"]["iban"] == IBAN
    assert case.stranger.get(f"/escalations/{item.pk}/").json()["subject"]["question"].startswith("Whose is [people/")
    case.answer(case.officer, {"badge": BADGE})
    assert case.officer.get(f"/escalations/{item.pk}/").json()["answer"] == {"badge": BADGE}
    assert case.leaks() == []
    (task,) = case.post("/tasks/claim/", {"limit": 1})["tasks"]
    assert task["context"]["answers"][0]["answer"] == {"badge": BADGE}
    done = {"lease": task["lease"]["token"], "output": {"salary": SALARY, "note": f"Her badge is {BADGE}."}}
    case.post(f"/tasks/{task['id']}/complete/", done)
    assert "[people/badge hidden]" in str(case.stranger.get(f"/runs/{case.run_id}/").json()["steps"])
    assert case.leaks() == []


def test_what_agents_say_went_wrong_is_marked_in_the_ledger_and_before_people():
    case = Case()
    case.start()
    error = {"code": "bad", "message": f"{IBAN} is no account."}
    case.task("fail", {"error": error, "retryable": False})
    work()
    assert case.item().kind == "exception"
    assert case.leaks() == []
    assert places_of(IBAN) <= KEPT
    assert "[people/iban hidden] is no account." in str([entry.payload for entry in Entry.objects.all()])


def test_no_message_about_a_run_carries_what_is_classed(system, mail):
    case = Case(risk="high")  # told at once
    make_reachable(case.officer.user, case.queue, system.url)
    system.will(body=b"{}")
    case.start()
    case.task("complete", {"output": {"salary": SALARY}})
    work()
    tell()
    parts = [part.get_content() for each in mail.letters for part in each.walk() if not part.is_multipart()]
    told = [*parts, *(each["Subject"] for each in mail.letters), *map(str, system.asked)]
    assert told
    assert [each for each in told if CANARY.search(each)] == []
    assert places_of(SALARY) | places_of(IBAN) <= KEPT


def test_what_a_run_carries_leaves_only_for_systems_that_are_cleared(system):
    case = Case(system.url, cleared=False)
    permit(case.agent.user, case.operation)
    case.start()
    (task,) = case.post("/tasks/claim/", {"limit": 1})["tasks"]
    body = {"operation": "hr.enrol", "parameters": {"account": f"To {IBAN}"}, "task": task["id"]}
    refused = case.post("/actions/", body, 403)
    assert (refused["code"], list(refused["errors"])) == ("not_cleared", ["parameters.account"])
    case.post(f"/tasks/{task['id']}/complete/", {"lease": task["lease"]["token"], "output": {"salary": SALARY}})
    case.answer(case.officer, {"tax": TAX})
    case.stranger.decide(case.item(kind="approval"), key="one")
    work()
    assert case.stranger.get(f"/runs/{case.run_id}/").json()["steps"][3]["error"]["code"] == "not_cleared"
    assert case.leaks() == []
    assert system.asked == []
    assert not Action.objects.exists()


def test_what_a_run_carried_is_erased_when_its_time_is_up_and_what_proves_it_stays(system):
    case = Case(system.url)
    system.will(body=json.dumps({"number": "P-1", "for": TAX}).encode())
    case.through()
    digest, entries = Action.objects.get().digest, Entry.objects.filter(trail_id=case.run_id).count()
    assert (runs_kept(case), runs_kept(case, elsewhere=True)) == ((1, 0, 0, 0, 0), (0, 0, 0, 0, 0))
    assert erase_ended() == 0
    Run.objects.update(finished_at=F("finished_at") - timedelta(days=31))
    assert runs_kept(case) == (1, 0, 1, 0, 0)
    assert erase_ended() == 1
    assert (runs_kept(case), runs_kept(case, elsewhere=True)) == ((0, 0, 0, 1, 1), (0, 0, 0, 0, 0))
    assert [places_of(secret) for secret in SECRETS] == [set()] * 4
    assert Run.objects.get().erased_by == "plane"
    assert Action.objects.get().digest == digest
    assert Entry.objects.filter(trail_id=case.run_id).count() == entries + 1
    assert proof_for(system_user("console")).mismatches == ()
    assert case.officer.pages.get(f"/runs/{case.run_id}/?tab=data").status_code == 200


def test_what_people_answered_to_an_agent_alone_is_erased_by_its_class():
    case = Case()
    make_data_class(slug="badges", retention_days=5)
    case.start()
    schema = {"type": "object", "properties": {"badge": {"type": "string", "x-data-class": "badges"}}}
    case.task("ask", {"question": "Which badge?", "schema": schema}, 201)
    assert runs_kept(case, "badges") == (0, 0, 0, 0, 0), "nobody has said anything of it yet"
    assert runs_kept(case) == (1, 1, 0, 0, 0)
    case.answer(case.officer, {"badge": BADGE})
    assert runs_kept(case, "badges") == (1, 1, 0, 0, 0)
    cancel = case.stranger.post(f"/runs/{case.run_id}/cancel/", {"reason": "Over."})
    assert cancel.status_code == 200
    work()
    Run.objects.update(finished_at=F("finished_at") - timedelta(days=6))
    assert erase_ended() == 1
    assert places_of(BADGE) == set()
    assert runs_kept(case, "badges") == (0, 0, 0, 0, 0), "what the question was about went as well"
    assert runs_kept(case) == (0, 0, 0, 1, 1)


def runs_kept(case: Case, slug: str = "people", *, elsewhere: bool = False) -> tuple[int, int, int, int, int]:
    """What the report of who reads the ledger of the run's unit, or of another, counts of runs."""
    unit = make_unit() if elsewhere else case.workflow.unit
    auditor = Person(make_holder("audit.view_entry", unit=unit))
    told = auditor.get(f"/data-classes/{slug}/").json()["runs"]
    assert f"{told['kept']} run" in auditor.page(f"/data-classes/{slug}/")
    return told["kept"], told["open"], told["due"], told["erased"], told["by_retention"]
