"""Usage: agents report what their own work used, and nobody else does."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.telemetry.models import UsageRecord
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.access import make_admin
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.workflows import make_run, make_worker, make_workflow

pytestmark = pytest.mark.django_db
USAGE = {"model": "large", "input_tokens": 1000, "output_tokens": 100}


def post(key: str, body: Any, **headers: str) -> Any:
    answer = Client().post(
        "/api/v1/usage/",
        data=json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}", **headers},
    )
    answer.body = json.loads(answer.content)  # type: ignore[attr-defined]
    return answer


@pytest.fixture
def agent() -> Agent:
    return make_agent()


def test_an_agent_reports_for_its_own_action_and_the_ledger_tells(agent: Agent) -> None:
    run = uuid4()
    action = make_action(agent=agent, run_id=run, workflow="order")
    answer = post(make_key_for(agent), {**USAGE, "action": str(action.id), "cache_read_tokens": 400})
    assert answer.status_code == 201
    assert (answer.body["action"], answer.body["run"]) == (str(action.id), str(run))
    entry = Entry.objects.get(name="usage.recorded")
    assert (entry.trail_id, entry.unit) == (run, agent.unit_id)
    assert entry.payload["cache_read_tokens"] == 400
    assert entry.payload["agent"] == agent.slug


def test_an_agent_reports_for_its_task_while_it_holds_it_and_afterwards() -> None:
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}})
    worker, other = make_worker(flow, "order.check"), make_worker(flow, "order.check")
    run = make_run(flow)
    (task,) = claim_tasks(worker.user)
    key = make_key_for(worker)
    assert post(key, {**USAGE, "task": str(task.pk)}).status_code == 201
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
    assert post(key, {**USAGE, "task": str(task.pk)}).status_code == 201
    assert post(key, {**USAGE, "run": str(run.pk)}).body["run"] == str(run.pk)
    for named in ("task", "run"):
        wanted = {"task": task.pk, "run": run.pk}[named]
        assert post(make_key_for(other), {**USAGE, named: str(wanted)}).status_code == 404
    assert UsageRecord.objects.count() == 3


def test_work_of_others_and_work_that_is_not_there_are_the_same_404(agent: Agent) -> None:
    key = make_key_for(agent)
    for action in (make_action().id, uuid4()):
        answer = post(key, {**USAGE, "action": str(action)})
        assert (answer.status_code, answer.body["code"]) == (404, "not_found")
    assert not UsageRecord.objects.exists()


def test_people_report_no_usage() -> None:
    admin = make_admin()
    answer = post(create_token(admin, user=admin, days=1), {**USAGE, "action": str(make_action().id)})
    assert answer.status_code == 403
    assert not UsageRecord.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({}, "run"),
        ({"action": str(uuid4()), "run": str(uuid4())}, "run"),
        ({"action": "nonsense"}, "action"),
        ({"input_tokens": "1000", "action": str(uuid4())}, "input_tokens"),
        ({"input_tokens": -1, "action": str(uuid4())}, "input_tokens"),
        ({"output_tokens": 1.5, "action": str(uuid4())}, "output_tokens"),
        ({"cache_read_tokens": 1001, "action": str(uuid4())}, "cache_read_tokens"),
        ({"colour": "blue", "action": str(uuid4())}, "colour"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_kept(agent: Agent, change: Any, field: str) -> None:
    answer = post(make_key_for(agent), {**USAGE, **change})
    assert (answer.status_code, answer.body["code"]) == (422, "invalid")
    assert field in answer.body["errors"]
    assert not UsageRecord.objects.exists()


def test_a_repeat_with_the_same_key_counts_once(agent: Agent) -> None:
    action, key = make_action(agent=agent), make_key_for(agent)
    body = {**USAGE, "action": str(action.id)}
    first = post(key, body, **{"Idempotency-Key": "u1"})
    again = post(key, body, **{"Idempotency-Key": "u1"})
    assert again.body == first.body
    assert again["Idempotency-Replayed"] == "true"
    assert UsageRecord.objects.count() == 1
