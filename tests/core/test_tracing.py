"""The plane's own traces: off they cost nothing; on they tell what happened and of nobody's words."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.core import clockwork, queue
from apps.core.middleware.traced import TracedMiddleware
from apps.core.models import User
from apps.core.tasks import drain
from apps.core.tracing import carried, current_ids, name_trace, span, stop_tracing, use_tracing
from apps.core.tracing.sdk import SPANS, Bounded, Sender, summary_of
from controlplane.environment import sends_traces

ROOT = Path(__file__).resolve().parents[2]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "s3cret-of-somebody"


@pytest.fixture
def told() -> Iterator[Callable[[], Sequence[ReadableSpan]]]:
    """Tracing into memory; the spans that ended so far."""
    exporter = InMemorySpanExporter()
    sender = Sender("acp-test", exporter)
    before = use_tracing(sender)
    connection_created.send(sender=type(connection), connection=connection)  # that of the tests is older

    def spans() -> Sequence[ReadableSpan]:
        sender.processor.force_flush()
        return exporter.get_finished_spans()

    yield spans
    use_tracing(before)
    sender.stop()


def failed(outcome: str) -> float:
    return SPANS.labels(outcome)._value.get()


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_the_usual_variables_turn_it_on(said: dict[str, str], wanted: bool) -> None:
    assert sends_traces(said) is wanted


def test_a_protocol_that_is_not_spoken_is_refused_by_its_name() -> None:
    with pytest.raises(ImproperlyConfigured, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        sends_traces({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_off_nothing_of_it_is_imported_in_any_process() -> None:
    program = (
        "import sys, controlplane.asgi, controlplane.celery, apps.core.tasks\n"
        "from apps.core.tracing import start_tracing, span\n"
        "start_tracing('acp-test')\n"
        "with span('nothing') as found: assert found is None\n"
        "ours = ('apps.core.tracing.sdk', 'opentelemetry.sdk.trace', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_off_a_span_is_nothing_and_no_message_carries_one() -> None:
    with span("nothing") as found:
        assert found is None
        assert current_ids() is None
    assert carried() == {}
    assert name_trace(None, "info", {"event": "hello"}) == {"event": "hello"}


@pytest.mark.django_db
def test_a_request_goes_on_in_its_callers_trace_and_tells_no_address(told: Any) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        User.objects.filter(username=SECRET).exists()
        return Client().get("/api/v1/agents/")  # type: ignore[return-value] # it has what the middleware reads

    asked = RequestFactory().get(f"/runs/?token={SECRET}&q={SECRET}", headers={"traceparent": PARENT})
    TracedMiddleware(answer)(asked)
    *_statements, request = told()
    assert request.parent.span_id == 0xB7AD6B7169203331
    assert request.attributes["http.response.status_code"] == 401
    statement = next(one for one in told() if one.name == "SELECT core_user")
    assert statement.parent.span_id == request.context.span_id
    assert SECRET not in json.dumps([json.loads(one.to_json()) for one in told()])


@pytest.mark.django_db
def test_a_whole_request_is_called_by_its_route(told: Any, settings: Any) -> None:
    settings.MIDDLEWARE = ["apps.core.middleware.traced.TracedMiddleware", *settings.MIDDLEWARE]
    Client().get(f"/accounts/login/?next=/{SECRET}/")
    Client().get(f"/nowhere/{SECRET}/")
    Client().get("/healthz")
    requests = [one for one in told() if one.kind.name == "SERVER"]
    assert [one.name for one in requests] == ["GET /accounts/login/", "GET"]
    assert requests[0].attributes["acp.request.id"]
    assert SECRET not in json.dumps([json.loads(one.to_json()) for one in told()])


def test_of_an_error_only_the_class_is_told(told: Any) -> None:
    with pytest.raises(ValueError, match=SECRET), span("work"):
        raise ValueError(SECRET)
    (one,) = told()
    assert (one.status.status_code.name, one.attributes["error.type"]) == ("ERROR", "ValueError")
    assert SECRET not in one.to_json()


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ('SELECT "core_user"."id" FROM "core_user" WHERE name = \'x\'', "SELECT core_user"),
        ("INSERT INTO audit_entry (id) VALUES (%s)", "INSERT audit_entry"),
        ("\n UPDATE audit_delivery SET attempts = 1", "UPDATE audit_delivery"),
        ("WITH x AS (SELECT 1) SELECT * FROM agents_action", "WITH agents_action"),
        ("SAVEPOINT s1", "SAVEPOINT"),
        (f"LISTEN {SECRET}", "SQL"),
        (f"SELECT '{SECRET}'", "SELECT"),
        (b"SELECT 1", "SQL"),
    ],
)
def test_of_a_statement_verb_and_table_are_told(sql: Any, wanted: str) -> None:
    assert summary_of(sql) == wanted


@pytest.mark.django_db
def test_statements_that_belong_to_nothing_traced_are_not_told(told: Any) -> None:
    User.objects.exists()
    assert told() == ()


def test_who_rings_is_who_is_gone_on_from(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr("celery.current_app.send_task", lambda name, **said: sent.update(said))
    with span("a request"):
        queue._send("reactions")
    monkeypatch.setattr("apps.core.tasks.function_at", lambda path: lambda: 0)
    monkeypatch.setattr("apps.core.tasks.answer_ring", lambda lane: None)
    drain.push_request(**sent["headers"])
    try:
        drain.run("reactions")
    finally:
        drain.pop_request()
    ring, request, drained = told()
    assert (drained.name, drained.parent.span_id) == ("drain reactions", ring.context.span_id)
    assert drained.context.trace_id == request.context.trace_id


class Dead(SpanExporter):
    """A collector that does not answer until it is told to."""

    def __init__(self) -> None:
        self.asked, self.go_on = Event(), Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked.set()
        self.go_on.wait(30)
        return SpanExportResult.FAILURE


def test_a_dead_collector_holds_nobody_up_and_what_it_loses_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    dead = Dead()
    sender = Sender("acp-test", dead)
    lost, gone = failed("dropped"), failed("failed")
    before = use_tracing(sender)
    try:
        with span("first"):
            pass
        assert dead.asked.wait(30)
        for _ in range(700):
            with span("more"):
                pass
        assert failed("dropped") - lost == 100
        assert isinstance(sender.processor, Bounded)
        assert sender.processor._given - sender.processor.counted.taken == 600
    finally:
        use_tracing(before)
        dead.go_on.set()
        sender.stop()
    assert failed("failed") - gone == 601


def test_spans_of_another_process_are_not_stopped_here(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    stop_tracing()
    monkeypatch.undo()
    with span("still"):
        pass
    assert [one.name for one in told()] == ["still"]


class TestJobs:
    """What the clock starts: a round is a span where something came of it."""

    @pytest.fixture
    def job(self, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[Callable[[], int]], None]:
        def run(work: Callable[[], int]) -> None:
            monkeypatch.setattr(clockwork, "function_at", lambda _path: work)
            clockwork.run_job("sessions")

        monkeypatch.setattr(clockwork, "connection", SimpleNamespace(close=lambda: None))
        monkeypatch.setattr(clockwork, "close_old_connections", lambda: None)
        return run

    @pytest.mark.django_db
    def test_a_round_that_did_something_is_told_and_its_statements_are_not(self, told: Any, job: Any) -> None:
        def work() -> int:
            User.objects.filter(username=SECRET).exists()
            with span("react to something"):
                User.objects.filter(username=SECRET).exists()
            User.objects.filter(username=SECRET).exists()
            return 3

        job(work)
        statement, reaction, round_ = told()
        assert (round_.name, dict(round_.attributes)) == ("job sessions", {"acp.job": "sessions", "acp.done": 3})
        assert (reaction.parent.span_id, round_.parent) == (round_.context.span_id, None)
        assert (statement.name, statement.parent.span_id) == ("SELECT core_user", reaction.context.span_id)

    def test_a_round_that_found_nothing_is_none_unless_it_took_long(
        self, told: Any, job: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job(lambda: 0)
        assert told() == ()
        assert current_ids() is None
        monkeypatch.setattr(clockwork, "SLOW_S", 0.0)
        job(lambda: 0)
        assert [one.attributes["acp.done"] for one in told()] == [0]

    def test_a_round_that_failed_is_told_by_the_class_of_its_error(self, told: Any, job: Any) -> None:
        def work() -> int:
            raise ValueError(SECRET)

        with pytest.raises(ValueError, match=SECRET):
            job(work)
        (one,) = told()
        assert (one.status.status_code.name, one.attributes["error.type"]) == ("ERROR", "ValueError")
        assert SECRET not in one.to_json()
