"""A request that names a great many things: no more questions than for few, and no more read than there is room for."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Agent
from apps.agents.rules.traces import span_id_of
from apps.audit.models import Entry
from apps.telemetry.models import LogRecord, Span, SpanCount, UsageRecord
from apps.telemetry.services import spans as taking
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks
from tests.factories.agents import make_action
from tests.factories.telemetry import CHAT, body_of, log, logs_of, rejected, send, send_logs, span
from tests.factories.workflows import make_run, make_worker, make_workflow

pytestmark = pytest.mark.django_db
KINDS = ("run", "task", "attempt")
TALK = {"gen_ai.conversation.id": "talk-1"}


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    return make_worker(run.workflow, "order.check")


def naming(worker: Agent, run: Run, times: int) -> list[dict[str, Any]]:
    """Spans of the agent's own actions, tasks and runs, in traces of their own, of others' work and of talks."""
    for _ in range(times):
        make_run(run.workflow)
    tasks = claim_tasks(worker.user, limit=times)
    assert len(tasks) == times
    found = list[dict[str, Any]]()
    for task in tasks:
        action, run_trace = make_action(agent=worker), {"trace": task.run_id.hex, "parentSpanId": span_id_of(task.pk)}
        told = [
            ({**CHAT, "acp.action.id": str(action.pk)}, {"trace": uuid4().hex}),
            ({**CHAT, "acp.task.id": str(task.pk)}, {"trace": uuid4().hex}),
            ({**CHAT, "acp.run.id": str(task.run_id)}, {"trace": uuid4().hex}),
            ({**CHAT, "acp.task.id": str(uuid4())}, {"trace": uuid4().hex}),
            ({**CHAT, "gen_ai.conversation.id": str(task.run_id)}, {"trace": uuid4().hex}),
            ({**CHAT, "gen_ai.conversation.id": str(uuid4())}, {"trace": uuid4().hex}),
            (CHAT, run_trace),
            (CHAT, {"trace": make_action(agent=worker).pk.hex}),
        ]
        found += [span(uuid4().int % 2**60, attributes, **fields) for attributes, fields in told]
    return found


def test_a_request_that_names_many_works_asks_no_more_than_one_that_names_few(worker: Agent, run: Run) -> None:
    asked, used = list[int](), list[int]()
    for times in (1, 1, 6):
        body, before = body_of(*naming(worker, run, times)), UsageRecord.objects.count()
        with CaptureQueriesContext(connection) as seen:
            assert rejected(send(worker, body)) == 0
        asked.append(len(seen))
        used.append(UsageRecord.objects.count() - before)
        words = ("input", "output", "held", "reasoning", "sources")
        assert not [
            one["sql"] for one in seen if any(f'_{kind}"."{name}"' in one["sql"] for kind in KINDS for name in words)
        ]
    assert used == [6, 6, 36], "all but what names others' work, and talks of nothing"
    assert asked[2] == asked[1]
    assert Entry.objects.filter(name="usage.recorded").count() == 48
    links = Span.objects.exclude(linked_by="").values_list("linked_by", "task_id", "action_id")
    assert sum(by == "trace" and bool(task) for by, task, _action in links) == 8
    assert sum(by == "trace" and bool(action) for by, _task, action in links) == 8
    assert sum(by == "conversation" for by, _task, _action in links) == 8


def test_logs_that_name_many_works_ask_no_more_either(worker: Agent) -> None:
    asked = list[int]()
    for times in (2, 2, 12):
        actions = [make_action(agent=worker) for _ in range(times)]
        body = logs_of(*(log("x", {"acp.action.id": str(one.pk)}, traceId=uuid4().hex) for one in actions))
        with CaptureQueriesContext(connection) as seen:
            assert send_logs(worker, body) == 0
        asked.append(len(seen))
    assert asked[2] == asked[1]
    assert LogRecord.objects.exclude(action_id=None).count() == 16


def test_what_a_request_adds_to_is_read_as_far_as_there_is_room_the_shortest_traces_first(
    worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, short = uuid4().hex, uuid4().hex
    assert rejected(send(worker, body_of(*(span(number, {}, trace=long) for number in range(1, 4))))) == 0
    monkeypatch.setattr(taking, "MOST_READ", 5)
    both = [span(4, {}, trace=long), span(5, {}, trace=short), span(6, {}, trace=short)]
    answer = send(worker, body_of(*both))
    assert rejected(answer) == 1
    assert "too many long ones" in answer.json()["partialSuccess"]["errorMessage"]
    assert set(Span.objects.filter(trace_id=short).values_list("span_id", flat=True)) == {f"{5:016x}", f"{6:016x}"}
    assert Span.objects.filter(trace_id=long).count() == 3
    assert SpanCount.objects.get().overfull == 1
    assert rejected(send(worker, body_of(span(4, {}, trace=long)))) == 0


def test_earlier_traces_are_looked_at_again_as_far_as_there_is_room(
    worker: Agent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_tasks(worker.user)
    early = {"trace": uuid4().hex}
    send(worker, body_of(*(span(number, {**CHAT, **TALK}, **early) for number in range(1, 4))))
    monkeypatch.setattr(taking, "MOST_READ", 2)
    named = {**TALK, "acp.run.id": str(run.pk)}
    send(worker, body_of(span(4, named, trace=uuid4().hex)))
    assert Span.objects.filter(run_id=None).count() == 3
    monkeypatch.setattr(taking, "MOST_READ", 3)
    send(worker, body_of(span(5, named, trace=uuid4().hex)))
    assert not Span.objects.filter(run_id=None).exists()
    assert UsageRecord.objects.filter(run_id=run.pk).count() == 3
