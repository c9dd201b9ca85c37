"""A request that names a great many things: no more questions than for few, and no more read than there is room for."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Action, Agent
from apps.agents.rules.traces import span_id_of
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.telemetry.models import LogRecord, Span, SpanCount, UsageRecord
from apps.telemetry.services import judge_tool_calls, settle_waiting, settling, waiting
from apps.telemetry.services import spans as taking
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks
from tests.factories.agents import make_action, make_agent
from tests.factories.telemetry import CHAT, SECOND, body_of, log, logs_of, rejected, send, send_logs, span
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


def test_many_conversations_are_looked_for_by_their_index(worker: Agent) -> None:
    told = [span(number, {"gen_ai.conversation.id": f"talk {number}"}, trace=uuid4().hex) for number in range(1, 151)]
    with CaptureQueriesContext(connection) as seen:
        send(worker, body_of(*told))
    (sql,) = [one["sql"] for one in seen if one["sql"].startswith("SELECT DISTINCT") and "conversation" in one["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = " ".join(line for (line,) in cursor.fetchall())
    assert "span_by_talk" in plan


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


def test_what_there_is_no_room_to_settle_is_kept_and_settled_soon_after_the_shortest_traces_at_once(
    worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, short, early = (make_action(agent=worker).pk.hex for _ in range(3))
    assert rejected(send(worker, body_of(*(span(number, CHAT, trace=long) for number in range(1, 4))))) == 0
    monkeypatch.setattr(settling, "MOST_READ", 5)
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "bank.pay"}
    late = [
        span(4, CHAT, trace=long),
        span(5, CHAT, trace=short),
        span(6, CHAT, trace=short),
        span(7, tool, trace=long),
    ]
    talked = span(8, {**CHAT, **TALK}, trace=long)
    assert rejected(send(worker, body_of(*late, talked))) == 0, "nothing is lost"
    assert UsageRecord.objects.count() == 5
    unsettled = Span.objects.filter(waits=True)
    assert {row.span_id for row in unsettled} == {f"{number:016x}" for number in (4, 7, 8)}
    assert not unsettled.exclude(run_id=None, action_id=None).exists()
    Span.objects.filter(waits=True).update(created_at=ClockTimestamp() - timedelta(minutes=6))
    assert judge_tool_calls() == 0, "what it belongs to is not known yet"
    assert settle_waiting() == 0, "there is no room for a trace of six"
    monkeypatch.setattr(settling, "MOST_READ", 6)
    send(worker, body_of(span(9, {**CHAT, **TALK}, trace=uuid4().hex)))
    assert Span.objects.get(span_id=f"{9:016x}").linked_by == ""
    assert settle_waiting() == 1
    assert not unsettled.all().exists()
    assert UsageRecord.objects.count() == 7
    assert not Span.objects.filter(trace_id=long, action_id=None).exists()
    assert (settle_waiting(), UsageRecord.objects.count()) == (0, 7)
    assert judge_tool_calls() == 1
    assert rejected(send(worker, body_of(span(10, CHAT, trace=early)))) == 0


def test_a_later_request_settles_what_waits_in_its_traces(worker: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = make_action(agent=worker).pk.hex
    monkeypatch.setattr(settling, "MOST_READ", 1)
    send(worker, body_of(*(span(number, CHAT, trace=trace) for number in range(1, 3))))
    assert (Span.objects.filter(waits=True).count(), UsageRecord.objects.count()) == (2, 0)
    monkeypatch.setattr(settling, "MOST_READ", 3)
    send(worker, body_of(span(3, CHAT, trace=trace)))
    assert (Span.objects.filter(waits=True).count(), UsageRecord.objects.count()) == (0, 3)


def test_what_waits_is_settled_as_much_at_a_time_as_there_is_room_for(
    worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_agent()
    monkeypatch.setattr(settling, "MOST_READ", 1)
    for agent in (worker, other):
        told = [(number, make_action(agent=agent).pk.hex) for number in range(1, 4)]
        send(agent, body_of(*(span(2 * number + n, CHAT, trace=at) for number, at in told for n in range(2))))
    assert Span.objects.filter(waits=True).count() == 12
    monkeypatch.setattr(settling, "MOST_READ", 4)
    monkeypatch.setattr(waiting, "SETTLE_S", -1.0)
    assert settle_waiting() == 2, "no time is left after the first two traces"
    assert set(Span.objects.filter(waits=False).values_list("agent", flat=True)) == {worker.pk}
    monkeypatch.setattr(waiting, "SETTLE_S", 60.0)
    assert settle_waiting() == 4
    assert UsageRecord.objects.count() == 12


def test_spans_of_another_time_take_no_room_in_a_trace(worker: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "MOST_IN_TRACE", 2)
    old = [span(number, {}, ended_ns=SECOND * 2) for number in range(1, 4)]
    assert rejected(send(worker, body_of(*old, span(4, {})))) == 3
    assert (SpanCount.objects.get().overfull, SpanCount.objects.get().out_of_time) == (0, 3)
    assert Span.objects.get().span_id == f"{4:016x}"


def test_what_waited_is_blanked_where_its_trail_was_erased(worker: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    action = make_action(agent=worker)
    monkeypatch.setattr(settling, "MOST_READ", 1)
    above, below = span(1, {"acp.action.id": str(action.pk)}), span(2, {"place": "Bern"}, parent=1)
    send(worker, body_of(above, below))
    Action.objects.filter(pk=action.pk).update(erased_at=ClockTimestamp())
    Span.objects.update(name="told", attributes={"place": "Bern"})
    monkeypatch.setattr(settling, "MOST_READ", 2)
    assert settle_waiting() == 1
    assert set(Span.objects.values_list("name", "action_id")) == {("", action.pk)}


def test_earlier_traces_are_looked_at_again_as_far_as_there_is_room(
    worker: Agent, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_tasks(worker.user)
    early = {"trace": uuid4().hex}
    send(worker, body_of(*(span(number, {**CHAT, **TALK}, **early) for number in range(1, 4))))
    monkeypatch.setattr(settling, "MOST_READ", 2)
    named = {**TALK, "acp.run.id": str(run.pk)}
    send(worker, body_of(span(4, named, trace=uuid4().hex)))
    assert Span.objects.filter(run_id=None).count() == 3
    monkeypatch.setattr(settling, "MOST_READ", 3)
    send(worker, body_of(span(5, named, trace=uuid4().hex)))
    assert not Span.objects.filter(run_id=None).exists()
    assert UsageRecord.objects.filter(run_id=run.pk).count() == 3
