"""The plane tells collectors of runs: by the ids that agents were handed, with the times at which things were."""

from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from django.db import connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.agents.rules.traces import traceparent_of
from apps.audit.models import Delivery
from apps.audit.tasks import deliver_reactions
from apps.core.tracing import use_tracing
from apps.core.tracing.sdk import Sender
from apps.telemetry.services import tell_run
from apps.workflows.models import Run, Step
from apps.workflows.services import claim_tasks, complete_task
from controlplane.reactions import with_traces
from tests.factories.agents import make_action
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.serving import serving, wait_for


@pytest.fixture
def exporter() -> Any:
    exporter = InMemorySpanExporter()
    sender = Sender("acp-test", exporter)
    before = use_tracing(sender)
    exporter.flush = sender.processor.force_flush  # type: ignore[attr-defined] # for the tests alone
    yield exporter
    use_tracing(before)
    sender.stop()


def by_name(exporter: Any) -> dict[str, ReadableSpan]:
    exporter.flush()
    return {one.name: one for one in exporter.get_finished_spans()}


@pytest.mark.django_db
def test_a_run_that_is_over_is_told_whole_below_the_ids_that_agents_have(exporter: Any, settings: Any) -> None:
    settings.REACTIONS = with_traces(settings.REACTIONS)
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}})
    worker = make_worker(flow, "order.check")
    run = make_run(flow, {"customer": "Ada Lovelace"})
    (task,) = claim_tasks(worker.user)
    action = make_action(agent=worker, run_id=run.pk, task_id=task.pk, step="check", goal="Tell Ada Lovelace")
    handed = traceparent_of(run.pk, task.pk).split("-")
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={"said": "Ada Lovelace"})
    while deliver_reactions():
        pass
    run = Run.objects.get(pk=run.pk)
    assert run.is_over
    found = by_name(exporter)
    whole, told = found[f"invoke_workflow {flow.slug}"], found["task order.check"]
    step, tool = found["step check"], found[f"execute_tool {action.operation}"]
    assert (f"{told.context.trace_id:032x}", f"{told.context.span_id:016x}") == (handed[1], handed[2])
    assert whole.parent is None
    assert step.parent.span_id == whole.context.span_id
    assert told.parent.span_id == step.context.span_id
    assert tool.parent.span_id == told.context.span_id
    assert {one.context.trace_id for one in (whole, step, told, tool)} == {run.pk.int}
    assert whole.end_time == int(run.finished_at.timestamp() * 1_000_000) * 1000
    assert whole.start_time <= step.start_time <= told.start_time
    reaction = found["react to run.succeeded"]
    assert reaction.links[0].context.trace_id == run.pk.int
    assert not any("Lovelace" in one.to_json() for one in found.values())


@pytest.mark.django_db
def test_an_open_run_and_a_simulated_one_are_not_told(exporter: Any) -> None:
    run = make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))
    tell_run(run_id=run.pk)
    Step.objects.filter(run=run).delete()
    assert by_name(exporter) == {}


@pytest.mark.django_db
def test_off_nothing_more_follows_from_the_end_of_a_run() -> None:
    flow = make_workflow({"steps": {"check": {"agent": "order.check"}}})
    worker = make_worker(flow, "order.check")
    make_run(flow)
    (task,) = claim_tasks(worker.user)
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
    assert not Delivery.objects.filter(reaction="apps.telemetry.tasks.tell_run").exists()


class Quiet(WSGIRequestHandler):
    """Says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


def test_a_web_process_sends_to_where_the_environment_says(real_db: str, tmp_path: Path) -> None:
    bodies: list[bytes] = []

    def collector(environ: Any, start: Any) -> list[bytes]:
        bodies.append(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start("200 OK", [("Content-Type", "application/x-protobuf")])
        return [b""]

    server = make_server("127.0.0.1", 0, collector, handler_class=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    settings_of = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    try:
        with serving(str(connection.settings_dict["NAME"]), tmp_path, **settings_of) as address:
            said = {"Authorization": "Bearer acp_secret-key", "Cookie": "sessionid=secret-session"}
            httpx.get(f"{address}/accounts/login/?next=/secret-place/", headers=said)
            wait_for(lambda: "GET /accounts/login/" in names_in(bodies))
    finally:
        server.shutdown()
        server.server_close()
    request = ExportTraceServiceRequest.FromString(bodies[0])
    named = {pair.key: pair.value.string_value for pair in request.resource_spans[0].resource.attributes}
    assert named["service.name"] == "acp-web"
    assert b"secret" not in b"".join(bodies)


def names_in(bodies: list[bytes]) -> set[str]:
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    scopes = [scope for request in requests for one in request.resource_spans for scope in one.scope_spans]
    return {span.name for scope in scopes for span in scope.spans}
