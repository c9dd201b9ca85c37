"""What an agent tells of its own work: spans and log lines, by OpenTelemetry's own library, sent with the agent's key.

Calls of models and of tools are named by OpenTelemetry's GenAI conventions. Nothing that was said to a model is told.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import baggage
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span as OpenSpan
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, get_current_span

from apps.demo.agents.plane import Document, Refused

EVERY_MS = 3_000
"""What has gathered is sent so often."""
NAMED = ("acp.run.id", "acp.step.id")
"""What each span says itself of the baggage: a child is sent before what stands above it has ended. The action is not
among them, as a span that names one says that it is that action's call."""
CARRIED_OUT = frozenset({"succeeded", "failed", "unknown"})
"""States of an action that was carried out. Any other was only asked for, and is no call of a tool."""


class Naming(SpanProcessor):
    """Writes on each span for which task of which run it is."""

    def on_start(self, span: OpenSpan, parent_context: Context | None = None) -> None:
        """By the baggage that the work carries."""
        carried = baggage.get_all(parent_context)
        span.set_attributes({name: str(carried[name]) for name in NAMED if name in carried})


class Telling:
    """An agent's own traces and logs. Losing them loses no work: nothing here fails, or waits for the plane."""

    def __init__(self, slug: str, url: str, key: str) -> None:
        self.slug = slug
        resource, headers = Resource({"service.name": slug}), {"Authorization": f"Bearer {key}"}
        self._spans = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._spans.add_span_processor(Naming())
        spans = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", headers=headers)
        self._spans.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=EVERY_MS))
        self._logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
        logs = OTLPLogExporter(endpoint=f"{url.rstrip('/')}/v1/logs", headers=headers)
        self._logs.add_log_record_processor(BatchLogRecordProcessor(logs, schedule_delay_millis=EVERY_MS))
        self._tracer, self._logger = self._spans.get_tracer(__name__), self._logs.get_logger(__name__)

    @contextmanager
    def work(self, on: Document) -> Iterator[Span]:
        """What the agent does for a task or an action, in the trace that it carries; or for a run, by its id."""
        is_run = "traceparent" not in on
        named = {"acp.run.id": on["id"]} if is_run else {}
        said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": self.slug, **named}
        carried = attach(Context() if is_run else extract(on))
        try:
            with self._tracer.start_as_current_span(f"invoke_agent {self.slug}", attributes=said) as span:
                yield span
        finally:
            detach(carried)

    @contextmanager
    def chat(self, model: str) -> Iterator[Span]:
        """One call of a model."""
        said = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "demo", "gen_ai.request.model": model}
        with self._tracer.start_as_current_span(f"chat {model}", kind=SpanKind.CLIENT, attributes=said) as span:
            yield span

    def answered(self, span: Span, model: str, input_tokens: int, output_tokens: int) -> None:
        """What a call of a model used, and which model answered. A third of what came out was reasoning."""
        span.set_attribute("gen_ai.response.model", model)
        span.set_attribute("gen_ai.response.id", f"chat-{uuid.uuid4().hex}")
        span.set_attribute("gen_ai.usage.input_tokens", input_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", output_tokens)
        span.set_attribute("gen_ai.usage.reasoning.output_tokens", output_tokens // 3)

    def failed(self, span: Span, error: str) -> None:
        """A call came to nothing; `error` is its class."""
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)

    def called(self, operation: str, action: Document, since_ns: int) -> None:
        """An action that the plane was asked for: a call of a tool where it was carried out, else the asking alone."""
        done = action["state"] in CARRIED_OUT
        name = f"execute_tool {operation}" if done else f"ask {operation}"
        said = {"acp.action.id": action["id"], "acp.action.state": action["state"]} | (_tool(operation) if done else {})
        inside = get_current_span().get_span_context().is_valid
        span = self._tracer.start_span(name, None if inside else extract(action), start_time=since_ns, attributes=said)
        if action["state"] == "failed":
            self.failed(span, str((action.get("error") or {}).get("code") or "failed"))
        span.end()

    def refused(self, operation: str, refusal: Refused, since_ns: int) -> None:
        """The plane took no such action, so there is none that this could belong to."""
        span = self._tracer.start_span(f"ask {operation}", start_time=since_ns)
        self.failed(span, refusal.code)
        span.end()

    def called_outside(self, tool: str) -> None:
        """A call of a tool of the agent's own, of which the plane was not asked."""
        with self._tracer.start_as_current_span(f"execute_tool {tool}", attributes=_tool(tool)):
            time.sleep(0.02)

    def line(self, text: str, severity: SeverityNumber = SeverityNumber.INFO) -> None:
        """A line of the log, in the span that goes on."""
        self._logger.emit(timestamp=time.time_ns(), severity_number=severity, severity_text=severity.name, body=text)

    def end(self) -> None:
        """Send what has gathered."""
        self._spans.shutdown()
        self._logs.shutdown()


def _tool(name: str) -> Document:
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
