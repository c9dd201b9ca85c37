"""Spans: what is taken, what is refused, and that a model's tokens count once."""

import gzip
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.telemetry.models import Span, SpanCount, UsageRecord
from apps.telemetry.rules.otlp import MAX_BODY
from apps.telemetry.services import forget_spans, judge_tool_calls
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.telemetry import CHAT, SECOND, TRACE, body_of, now_ns, rejected, send, span
from tests.serving import serving


@pytest.fixture
def agent(db: None) -> Agent:
    return make_agent()


def test_the_official_exporter_sends_and_what_a_model_used_is_counted(real_db: str, tmp_path: Path) -> None:
    agent = make_agent()
    action = make_action(agent=agent, run_id=uuid4())
    provider = TracerProvider(resource=Resource({"service.name": "buyer"}))
    with serving(str(connection.settings_dict["NAME"]), tmp_path) as address:
        exporter = OTLPSpanExporter(
            endpoint=f"{address}/v1/traces", headers={"Authorization": f"Bearer {make_key_for(agent)}"}
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("test")
        named = {"acp.action.id": str(action.pk)}
        whole = tracer.start_as_current_span("invoke_agent buyer", attributes=named)
        with whole, tracer.start_as_current_span("chat large", attributes=CHAT):
            pass
        provider.shutdown()
    usage = UsageRecord.objects.get()
    assert (usage.input_tokens, usage.output_tokens, usage.run_id) == (100, 10, action.run_id)
    assert Entry.objects.get(name="usage.recorded").payload["agent"] == agent.slug
    assert set(Span.objects.values_list("attributes__service.name", flat=True)) <= {"buyer", None}
    assert Span.objects.filter(attributes__has_key="service.name").count() == 2


def test_protobuf_and_json_packed_and_plain_say_the_same_and_are_answered_in_kind(agent: Agent) -> None:
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add().scope_spans.add().spans.add()
    sent.trace_id, sent.span_id = bytes.fromhex(TRACE), b"12345678"
    now = now_ns()
    sent.start_time_unix_nano, sent.end_time_unix_nano = now - SECOND, now
    answer = send(
        agent, gzip.compress(request.SerializeToString()), "application/x-protobuf", **{"Content-Encoding": "gzip"}
    )
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer.content).HasField("partial_success")
    assert rejected(send(agent, body_of(span(2, {}, ended_ns=now)))) == 0
    first, second = Span.objects.order_by("span_id")
    assert (first.trace_id, first.started_at) == (second.trace_id, second.started_at)


def test_a_span_that_is_sent_again_counts_nothing_again(agent: Agent) -> None:
    action = make_action(agent=agent)
    body = body_of(span(1, {**CHAT, "acp.action.id": str(action.pk)}))
    for _ in range(2):
        assert rejected(send(agent, body)) == 0
    assert (Span.objects.count(), UsageRecord.objects.count()) == (1, 1)


def test_spans_that_name_work_of_others_are_kept_and_counted_and_belong_to_nothing(agent: Agent) -> None:
    foreign = make_action(run_id=uuid4())
    spans = [
        span(number, {**CHAT, name: value})
        for number, (name, value) in enumerate(
            [
                ("acp.action.id", str(foreign.pk)), ("acp.run.id", str(foreign.run_id)), ("acp.task.id", str(uuid4())),
                ("acp.step.id", "no id"), ("acp.run.id", 7),
            ],
            start=1,
        )
    ]  # fmt: skip
    assert rejected(send(agent, body_of(*spans, span(9, {}), {"name": "nothing"}))) == 1
    assert set(Span.objects.values_list("run_id", "task_id", "action_id", "linked_by")) == {(None, None, None, "")}
    assert UsageRecord.objects.count() == 0
    count = SpanCount.objects.get(agent=agent)
    assert (count.kept, count.rejected, count.misnamed, count.of_others) == (6, 1, 5, 0)


def test_an_action_of_one_run_is_not_reported_for_another(agent: Agent) -> None:
    mine, other = make_action(agent=agent, run_id=uuid4()), uuid4()
    named = {"acp.action.id": str(mine.pk), "acp.run.id": str(other)}
    assert rejected(send(agent, body_of(span(1, named)))) == 0
    kept = Span.objects.get()
    assert (kept.run_id, kept.action_id) == (None, None)
    assert SpanCount.objects.get().misnamed == 1


