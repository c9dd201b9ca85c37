"""Spans by OpenTelemetry's SDK, sent by OTLP over HTTP from a thread of its own. Imported only where traces are sent.

The usual variables hold: ``OTEL_EXPORTER_OTLP_*``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_TRACES_SAMPLER`` and
``OTEL_BSP_*``.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, override

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_value, set_value
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler, SamplingResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import TraceState
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import Attributes
from prometheus_client import Counter

from apps.core.tracing import TRACEPARENT, Attribute, Ids, Open, SpanKind, Told, span

SCOPE = "autonomy-control-plane"
KINDS = {kind: trace.SpanKind[kind.name] for kind in SpanKind}
VERB = re.compile(r"\s*([A-Za-z]+)")
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(?:ONLY\s+)?\"?([A-Za-z_]+)")
VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "SET", "SAVEPOINT", "RELEASE", "ROLLBACK", "NOTIFY"})
OUTSIDE = "acp.outside"
QUIET = "acp.quiet"
MOST_WAITING = 2048
END_S = 3.0
"""How long the end of a process waits for what was not sent yet."""
SPANS = Counter("acp_trace_spans", "Spans of the plane itself: sent, failed, or dropped unsent.", ["outcome"])


class Counted(SpanExporter):
    """An exporter whose outcomes are counted."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter, self.taken = exporter, 0

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send; what fails is gone, and counted."""
        self.taken += len(spans)
        done = self.exporter.export(spans)
        SPANS.labels("sent" if done is SpanExportResult.SUCCESS else "failed").inc(len(spans))
        return done

    @override
    def shutdown(self) -> None:
        self.exporter.shutdown()


class Bounded(BatchSpanProcessor):
    """The SDK's own batches, which drop the oldest span of a full queue; here that is counted as well."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.counted, self.most = Counted(exporter), int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or MOST_WAITING)
        self._given, self._lock = 0, threading.Lock()
        super().__init__(self.counted, max_queue_size=self.most)

    @override
    def on_end(self, span: ReadableSpan) -> None:
        if span.context and span.context.trace_flags.sampled:
            with self._lock:
                if self._given - self.counted.taken >= self.most:
                    SPANS.labels("dropped").inc()  # it takes the place of one that was given before
                else:
                    self._given += 1
        super().on_end(span)


class Edge(Sampler):
    """The environment's sampler, asked where a trace of ours begins or enters from outside; what is below follows.

    A caller's ``traceparent`` names its trace. Neither its flag nor the digits that it chose, which samplers by share
    go by, decide whether spans are kept, unless ``TRUSTS_TRACEPARENT``.
    """

    def __init__(self, asked: Sampler) -> None:
        self.asked, self._ids = asked, RandomIdGenerator()

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """By chance of our own at the edge; below it as was decided there."""
        parent = trace.get_current_span(parent_context).get_span_context()
        asked, context = self.asked, parent_context
        if get_value(OUTSIDE, parent_context):
            if not settings.TRUSTS_TRACEPARENT:
                context, trace_id = Context(), self._ids.generate_trace_id()
        elif parent.is_valid:
            asked = ALWAYS_ON if parent.trace_flags.sampled else ALWAYS_OFF
        return asked.should_sample(context, trace_id, name, kind, attributes, links, trace_state)

    @override
    def get_description(self) -> str:
        return f"Edge{{{self.asked.get_description()}}}"


