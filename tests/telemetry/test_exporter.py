"""The official exporter against a live server: told to wait, refused, taken in part, and sent off at the door."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import requests
from django.conf import settings
from django.db import connection
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.agents.services import revoke_credential
from apps.core.keys import make_key
from apps.telemetry.models import LogRecord, Span, SpanCount
from apps.telemetry.rules.otlp import MAX_BODY
from tests.conftest import copy_database, drop_database, url_of, use_database
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.telemetry import SECOND, now_ns
from tests.serving import serving

SPANS, BATCH = 600, 512


@pytest.fixture(scope="module")
def database(template_database: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """One for all tests here, with real commits."""
    before, name = str(connection.settings_dict["NAME"]), f"acp_exporter_{os.getpid()}"
    copy_database(template_database, name)
    with django_db_blocker.unblock():
        use_database(name)
        yield name
        use_database(before)
    drop_database(name)


@pytest.fixture(scope="module")
def address(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(database, tmp_path_factory.mktemp("exporter")) as found:
        yield found


class Wire(requests.Session):
    """What went over the line: of each request whether it was packed, and what was answered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, str]] = []
        self.answers: list[requests.Response] = []
        self.hooks["response"].append(self.keep)

    def keep(self, answer: requests.Response, *_args: Any, **_more: Any) -> None:
        self.answers.append(answer)
        self.seen.append((answer.status_code, answer.request.headers.get("Content-Encoding", "")))


def exporter(address: str, key: str, wire: Wire, **more: Any) -> OTLPSpanExporter:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    said = {"headers": headers | more.pop("headers", {}), "compression": Compression.Gzip, **more}
    return OTLPSpanExporter(endpoint=f"{address}/v1/traces", session=wire, timeout=60, **said)


def made(*, note: str = "", ago: timedelta = timedelta()) -> Any:
    """One span as the SDK keeps it."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    ended = now_ns() - int(ago.total_seconds()) * SECOND
    span = provider.get_tracer("test").start_span("one", start_time=ended - SECOND, attributes={"note": note})
    span.end(ended)
    return kept.get_finished_spans()


def test_told_to_wait_it_waits_so_long_and_loses_nothing(
    address: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent, wire = make_agent(), Wire()
    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter(address, make_key_for(agent), wire),
            max_queue_size=SPANS * 2,
            max_export_batch_size=BATCH,
            schedule_delay_millis=3_600_000,
        )
    )
    with psycopg.connect(url_of(settings.DATABASE_URL, database)) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"spans:{agent.pk}"])
        wire.hooks["response"].append(lambda *_args, **_more: other.rollback())
        for number in range(SPANS):
            provider.get_tracer("test").start_span(f"span {number}").end()
        assert provider.force_flush(120_000)
    provider.shutdown()
    assert wire.seen == [(429, "gzip"), (200, "gzip"), (200, "gzip")]
    assert wire.answers[0].headers["Retry-After"] == "1"
    assert "retrying in 1.00s" in caplog.text
    assert Span.objects.filter(agent=agent).count() == SPANS


def test_what_is_refused_is_dropped_at_once_and_what_is_taken_in_part_is_not_sent_again(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent, wire = make_agent(), Wire()
    key = make_key_for(agent)
    plain = exporter(address, key, wire, compression=Compression.NoCompression)
    plain.export(made(note="x" * MAX_BODY))
    exporter(address, key, wire, compression=Compression.NoCompression, headers={"Content-Encoding": "gzip"}).export(
        made()
    )
    assert [status for status, _packed in wire.seen] == [413, 400]
    assert not Span.objects.filter(agent=agent).exists()
    assert [one.getMessage().split(",")[0] for one in caplog.records if one.levelname == "ERROR"] == [
        "Failed to export spans batch code: 413",
        "Failed to export spans batch code: 400",
    ]
    caplog.clear()
    exporter(address, key, wire).export((*made(), *made(ago=timedelta(days=40))))
    told = ExportTraceServiceResponse.FromString(wire.answers[-1].content).partial_success
    assert (len(wire.seen), wire.seen[-1][0], told.rejected_spans) == (3, 200, 1)
    assert "times long past" in told.error_message
    assert (Span.objects.filter(agent=agent).count(), SpanCount.objects.get(agent=agent).out_of_time) == (1, 1)


def test_without_a_good_key_nothing_is_taken_and_nothing_tried_again(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent = make_agent()
    revoked = make_key_for(agent)
    revoke_credential(make_admin(), credential=agent.credentials.get())
    spans, records = made(), logged()
    for key in ("", make_key("acp_agt").text, revoked, "no key"):
        traces, logs = Wire(), Wire()
        exporter(address, key, traces).export(spans)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        OTLPLogExporter(endpoint=f"{address}/v1/logs", headers=headers, session=logs).export(records)
        assert (traces.seen, logs.seen) == ([(401, "gzip")], [(401, "")]), key
        assert "Bearer" in traces.answers[0].headers["WWW-Authenticate"]
    assert not Span.objects.filter(agent=agent).exists()
    assert not LogRecord.objects.filter(agent=agent).exists()
    caplog.clear()
    good = make_key_for(agent)
    exporter(address, good, traces).export(spans)
    OTLPLogExporter(endpoint=f"{address}/v1/logs", headers={"Authorization": f"Bearer {good}"}).export(records)
    kept = [model.objects.filter(agent=agent).count() for model in (Span, LogRecord)]
    assert kept == [1, 1]


def logged() -> Any:
    """One record as the SDK keeps it."""
    kept, provider = InMemoryLogRecordExporter(), LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    provider.get_logger("test").emit(timestamp=now_ns(), body="hello")
    return kept.get_finished_logs()