def test_what_ends_first_is_linked_when_what_stands_above_arrives(agent: Agent) -> None:
    action = make_action(agent=agent)
    send(agent, body_of(span(2, CHAT, parent=1)))
    assert not UsageRecord.objects.exists()
    send(agent, body_of(span(1, {"acp.action.id": str(action.pk)})))
    assert UsageRecord.objects.get().action_id == action.pk
    assert set(Span.objects.values_list("action_id", flat=True)) == {action.pk}


def test_wrappers_gateways_and_agents_tell_of_the_same_tokens_once(agent: Agent) -> None:
    action = make_action(agent=agent)
    whole = {**CHAT, "gen_ai.operation.name": "invoke_agent", "acp.action.id": str(action.pk)}
    answered = {**CHAT, "gen_ai.response.id": "r-1"}
    spans = [span(1, whole), span(2, CHAT, parent=1), span(3, answered, parent=2), span(4, answered, parent=1)]
    send(agent, body_of(*spans))
    assert UsageRecord.objects.count() == 1
    send(agent, body_of(span(5, answered, parent=1)))
    send(agent, body_of(span(6, CHAT, parent=3)))
    assert UsageRecord.objects.count() == 1


def test_what_was_said_to_a_model_is_not_kept_nor_a_key(agent: Agent) -> None:
    key = make_key_for(agent)
    said = {"gen_ai.input.messages": "hello", "gen_ai.prompt.0.content": "hello", "input.value": "hello", "note": key}
    send(agent, body_of(span(1, {**said, "gen_ai.tool.name": "search", "odd": "a\x00b"})))
    kept = Span.objects.get().attributes
    assert kept == {"note": "…", "gen_ai.tool.name": "search", "odd": "a\N{REPLACEMENT CHARACTER}b"}


@pytest.mark.parametrize(
    ("body", "kind", "encoding", "status"),
    [
        (b"{", "application/json", "", 400),
        (b"[]", "application/json", "", 400),
        (b'{"resourceSpans": 5}', "application/json", "", 400),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}', "application/json", "", 400),
        (b"[" * 100_000, "application/json", "", 400),
        (b"\xff\xff\xff", "application/x-protobuf", "", 400),
        (b"plain", "application/x-protobuf", "gzip", 400),
        (gzip.compress(b"a" * 100)[:-4], "application/x-protobuf", "gzip", 400),
        (gzip.compress(b"") + b"more", "application/x-protobuf", "gzip", 400),
        (b"a", "application/x-protobuf", "br", 400),
        (b"a" * (MAX_BODY + 1), "application/x-protobuf", "", 413),
        (gzip.compress(b"\0" * (200 * 1024 * 1024), 9), "application/x-protobuf", "gzip", 413),
        (body_of({"name": "\ud800"}), "application/json", "", 400),
        (body_of(*[{}] * 10_001), "application/json", "", 413),
        (body_of(*[span(1, {}, trace=f"{number + 1:032x}") for number in range(1001)]), "application/json", "", 413),
        (b"a", "text/plain", "", 415),
    ],
    ids=lambda value: "body" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_bad_bodies_are_refused_and_nothing_is_kept(
    agent: Agent, body: bytes, kind: str, encoding: str, status: int
) -> None:
    answer = send(agent, body, kind, **({"Content-Encoding": encoding} if encoding else {}))
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert not Span.objects.exists()


def test_what_a_resource_says_is_kept_with_each_span_and_is_little(agent: Agent) -> None:
    """Ten thousand small spans below a resource of megabytes would be as many times that."""
    body = json.loads(body_of(span(1, {}), service_name="n" * 5_000))
    resource = body["resourceSpans"][0]["resource"]
    resource["attributes"] += [
        {"key": "service.list", "value": {"arrayValue": {"values": [{"stringValue": "x" * 4_000}] * 100}}},
        *({"key": f"service.more{number}", "value": {"stringValue": "y" * 4_000}} for number in range(100)),
        {"key": "host.name", "value": {"stringValue": "z"}},
    ]
    assert rejected(send(agent, json.dumps(body).encode())) == 0
    kept = Span.objects.get().attributes
    assert kept["service.name"] == "n" * 200
    assert len(kept) == 16
    assert len(json.dumps(kept)) < 16 * 250