class Sender:
    """The spans of one process. ``service`` is its name unless ``OTEL_SERVICE_NAME`` has another."""

    def __init__(self, service: str, exporter: SpanExporter | None = None) -> None:
        self.pid = os.getpid()
        name = os.environ.get("OTEL_SERVICE_NAME") or service
        self.resource = Resource.create({"service.name": name, "service.namespace": SCOPE})
        self.processor = Bounded(exporter or OTLPSpanExporter())
        provider = TracerProvider(resource=self.resource, shutdown_on_exit=False)
        provider.sampler = Edge(provider.sampler)
        provider.add_span_processor(self.processor)
        self.tracer = provider.get_tracer(SCOPE)
        connection_created.connect(_watch, dispatch_uid=SCOPE)

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Attribute],
        *,
        parent: str,
        is_outside: bool,
        is_quiet: bool,
        links: Sequence[Ids],
    ) -> Iterator[Open | None]:
        """A span around a block; an error is told by its class alone, because its words may quote anything."""
        context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if parent else None
        if context is not None and is_outside:
            context = set_value(OUTSIDE, True, context)
        with (
            self.tracer.start_as_current_span(
                name,
                context=context,
                kind=KINDS[kind],
                attributes=dict(attributes),
                links=[trace.Link(_context(*ids)) for ids in links],
                record_exception=False,
                set_status_on_exception=False,
                end_on_exit=False,
            ) as found,
            _quiet(is_quiet),
        ):
            under_way = UnderWay(found)
            try:
                yield under_way
            except BaseException as error:
                under_way.fail(type(error).__name__)
                raise
            finally:
                under_way.end()

    def current(self) -> Ids | None:
        """The span under way in this thread."""
        at = trace.get_current_span().get_span_context()
        return (trace.format_trace_id(at.trace_id), trace.format_span_id(at.span_id)) if at.is_valid else None

    def traceparent(self) -> str:
        """The same as W3C's header; empty where there is none."""
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier.get(TRACEPARENT, "")

    def tell(self, spans: Sequence[Told]) -> None:
        """Send spans with ids and times of their own, past the sampler: whole or not at all."""
        for told in spans:
            trace_id, span_id = told.ids
            self.processor.on_end(
                ReadableSpan(
                    told.name,
                    context=_context(trace_id, span_id),
                    parent=_context(trace_id, told.parent) if told.parent else None,
                    resource=self.resource,
                    attributes=dict(told.attributes),
                    status=Status(StatusCode.ERROR if told.failed else StatusCode.UNSET),
                    start_time=_nanoseconds(told.started_at),
                    end_time=_nanoseconds(told.ended_at),
                    instrumentation_scope=InstrumentationScope(SCOPE),
                )
            )

    def stop(self) -> None:
        """Send what waits, ``END_S`` at most: a dead collector holds up no end."""
        last = threading.Thread(target=self.processor.shutdown, daemon=True)
        last.start()
        last.join(END_S)


class UnderWay:
    """A span that has not ended."""

    def __init__(self, span: trace.Span) -> None:
        self._span, self._is_dropped = span, False

    def say(self, name: str, value: Attribute) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Call it by what is known now."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """Mark it as failed."""
        self._is_dropped = False
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))

    def drop(self) -> None:
        """Send nothing of it."""
        self._is_dropped = True

    def end(self) -> None:
        """It is over; what never ends is never sent."""
        if not self._is_dropped:
            self._span.end()


@contextmanager
def _quiet(is_quiet: bool) -> Iterator[None]:
    """Whether statements right here are no spans."""
    token = attach(set_value(QUIET, is_quiet))
    try:
        yield
    finally:
        detach(token)


def _context(trace_id: str, span_id: str) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1_000


def _watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if _statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(_statement)


def _statement(execute: Callable[..., Any], sql: Any, parameters: Any, many: bool, context: dict[str, Any]) -> Any:
    """A span for a statement, below what asked for it: which verb and table, and nothing else of its text."""
    if not trace.get_current_span().is_recording() or get_value(QUIET):
        return execute(sql, parameters, many, context)
    with span(summary_of(sql), kind=SpanKind.CLIENT, attributes={"db.system.name": "postgresql"}):
        return execute(sql, parameters, many, context)


def summary_of(sql: Any) -> str:
    """Verb and first table of a statement; what is no plain text says neither."""
    verb = VERB.match(sql) if isinstance(sql, str) else None
    if verb is None or verb[1].upper() not in VERBS:
        return "SQL"
    table = TABLE.search(sql)
    return f"{verb[1].upper()} {table[1]}" if table else verb[1].upper()
