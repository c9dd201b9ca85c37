"""The list of runs says of each what its page says that it waits for, and asks the database no more for many."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Agent
from apps.workflows.models import Run, Timer, Workflow
from apps.workflows.services import ask_about_task, claim_tasks, pause_run
from tests.factories.access import make_admin, make_queue
from tests.factories.workflows import carry_out, make_run, make_worker, make_workflow, waiting_action

pytestmark = pytest.mark.django_db

CHECKED = {
    "exclusive": "input.on",
    "input": {"type": "object", "required": ["on"], "properties": {"on": {"type": "string"}}},
    "steps": {"check": {"agent": "lab.check"}, "do": {"needs": ["check"], "operation": "lab.one"}},
}
PLAIN = {"slug": "plain", "name": "Plain", "steps": {"do": {"operation": "lab.two"}}}


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_admin())
    return client


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(CHECKED)


@pytest.fixture
def worker(workflow: Workflow) -> Agent:
    return make_worker(workflow, "lab.check")


def words(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", markup).split())


def listed(client: Client, run: Run) -> str:
    page = client.get("/runs/").content.decode()
    line = page.partition(f'<th scope="row"><a href="/runs/{run.pk}/">')[2].partition("</tr>")[0]
    return words(line.split("<td")[3].partition(">")[2])


def on_its_page(client: Client, run: Run) -> str:
    page = client.get(f"/runs/{run.pk}/").content.decode()
    return words(page.partition('aria-labelledby="waits"')[2].partition("</section>")[0])


def is_as_on_its_page(client: Client, run: Run) -> str:
    said = listed(client, run)
    assert said
    assert said in on_its_page(client, run)
    return said


def test_a_run_whose_agent_asked_people_waits_for_people(admin: Client, workflow: Workflow, worker: Agent) -> None:
    queue = make_queue(unit=workflow.unit)
    run = make_run(workflow, {"on": "a"})
    (task,) = claim_tasks(worker.user)
    ask_about_task(worker.user, task_id=task.pk, lease=str(task.fence), question="Is it fine?")
    assert is_as_on_its_page(admin, run) == f"Check people of {queue.slug}"


def test_what_agents_have_or_may_take_is_said(admin: Client, workflow: Workflow, worker: Agent) -> None:
    run = make_run(workflow, {"on": "a"})
    assert is_as_on_its_page(admin, run) == "Check an agent with the capability lab.check"
    claim_tasks(worker.user)
    assert is_as_on_its_page(admin, run) == f"Check in the hands of {worker.slug}"


def test_each_run_is_told_its_own(admin: Client, workflow: Workflow) -> None:
    first, second = make_run(workflow, {"on": "a"}), make_run(workflow, {"on": "a"})
    other = make_run(make_workflow(PLAIN), {})
    assert is_as_on_its_page(admin, second) == "its turn: another run works on a that run"
    assert is_as_on_its_page(admin, other) == "Do lab.two"
    pause_run(make_admin(), run_id=other.pk, reason="Look.")
    assert "somebody to resume it" in listed(admin, other)
    assert is_as_on_its_page(admin, first) == "Check an agent with the capability lab.check"


def test_an_operation_that_failed_says_when_it_is_tried_again_and_leads_to_why(admin: Client) -> None:
    """For as long as tries are left nothing else says what is wrong."""
    steps = {"do": {"operation": "lab.two", "retry": {"max": 2, "delay": "1h"}}}
    run = make_run(make_workflow({"slug": "tried", "name": "Tried", "steps": steps}), {})
    action = waiting_action(run, "do")
    carry_out(action, code="timed_out")
    again = Timer.objects.get(kind="retry")
    assert is_as_on_its_page(admin, run) == f"Do failed, to be tried again {again.fire_at:%H:%M}"
    page = admin.get(f"/runs/{run.pk}/").content.decode()
    assert f'<a href="/actions/{action.pk}/">Do</a>' in page
    assert "No." in words(admin.get(f"/actions/{action.pk}/").content.decode())
    assert "No." not in words(page.partition('aria-labelledby="waits"')[2].partition("</section>")[0]), (
        "it may be classed"
    )


def test_many_runs_ask_the_database_no_more_than_two(admin: Client, workflow: Workflow) -> None:
    counts = []
    for _ in range(2):
        for number in range(2 if not counts else 6):
            make_run(workflow, {"on": f"{len(counts)}-{number}"})
        admin.get("/runs/")
        with CaptureQueriesContext(
            connection,
        ) as asked:
            admin.get("/runs/")
        counts.append(len(asked))
    assert counts[0] == counts[1]