def test_a_model_is_called_no_earlier_than_the_work_that_it_is_called_for_began(agent: Agent) -> None:
    """A call of long ago would have no price, and count for a month that nobody looks at."""
    action = make_action(agent=agent)
    ancient = span(1, {**CHAT, "acp.action.id": str(action.pk)}, startTimeUnixNano="1000")
    assert rejected(send(agent, body_of(ancient))) == 0
    assert Span.objects.get().started_at.year == 1970
    told = Entry.objects.get(name="usage.recorded").payload["started_at"]
    assert datetime.fromisoformat(told) == action.created_at


def test_a_model_was_called_a_day_before_it_answered_at_most(agent: Agent) -> None:
    """Of work that has lasted for a year an agent would choose the price."""
    action = make_action(agent=agent)
    Action.objects.filter(pk=action.pk).update(created_at=ClockTimestamp() - timedelta(days=365))
    ancient = span(1, {**CHAT, "acp.action.id": str(action.pk)}, startTimeUnixNano="1000")
    assert rejected(send(agent, body_of(ancient))) == 0
    told = Entry.objects.get(name="usage.recorded").payload["started_at"]
    assert datetime.fromisoformat(told) == Span.objects.get().ended_at - timedelta(days=1)


def test_works_that_are_nobodys_are_asked_for_all_at_once(
    agent: Agent, django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    action, names = make_action(agent=agent), ("acp.run.id", "acp.task.id", "acp.action.id")
    spans = [span(number, {names[number % 3]: str(uuid4())}) for number in range(2, 302)]
    body = body_of(span(1, {"acp.action.id": str(action.pk)}), *spans)
    with django_assert_max_num_queries(60):
        assert rejected(send(agent, body)) == 0
    assert Span.objects.filter(linked_by="attribute").count() == 1
    assert SpanCount.objects.get().misnamed == 300


def test_a_second_request_of_one_agent_waits_and_is_then_told_to_come_again(real_db: str) -> None:
    agent = make_agent()
    with psycopg.connect(real_db) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"spans:{agent.pk}"])
        answer = send(agent, body_of(span(1, {})))
        assert (answer.status_code, answer["Retry-After"]) == (429, "1")
        assert not Span.objects.exists()
    assert rejected(send(agent, body_of(span(1, {})))) == 0


def test_an_agent_that_sends_just_now_holds_up_the_judging_of_nobody_else(real_db: str) -> None:
    busy, other = make_agent(), make_agent()
    for agent in (busy, other):
        assert rejected(send(agent, body_of(span(1, {"gen_ai.operation.name": "execute_tool"})))) == 0
    Span.objects.update(created_at=ClockTimestamp() - timedelta(hours=1))
    with psycopg.connect(real_db) as sending:
        sending.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"spans:{busy.pk}"])
        assert judge_tool_calls() == 1
        assert dict(Span.objects.values_list("agent", "tool_call")) == {busy.pk: "open", other.pk: "ungoverned"}
    assert judge_tool_calls() == 1


def test_people_strangers_and_suspended_agents_send_nothing(agent: Agent) -> None:
    person = Client()
    person.force_login(agent.owner)
    assert person.post("/v1/traces", body_of(span(1, {})), content_type="application/json").status_code == 403
    Agent.objects.filter(pk=agent.pk).update(state="suspended")
    assert send(agent, body_of(span(1, {}))).status_code in {401, 403}
    assert not Span.objects.exists()


def test_old_spans_are_deleted_and_what_was_used_stays(agent: Agent) -> None:
    action = make_action(agent=agent)
    send(agent, body_of(span(1, {**CHAT, "acp.action.id": str(action.pk)}), span(2, {})))
    Span.objects.filter(span_id__endswith="1").update(
        created_at=ClockTimestamp() - timedelta(days=settings.ACP_SPAN_DAYS, seconds=1)
    )
    assert forget_spans() == 1
    assert (Span.objects.count(), UsageRecord.objects.count()) == (1, 1)


@pytest.mark.parametrize("seconds", [-31 * 24 * 3600, 2 * 3600])
def test_what_was_deleted_already_and_what_is_to_come_is_rejected(agent: Agent, seconds: int) -> None:
    action = make_action(agent=agent)
    far = span(1, {**CHAT, "acp.action.id": str(action.pk)}, ended_ns=now_ns() + seconds * SECOND)
    assert rejected(send(agent, body_of(far, span(2, {})))) == 1
    assert not UsageRecord.objects.exists()
