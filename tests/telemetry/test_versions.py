"""Which version an agent says that it is: shown, found, and held against the one whose request brought the span."""

from typing import Any

import pytest

from apps.agents.models import Agent, AgentVersion
from apps.core.rules import digest_of
from apps.kpis.models import ActionFact
from apps.telemetry.models import Span
from apps.telemetry.services import erase_reports
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.access import make_holder
from tests.factories.agents import make_agent
from tests.factories.telemetry import CHAT, body_of, rejected, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_folding import DOCUMENT, fold
from tests.oversight.test_api import caller
from tests.telemetry.test_looking import SEE_RUN, VIEW, listed, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> Agent:
    return make_agent()


def told(worker: Agent, number: int, version: str | None, **more: Any) -> Span:
    said = {} if version is None else {"gen_ai.agent.version": version}
    assert rejected(send(worker, body_of(span(number, {**said, **more})))) == 0
    return Span.objects.get(span_id=f"{number:016x}")


def second_version(agent: Agent) -> AgentVersion:
    two = AgentVersion.objects.create(
        agent=agent, number=2, state="pilot", model="none", digest=digest_of({}), made_by=agent.owner
    )
    Agent.objects.filter(pk=agent.pk).update(version=two)
    return two


def test_the_word_is_kept_beside_the_version_that_sent_it(worker: Agent) -> None:
    for number, version in enumerate(["1", "v2", "1.4.2", None], 1):
        told(worker, number, version)
    rows = caller(make_holder(VIEW)).get("/api/v1/spans/").json()["results"]
    read = {(row["told_version"], row["sent_as"], row["version_differs"]) for row in rows}
    assert read == {("1", 1, False), ("v2", 1, True), ("1.4.2", 1, False), ("", 1, False)}
    page = signed_in(make_holder(VIEW)).get("/spans/").content.decode()
    assert page.count("Other version") == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("version=2", ["2", "3"]),
        ("version=v2", ["2", "3"]),
        ("version=1", ["1", "5"]),
        ("version=1.4.2", ["4"]),
        ("version=1.4", []),
        ("version=%5B", []),
        ("version=22", []),
    ],
)
def test_spans_are_found_by_version(worker: Agent, query: str, found: list[str]) -> None:
    for number, version in enumerate(["1", "v2", "02", "1.4.2", None], 1):
        told(worker, number, version)
    viewer = make_holder(VIEW)
    assert listed(viewer, query) == found
    assert signed_in(viewer).get(f"/spans/?{query}").status_code == 200
    assert caller(viewer).get(f"/api/v1/spans/?version={'1' * 101}").status_code == 422


def test_a_span_says_as_which_version_its_task_was_taken(worker: Agent) -> None:
    """A new version took over before what the old one did was sent."""
    flow = make_workflow(DOCUMENT)
    one = make_worker(flow, "order.check")
    make_run(flow)
    (task,) = claim_tasks(one.user)
    complete_task(one.user, task_id=task.pk, lease=str(task.fence), output={"ok": True})
    second_version(one)
    found = told(one, 1, "1", **{"acp.task.id": str(task.pk)})
    assert (found.sent_as, found.is_of_other_version) == (2, True)
    page = signed_in(make_holder(VIEW, SEE_RUN)).get(f"/spans/{found.pk}/").content.decode()
    assert "1 by its own word" in page
    assert "sent as version 2" in page
    assert "its task was taken as version 1" in page


def test_it_goes_with_the_words_of_an_erased_trail(worker: Agent) -> None:
    flow = make_workflow(DOCUMENT)
    one = make_worker(flow, "order.check")
    run: Run = make_run(flow)
    (task,) = claim_tasks(one.user)
    found = told(one, 1, "for Mrs Zanzibar", **{"acp.task.id": str(task.pk)})
    erase_reports(one.user, trail=run.pk)
    assert Span.objects.get(pk=found.pk).told_version == ""


def test_what_a_call_cost_stands_beside_what_its_agent_says(worker: Agent) -> None:
    flow = make_workflow(DOCUMENT)
    one = make_worker(flow, "order.check")
    make_run(flow)
    (task,) = claim_tasks(one.user)
    found = told(one, 1, None, **CHAT, **{"acp.task.id": str(task.pk), "llm.cost.total": 1.25})
    fold()
    page = signed_in(make_holder(VIEW, SEE_RUN, "kpis.view_kpi")).get(f"/spans/{found.pk}/").content.decode()
    assert "1.25 USD by its own word" in page
    assert "no price" in page
    page = signed_in(make_holder(VIEW, SEE_RUN)).get(f"/spans/{found.pk}/").content.decode()
    assert "no price" not in page


def test_what_an_agent_finds_of_its_own_work_is_no_judgement(worker: Agent) -> None:
    flow = make_workflow(DOCUMENT)
    one = make_worker(flow, "order.check")
    make_run(flow)
    (task,) = claim_tasks(one.user)
    praise = {"gen_ai.evaluation.name": "correctness", "gen_ai.evaluation.score.value": 1.0,
              "gen_ai.evaluation.score.label": "right", "gen_ai.evaluation.explanation": "flawless"}  # fmt: skip
    found = told(one, 1, None, **praise, **{"openinference.span.kind": "EVALUATOR", "acp.task.id": str(task.pk)})
    fold()
    assert found.operation == "evaluate"
    assert set(found.attributes) & set(praise) == set(praise) - {"gen_ai.evaluation.explanation"}
    assert not ActionFact.objects.exists()
