"""Logs of agents: what is taken and refused, what they belong to, who reads them, and what erasing takes."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from apps.agents.models import Agent
from apps.core.models import ClockTimestamp
from apps.telemetry.models import LogRecord, SpanCount, UsageRecord
from apps.telemetry.rules.severities import severity_of, word_of
from apps.telemetry.services import forget_logs
from apps.telemetry.services import logs as taking
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.telemetry import SECOND, TRACE, body_of, log, logs_of, now_ns, send, send_logs, span
from tests.factories.workflows import deliver_all, erase, make_run, make_worker, make_workflow
from tests.oversight.edge_cases.test_rows_21_to_26 import places_of
from tests.oversight.test_api import caller
from tests.serving import serving
from tests.workflows.actions import make_desk, the_action, work

VIEW, SEE_RUN = "agents.view_agent", "workflows.view_run"
CANARY = "Bond, 7 Cliff Road"


@pytest.fixture
def agent(db: None) -> Agent:
    return make_agent()


@pytest.fixture
def run(db: None) -> Run:
    return make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))


def page(user: Any, address: str) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def texts(user: Any, query: str = "") -> list[str]:
    answer = caller(user).get(f"/api/v1/logs/?{query}")
    assert answer.status_code == 200, answer.content
    return [row["body"] for row in answer.json()["results"]]


def test_the_official_exporter_sends_what_a_program_logs(real_db: str, tmp_path: Path) -> None:
    agent = make_agent()
    with serving(str(connection.settings_dict["NAME"]), tmp_path) as address:
        provider = LoggerProvider(resource=Resource({"service.name": "buyer"}))
        headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
        exporter = OTLPLogExporter(endpoint=f"{address}/v1/logs", headers=headers)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        provider.get_logger("buyer").emit(
            timestamp=now_ns(), severity_number=SeverityNumber.ERROR, body="The supplier ACME did not answer"
        )
        provider.shutdown()
    row = LogRecord.objects.get()
    assert (row.body, row.service, row.agent) == ("The supplier ACME did not answer", "buyer", agent)
    assert (row.severity, row.level) == (SeverityNumber.ERROR.value, "error")


def test_protobuf_and_json_say_the_same_and_are_answered_in_kind(agent: Agent) -> None:
    request, now = ExportLogsServiceRequest(), now_ns()
    sent = request.resource_logs.add().scope_logs.add().log_records.add()
    sent.trace_id, sent.span_id, sent.time_unix_nano = bytes.fromhex(TRACE), b"12345678", now
    sent.severity_number, sent.body.string_value = 17, "Lost"
    headers = {"Authorization": f"Bearer {make_key_for(agent)}", "Content-Encoding": "gzip"}
    packed = gzip.compress(request.SerializeToString())
    answer = Client().post("/otlp/v1/logs", data=packed, content_type="application/x-protobuf", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-protobuf")
    assert not ExportLogsServiceResponse.FromString(answer.content).HasField("partial_success")
    named = {"traceId": TRACE, "spanId": b"12345678".hex(), "timeUnixNano": str(now), "severityNumber": 17}
    assert send_logs(agent, logs_of(log("Lost", **named))) == 0
    row = LogRecord.objects.get()  # said twice, once in each: log records have no ids, and one is the other
    assert (row.trace_id, row.span_id, row.body) == (TRACE, b"12345678".hex(), "Lost")


def test_what_was_said_to_models_and_secrets_are_not_kept(agent: Agent) -> None:
    said = [
        log("You are " + CANARY, eventName="gen_ai.system.message"),
        log({"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": CANARY}}]}},
            {"event.name": "gen_ai.choice", "gen_ai.input.messages": CANARY}),
        log("Authorization: Bearer " + make_key_for(agent)),
        log("a\x00b", {"note": "c\x00d"}),
    ]  # fmt: skip
    assert send_logs(agent, logs_of(*said)) == 0
    rows = {row.event or row.body: row for row in LogRecord.objects.all()}
    assert set(rows) == {"gen_ai.system.message", "gen_ai.choice", "…", "a\ufffdb"}
    assert CANARY not in json.dumps([[row.body, row.attributes] for row in rows.values()])
    assert rows["a\ufffdb"].attributes == {"note": "c\ufffdd"}


def test_a_record_belongs_to_what_it_names_its_span_or_its_trace(agent: Agent) -> None:
    mine, other, foreign = (make_action(agent=agent), make_action(agent=agent), make_action())
    send(agent, body_of(span(1, {"acp.action.id": str(other.pk)})))
    said = [
        log("named", {"acp.action.id": str(mine.pk)}, traceId=TRACE, spanId=f"{1:016x}"),
        log("span", traceId=TRACE, spanId=f"{1:016x}"),
        log("trace", traceId=mine.pk.hex),
        log("foreign", {"acp.action.id": str(foreign.pk)}),
        log("of another's trace", traceId=foreign.pk.hex),
        log("nothing"),
    ]
    assert send_logs(agent, logs_of(*said)) == 0
    found = dict(LogRecord.objects.values_list("body", "action_id"))
    assert found == {
        "named": mine.pk, "span": other.pk, "trace": mine.pk,
        "foreign": None, "of another's trace": None, "nothing": None,
    }  # fmt: skip
    assert not UsageRecord.objects.exists()


def test_the_run_shows_its_logs_also_of_spans_that_were_linked_later(run: Run) -> None:
    worker = make_worker(run.workflow, "order.check")
    (task,) = claim_tasks(worker.user)
    send_logs(
        worker, logs_of(log("till-opened", traceId=TRACE, spanId=f"{1:016x}", severityNumber=17), log("elsewhere"))
    )
    send(worker, body_of(span(1, {"acp.task.id": str(task.pk)})))
    reader = make_holder(VIEW, SEE_RUN, unit=run.unit)
    text = page(reader, f"/runs/{run.pk}/?tab=trace")
    assert "till-opened" in text
    assert "ERROR" in text
    assert "elsewhere" not in text
    assert texts(reader, f"run={run.pk}") == ["till-opened"]
    assert "till-opened" not in page(make_holder(SEE_RUN, unit=run.unit), f"/runs/{run.pk}/?tab=trace")


def test_who_may_see_an_agent_reads_and_finds_its_logs(agent: Agent) -> None:
    send_logs(agent, logs_of(log("Connection RESET by peer", severityNumber=13), log("ready"), service_name="buyer"))
    other = make_agent()
    send_logs(other, logs_of(log("of another unit")))
    reader = make_holder(VIEW, unit=agent.unit)
    assert sorted(texts(reader)) == ["Connection RESET by peer", "ready"]
    assert texts(reader, "text=reset") == ["Connection RESET by peer"]
    assert texts(reader, "level=warn") == ["Connection RESET by peer"]
    assert len(texts(reader, f"service=buyer&agent={agent.slug}")) == 2
    assert texts(reader, f"agent={other.slug}") == []
    assert texts(reader, "since=2100-01-01T00:00:00Z") == []
    listed = page(reader, "/logs/?level=warn")
    assert "Connection RESET by peer" in listed
    assert "of another unit" not in listed
    assert "No log record fits" in page(reader, "/logs/?text=nowhere")
    stranger = make_holder(VIEW, unit=make_unit())
    assert "No agent has sent a log" in page(stranger, "/logs/")
    assert caller(make_holder(unit=agent.unit)).get("/api/v1/logs/").json()["results"] == []


@pytest.mark.parametrize("query", ["level=loud", "run=x", "since=yesterday", "color=red"])
def test_a_query_that_does_not_fit_is_refused(agent: Agent, query: str) -> None:
    answer = caller(make_holder(VIEW, unit=agent.unit)).get(f"/api/v1/logs/?{query}")
    assert answer.status_code == 422
    assert query.split("=")[0] in answer.json()["errors"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400), (b"[]", 400), (b'{"resourceLogs": 7}', 400),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "zz"}]}]}]}', 400),
        (b" " * (4 * 1024 * 1024 + 1), 413),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_whole(agent: Agent, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
    assert Client().post("/v1/logs", data=body, content_type="application/json", headers=headers).status_code == status
    assert Client().post("/v1/logs", data=b"{}", content_type="text/plain", headers=headers).status_code == 415
    assert Client().post("/v1/logs", data=b"{}", content_type="application/json").status_code == 401
    assert not LogRecord.objects.exists()


def test_what_is_too_old_and_too_much_is_counted(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "MOST_A_DAY", 2)
    old = log("old", timeUnixNano=str(now_ns() - (settings.ACP_SPAN_DAYS + 1) * 86_400 * SECOND))
    untimed = log("untimed", timeUnixNano="0")
    assert send_logs(agent, logs_of(old, untimed, log("one"), log("two"))) == 2
    count = SpanCount.objects.get(agent=agent)
    assert (count.logs_kept, count.logs_rejected, count.rejected) == (2, 2, 0)
    text = page(make_holder(VIEW, unit=agent.unit), "/logs/")
    assert "2 not taken, 2 kept" in text


def test_agents_that_may_not_act_report_no_logs(agent: Agent) -> None:
    key = make_key_for(agent)
    Agent.objects.filter(pk=agent.pk).update(state="suspended")
    headers = {"Authorization": f"Bearer {key}"}
    answer = Client().post("/v1/logs", data=logs_of(log("x")), content_type="application/json", headers=headers)
    assert answer.status_code == 403
    assert not LogRecord.objects.exists()


def test_old_logs_are_deleted(agent: Agent) -> None:
    send_logs(agent, logs_of(log("old"), log("new")))
    age = timedelta(days=settings.ACP_SPAN_DAYS, hours=1)
    LogRecord.objects.filter(body="old").update(created_at=ClockTimestamp() - age)
    assert forget_logs() == 1
    assert LogRecord.objects.get().body == "new"


@pytest.mark.django_db
def test_erasing_a_trail_takes_the_words_of_its_logs_also_of_late_ones() -> None:
    desk = make_desk()
    desk.ask(100, reference="inv-1")
    work()
    action = the_action()
    send_logs(desk.agent, logs_of(log(CANARY, traceId=TRACE, spanId=f"{1:016x}"), log(CANARY, traceId=action.pk.hex)))
    send(desk.agent, body_of(span(1, {"acp.action.id": str(action.pk)})))
    assert "telemetry_logrecord" in places_of(CANARY)
    erase(make_admin(), action.pk, "The data subject asked us to.")
    deliver_all()
    assert places_of(CANARY) == set()
    send_logs(desk.agent, logs_of(log(CANARY, {"acp.action.id": str(action.pk)}, traceId=uuid4().hex)))
    assert places_of(CANARY) == set()
    assert LogRecord.objects.count() == 3


@pytest.mark.parametrize(
    ("number", "text", "word"),
    [(0, "", ""), (1, "", "trace"), (12, "", "info"), (24, "", "fatal"), (99, "", ""), (0, "WARNING", "warn"),
     (0, "Error ", "error"), (0, "loud", ""), (9, "ERROR", "info")],
)  # fmt: skip
def test_severities_have_words(number: int, text: str, word: str) -> None:
    assert word_of(severity_of(number, text)) == word
