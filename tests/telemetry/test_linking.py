"""What spans belong to: by their own word, by the trace that the plane gave, by their conversation; never others'."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from opentelemetry import trace as otel
from opentelemetry.baggage import get_all
from opentelemetry.propagate import extract

from apps.agents.models import Agent
from apps.agents.rules.traces import span_id_of
from apps.core.errors import ConflictError
from apps.telemetry.models import Span, UsageRecord
from apps.workflows.models import Attempt, Run
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.telemetry import CHAT, SECOND, TRACE, body_of, now_ns, rejected, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow

pytestmark = pytest.mark.django_db
TALK = {"gen_ai.conversation.id": "talk-1"}


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    return make_worker(run.workflow, "order.check")


def ask(agent: Agent, address: str, body: Any = None) -> Any:
    client, key = Client(), make_key_for(agent)
    headers = {"Authorization": f"Bearer {key}"}
    if body is None:
        return client.get(address, headers=headers).json()
    return client.post(address, json.dumps(body), content_type="application/json", headers=headers).json()


def below(carrier: dict[str, Any]) -> dict[str, Any]:
    """Fields of a span that continues what the plane handed over, as OpenTelemetry itself reads it."""
    above = otel.get_current_span(extract(carrier)).get_span_context()
    assert above.is_valid
    assert above.trace_flags.sampled
    return {"traceId": f"{above.trace_id:032x}", "parentSpanId": f"{above.span_id:016x}"}


def links() -> list[tuple[Any, ...]]:
    return list(Span.objects.order_by("span_id").values_list("run_id", "task_id", "action_id", "linked_by"))


def test_a_task_carries_a_trace_and_what_continues_it_is_the_tasks(run: Run, worker: Agent) -> None:
    (task,) = ask(worker, "/api/v1/tasks/claim/", {})["tasks"]
    assert get_all(extract(task)) == {"acp.run.id": str(run.pk), "acp.step.id": task["id"]}
    top = span(1, {}, **below(task))
    deeper = span(2, CHAT, parent=1, trace=top["traceId"])
    assert rejected(send(worker, body_of(deeper))) == 0
    assert rejected(send(worker, body_of(top))) == 0
    assert [(str(found[0]), found[3]) for found in links()] == [(str(run.pk), "trace"), (str(run.pk), "trace")]
    assert str(Span.objects.get(span_id__endswith="1").task_id) == task["id"]
    assert UsageRecord.objects.get().run_id == run.pk


def test_the_trace_of_a_task_that_ended_still_links_to_it(run: Run, worker: Agent) -> None:
    (task,) = ask(worker, "/api/v1/tasks/claim/", {})["tasks"]
    complete_task(worker.user, task_id=task["id"], lease=task["lease"]["token"], output={})
    send(worker, body_of(span(1, CHAT, **below(task))))
    assert str(UsageRecord.objects.get().task_id) == task["id"]


def test_an_action_carries_a_trace_in_a_run_and_outside_of_one() -> None:
    agent = make_agent()
    inside, outside = make_action(agent=agent, run_id=uuid4()), make_action(agent=agent)
    for number, action in enumerate((inside, outside), start=1):
        shown = ask(agent, f"/api/v1/actions/{action.pk}/")
        assert get_all(extract(shown))["acp.action.id"] == str(action.pk)
        send(agent, body_of(span(number, CHAT, **below(shown))))
    assert Span.objects.get(span_id__endswith="2").action_id == outside.pk
    assert set(UsageRecord.objects.values_list("action_id", flat=True)) >= {outside.pk}


def test_a_span_of_the_runs_trace_below_nothing_that_is_known_is_the_runs(run: Run, worker: Agent) -> None:
    claim_tasks(worker.user)
    send(worker, body_of(span(1, CHAT, trace=run.pk.hex), span(2, {}, parent=77, trace=run.pk.hex)))
    assert links() == [(run.pk, None, None, "trace")] * 2
    assert UsageRecord.objects.get().run_id == run.pk


def test_the_spans_own_word_goes_before_the_trace(run: Run, worker: Agent) -> None:
    claim_tasks(worker.user)
    action = make_action(agent=worker)
    send(worker, body_of(span(1, {**CHAT, "acp.action.id": str(action.pk)}, trace=run.pk.hex)))
    assert links() == [(None, None, action.pk, "attribute")]
    assert UsageRecord.objects.get().run_id is None


def test_the_trace_of_a_run_of_others_links_nothing_and_counts_nothing(run: Run) -> None:
    stranger = make_agent()
    foreign = make_action()
    spans = [span(1, CHAT, trace=run.pk.hex), span(2, CHAT, trace=foreign.pk.hex)]
    assert rejected(send(stranger, body_of(*spans))) == 0
    assert links() == [(None, None, None, "")] * 2
    assert not UsageRecord.objects.exists()


def test_one_conversation_links_what_names_nothing_before_and_after(run: Run, worker: Agent) -> None:
    (task,) = claim_tasks(worker.user)
    send(worker, body_of(span(1, {**CHAT, **TALK}, trace="1" * 32)))
    assert links() == [(None, None, None, "")]
    send(worker, body_of(span(2, {**TALK, "acp.task.id": str(task.pk)}, trace="2" * 32)))
    send(worker, body_of(span(3, {**CHAT, **TALK}, trace="3" * 32)))
    by_talk = (run.pk, None, None, "conversation")
    assert links() == [by_talk, (run.pk, task.pk, None, "attribute"), by_talk]
    assert UsageRecord.objects.filter(run_id=run.pk).count() == 2


def test_a_runs_id_as_conversation_is_that_run_and_only_for_its_own_agents(run: Run, worker: Agent) -> None:
    claim_tasks(worker.user)
    named = {**CHAT, "session.id": str(run.pk)}
    send(make_agent(), body_of(span(1, named)))
    send(worker, body_of(span(2, named)))
    assert links() == [(None, None, None, ""), (run.pk, None, None, "conversation")]
    assert UsageRecord.objects.count() == 1


def test_a_conversation_of_two_runs_or_at_another_time_links_nothing(run: Run, worker: Agent) -> None:
    other = make_run(run.workflow)
    for number, task in enumerate(claim_tasks(worker.user, limit=2), start=1):
        named = {**TALK, "acp.task.id": str(task.pk)}
        send(worker, body_of(span(number, named, trace=f"{number:032x}")))
    assert set(Span.objects.values_list("run_id", flat=True)) == {run.pk, other.pk}
    send(worker, body_of(span(3, {**CHAT, **TALK}, trace="3" * 32)))
    early = {**CHAT, "session.id": str(run.pk)}
    send(worker, body_of(span(4, early, trace="4" * 32, ended_ns=now_ns() - 5 * 3600 * SECOND)))
    assert links()[2:] == [(None, None, None, "")] * 2
    assert not UsageRecord.objects.exists()


def test_the_service_that_sent_it_is_kept(worker: Agent) -> None:
    send(worker, body_of(span(1, {}, trace=TRACE), service_name="buyer"))
    assert Span.objects.get().service == "buyer"


def test_what_an_agent_hands_in_for_a_task_that_it_never_held_makes_that_not_its_own(run: Run, worker: Agent) -> None:
    (task,) = claim_tasks(worker.user)
    other = make_worker(run.workflow, "order.check")
    with pytest.raises(ConflictError):
        complete_task(other.user, task_id=task.pk, lease="7", output={})
    assert Attempt.objects.get(state="late").agent == other
    named = [{**CHAT, "acp.task.id": str(task.pk)}, {**CHAT, "acp.run.id": str(run.pk)}]
    send(other, body_of(*(span(number, one) for number, one in enumerate(named, start=1))))
    assert links() == [(None, None, None, "")] * 2
    make_action(agent=other, run_id=run.pk)
    send(other, body_of(span(3, CHAT, trace=run.pk.hex, parentSpanId=span_id_of(task.pk))))
    assert links()[2] == (run.pk, None, None, "trace"), "it has a part in the run, and none in that task"
    assert UsageRecord.objects.get().run_id == run.pk
