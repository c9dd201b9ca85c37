"""Runs and tasks over HTTP, as agents and people call them."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.services import expire_leases, pause_run, resume_run
from tests.factories.access import make_approver, make_holder, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.workflows import deliver_all, make_worker, make_workflow, permit_workflow

pytestmark = pytest.mark.django_db

CHECK = """
kind: Workflow
slug: check
name: Check
unit: finance
input: {type: object, additionalProperties: false, required: [n], properties: {n: {type: integer}}}
key: "'n:' + string(input.n)"
steps:
  look:
    agent: check.look
    with: {n: "input.n"}
    output: {type: object, required: [fine], properties: {fine: {type: boolean}}}
    retry: {max: 1, delay: 1s}
    on_error: {then: escalate, to: clerks}
  confirm:
    needs: [look]
    when: "!steps.look.fine"
    approval: {subject: "steps.look"}
    queue: clerks
    due: {after: 1h}
"""


class Door:
    """One principal at the API."""

    def __init__(self, key: str = "") -> None:
        self.client = Client(headers={"authorization": f"Bearer {key}"} if key else {})

    def post(self, path: str, body: Any, status: int, **headers: str) -> dict[str, Any]:
        answer = self.client.post(
            f"/api/v1{path}", json.dumps(body), content_type="application/json", headers=headers or None
        )
        assert answer.status_code == status, (answer.status_code, answer.content)
        return dict(answer.json())

    def get(self, path: str, status: int = 200) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == status, (answer.status_code, answer.content)
        return dict(answer.json())

    def start(self, given: Any, status: int = 201, **more: Any) -> dict[str, Any]:
        body = {"workflow": "check", "input": given, **more}
        return self.post("/runs/", body, status, **{"Idempotency-Key": str(uuid4())})

    def claim(self, limit: int = 1) -> list[dict[str, Any]]:
        return list(self.post("/tasks/claim/", {"limit": limit}, 200)["tasks"])

    def end(self, task: dict[str, Any], verb: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
        return self.post(f"/tasks/{task['id']}/{verb}/", {"lease": task["lease"]["token"], **body}, status)


@pytest.fixture
def worker() -> Agent:
    return make_worker(make_workflow(CHECK), "check.look")


@pytest.fixture
def door(worker: Agent) -> Door:
    return Door(make_key_for(worker))


def test_a_run_is_started_worked_and_read(door: Door, worker: Agent) -> None:
    run = door.start({"n": 1})
    assert (run["state"], run["key"], run["final"]) == ("running", "n:1", False)
    assert run["waiting_for"][0]["kind"] == "agent"
    (task,) = door.claim()
    assert (task["step"], task["input"], task["attempt"], task["run"]) == ("look", {"n": 1}, 1, run["id"])
    assert door.end(task, "complete", {"output": {"fine": True}}) == {"state": "succeeded", "run": run["id"]}
    found = door.get(f"/runs/{run['id']}/")
    assert (found["outcome"], found["final"], found["waiting_for"]) == ("completed", True, [])
    assert [(step["name"], step["state"]) for step in found["steps"]] == [("look", "done"), ("confirm", "skipped")]
    assert [line["id"] for line in door.get("/runs/?workflow=check&state=succeeded")["results"]] == [run["id"]]


def test_an_idempotency_key_is_required_and_replays_the_answer(door: Door) -> None:
    body = {"workflow": "check", "input": {"n": 1}}
    assert door.post("/runs/", body, 400)["code"] == "idempotency_key_required"
    first = door.post("/runs/", body, 201, **{"Idempotency-Key": "k"})
    again = door.post("/runs/", body, 201, **{"Idempotency-Key": "k"})
    assert again["id"] == first["id"]
    assert Run.objects.count() == 1


def test_a_second_open_run_with_one_key_is_refused_with_the_id_of_the_first(door: Door) -> None:
    first = door.start({"n": 1})
    refused = door.start({"n": 1}, 409)
    assert (refused["code"], refused["run"]) == ("duplicate_key", first["id"])
    assert Run.objects.count() == 1
    (task,) = door.claim()
    door.end(task, "complete", {"output": {"fine": True}})
    door.start({"n": 1})  # the first is over


def test_input_that_misses_the_schema_starts_nothing(door: Door) -> None:
    assert "input.n" in door.start({"n": "1"}, 422)["errors"]
    assert "input" in door.start({"n": 1, "m": 2}, 422)["errors"]
    assert "key" in door.start({"n": 1}, 422, key="other")["errors"]
    assert Run.objects.count() == 0


def test_a_stranger_sees_and_starts_nothing(door: Door) -> None:
    run = door.start({"n": 1})
    stranger = Door(make_key_for(make_agent(capabilities=["check.look"])))
    assert stranger.start({"n": 2}, 404)["code"] == "not_found"
    assert stranger.claim() == []
    stranger.get(f"/runs/{run['id']}/", 404)
    task = Task.objects.get()
    assert stranger.post(f"/tasks/{task.pk}/complete/", {"lease": "1", "output": {}}, 404)["code"] == "not_found"
    assert Task.objects.get().state == "ready"


def test_an_output_that_misses_the_schema_leaves_the_task_held(door: Door) -> None:
    door.start({"n": 1})
    (task,) = door.claim()
    assert "output.fine" in door.end(task, "complete", {"output": {"fine": "yes"}}, 422)["errors"]
    assert Task.objects.get().state == "claimed"
    door.end(task, "complete", {"output": {"fine": True}})


def test_the_same_completion_twice_is_accepted_and_another_is_a_conflict(door: Door) -> None:
    door.start({"n": 1})
    (task,) = door.claim()
    first = door.end(task, "complete", {"output": {"fine": True}})
    assert door.end(task, "complete", {"output": {"fine": True}}) == first
    assert door.end(task, "complete", {"output": {"fine": False}}, 409)["code"] == "completion_conflict"
    assert Attempt.objects.filter(state="done").count() == 1
    assert Entry.objects.filter(name="run.succeeded").count() == 1


def test_a_late_completion_is_refused_and_kept_and_the_task_is_another_s(door: Door, worker: Agent) -> None:
    run = door.start({"n": 1})
    (task,) = door.claim()
    Task.objects.update(lease_until=ClockTimestamp())
    assert expire_leases() == 1
    second = make_agent(unit=worker.unit, capabilities=["check.look"])
    permit_workflow(second, Run.objects.get().workflow)
    other = Door(make_key_for(second))
    (again,) = other.claim()
    assert (again["id"], again["attempt"]) == (task["id"], 2)
    assert again["idempotency_key"] == task["idempotency_key"]
    assert door.end(task, "complete", {"output": {"fine": False}}, 409)["code"] == "lease_lost"
    assert Attempt.objects.filter(state="late").get().output == {"fine": False}
    assert other.end(again, "complete", {"output": {"fine": True}})["state"] == "succeeded"
    assert door.get(f"/runs/{run['id']}/")["steps"][0]["output"] == {"fine": True}
    assert list(Attempt.objects.order_by("id").values_list("state", flat=True)) == ["lost", "late", "done"]


def test_a_failed_try_is_repeated_then_people_are_asked(door: Door) -> None:
    door.start({"n": 1})
    (task,) = door.claim()
    error = {"error": {"code": "down", "message": "No answer."}, "retryable": True}
    door.end(task, "fail", error)
    door.end(task, "fail", error)  # the same again changes nothing
    assert Task.objects.get().state == "scheduled"
    Task.objects.update(state="ready", not_before=None)
    (again,) = door.claim()
    assert (again["attempt"], again["context"]["last_error"]["code"]) == (2, "down")
    assert door.end(again, "fail", error)["state"] == "waiting"
    item = Escalation.objects.get()
    assert (item.kind, item.schema["properties"]["resolution"]["enum"]) == ("exception", ["retry", "skip", "fail"])


def test_a_released_task_counts_as_no_try(door: Door) -> None:
    door.start({"n": 1})
    (task,) = door.claim()
    door.end(task, "release", {})
    assert door.end(task, "complete", {"output": {"fine": True}}, 409)["code"] == "lease_lost"
    (again,) = door.claim()
    assert Task.objects.get().failures == 0
    assert door.end(again, "complete", {"output": {"fine": True}})["state"] == "succeeded"


def test_an_agent_asks_and_gets_the_task_back_with_the_answer(door: Door) -> None:
    run = door.start({"n": 1})
    (task,) = door.claim()
    said = door.end(task, "ask", {"question": "Is 1 fine?", "options": ["yes", "no"]}, 201)
    assert door.claim() == []
    assert door.get(f"/runs/{run['id']}/")["state"] == "waiting"
    assert door.end(task, "complete", {"output": {"fine": True}}, 409)["code"] == "lease_lost"
    item = Escalation.objects.get(pk=said["escalation"]["id"])
    clerk = make_approver(item.groups.get().queue, username="ada")
    from apps.oversight.services import cast_vote

    cast_vote(clerk, escalation_id=item.pk, verdict="answer", version=item.version, answer="yes")
    deliver_all()
    (again,) = door.claim()
    (answer,) = again["context"]["answers"]
    assert (answer["question"], answer["answer"], answer["answered_by"]) == ("Is 1 fine?", "yes", ["ada"])
    assert door.end(again, "complete", {"output": {"fine": True}})["state"] == "succeeded"


def test_a_heartbeat_keeps_the_lease_and_tells_of_a_cancelled_run(door: Door) -> None:
    run = door.start({"n": 1})
    (task,) = door.claim()
    beat = door.end(task, "heartbeat", {})
    assert (beat["instruction"], beat["cancel_requested"]) == ("continue", False)
    person = make_holder("workflows.view_run", "workflows.operate_run")
    from apps.workflows.services import cancel_run

    cancel_run(person, run_id=run["id"], reason="Not needed.")
    beat = door.end(task, "heartbeat", {})
    assert (beat["instruction"], beat["cancel_requested"]) == ("cancel", True)
    assert door.end(task, "complete", {"output": {"fine": True}}, 409)["code"] == "lease_lost"
    assert Run.objects.get().state == "cancelled"


def test_an_agent_holds_no_more_than_its_limit(worker: Agent, door: Door) -> None:
    Agent.objects.filter(pk=worker.pk).update(limits={"max_concurrent": 2})
    for number in range(3):
        door.start({"n": number})
    assert len(door.claim(limit=5)) == 2
    assert door.claim(limit=5) == []
    assert Task.objects.filter(state="ready").count() == 1


def test_halts_stop_claims_and_starts(door: Door, worker: Agent) -> None:
    from apps.core.services import system_user
    from apps.halts.models import Halt

    door.start({"n": 1})
    halt = Halt.objects.create(scope="workflow", target="check", reason="Look first.", engaged_by=make_user())
    assert door.claim() == []  # tasks of a halted workflow are passed over
    assert door.start({"n": 2}, 423)["reason"] == "Look first."
    halt.delete()
    Halt.objects.create(scope="agent", target=worker.slug, reason="Odd.", engaged_by=system_user("plane"))
    assert door.post("/tasks/claim/", {}, 423)["scope"] == "agent"
    assert Run.objects.count() == 1


def test_bad_bodies_are_refused_with_their_fields(door: Door) -> None:
    assert "limt" in door.post("/tasks/claim/", {"limt": 1}, 422)["errors"]
    assert "limit" in door.post("/tasks/claim/", {"limit": "1"}, 422)["errors"]
    door.get("/runs/?stat=x", 422)
    door.get("/runs/?state=sleeping", 422)


def test_people_pause_resume_and_cancel_with_a_reason(door: Door) -> None:
    from apps.access.models import PersonalToken  # noqa: F401 - the token's door is tested in its own app

    run = door.start({"n": 1})
    assert door.post(f"/runs/{run['id']}/pause/", {"reason": "x"}, 200)["state"] == "paused"  # it started the run
    (task,) = Task.objects.all()
    assert task.state == "blocked"
    assert door.claim() == []
    assert door.get(f"/runs/{run['id']}/")["waiting_for"][0]["kind"] == "person_to_resume"
    assert door.post(f"/runs/{run['id']}/resume/", {}, 200)["state"] == "running"
    assert len(door.claim()) == 1
    assert door.post(f"/runs/{run['id']}/cancel/", {}, 422)["errors"]["reason"]
    assert door.post(f"/runs/{run['id']}/cancel/", {"reason": "Enough."}, 200)["state"] == "cancelled"
    assert door.post(f"/runs/{run['id']}/cancel/", {"reason": "Enough."}, 409)["code"] == "invalid_state"


def test_what_a_person_let_rest_no_agent_goes_on_with(door: Door) -> None:
    olga = make_holder("workflows.operate_run", "workflows.view_run")
    run = door.start({"n": 1})
    door.post(f"/runs/{run['id']}/pause/", {"reason": "x"}, 200)
    door.post(f"/runs/{run['id']}/resume/", {}, 200)
    pause_run(olga, run_id=run["id"], reason="Look first.")
    assert door.post(f"/runs/{run['id']}/resume/", {}, 403)["code"] == "not_allowed"
    assert door.claim() == []
    assert resume_run(olga, run_id=run["id"]).state == "running"
    assert len(door.claim()) == 1


def test_what_is_completed_while_a_run_is_paused_counts_when_it_is_resumed(door: Door) -> None:
    run = door.start({"n": 1})
    (task,) = door.claim()
    door.post(f"/runs/{run['id']}/pause/", {"reason": "x"}, 200)
    assert door.end(task, "complete", {"output": {"fine": True}})["state"] == "paused"
    assert Task.objects.get().state == "held"
    assert door.post(f"/runs/{run['id']}/resume/", {"reason": "y"}, 200)["state"] == "succeeded"
    assert Task.objects.count() == 0
