"""OTLP over HTTP: bytes in, spans and log records out (opentelemetry.io/docs/specs/otlp)."""

import base64
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from apps.core.rules import SECRET, depth_of
from apps.telemetry.rules.names import LONGEST
from apps.telemetry.rules.severities import severity_of

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a body, packed or not."""
MOST_SPANS = 10_000
"""Spans, or log records, of one request."""
MOST_TRACES = 1_000
"""Traces to which they belong."""
MOST_ATTRIBUTES = 128
"""Attributes kept of one span."""
SHARED = ("service.", "acp.", "gen_ai.agent.")
MOST_SHARED, LONGEST_SHARED = 16, 200
"""Attributes of a resource, and characters of one, that are kept with each of its rows."""
MOST_READ = 1_000
"""Attributes of a resource among which those are looked for that are kept with its rows."""
MOST_OBJECTS = MAX_BODY // 16
"""Objects of a JSON body, no attribute of which takes less than sixteen bytes for each of its two; of a protobuf body
all of which there may be many: resources, scopes, rows, attributes, links, events, values of lists."""
MOST_FIELDS = MAX_BODY // 4
"""Fields of a protobuf body; an attribute has four, and takes some twenty bytes."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"
DEEPEST = 64
DEEPEST_VALUE = 4
DEEPEST_BODY = 100
"""As protobuf itself reads."""
GZIP = 31
IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8, "trace_id": 16, "span_id": 8, "parent_span_id": 8}


class UnreadableError(ValueError):
    """The body is no request of OTLP; the message says what is wrong with it."""


class TooMuchError(ValueError):
    """The body is larger than ``MAX_BODY``, or has more rows, traces or objects than are read."""


@dataclass(frozen=True, slots=True)
class SpanSaid:
    """One span as it was sent. Ids are lower-case hex; ``attributes`` hold JSON values, those of the resource too."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    started_at: datetime
    ended_at: datetime
    failed: bool
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogSaid:
    """One log record as it was sent. Ids are empty where it belongs to no span; ``body`` is text, or JSON as text.

    ``at`` is when it happened, or was seen; None where the sender says neither. ``severity``: 1 to 24 as OpenTelemetry
    counts, 0 for none.
    """

    trace_id: str
    span_id: str
    at: datetime | None
    severity: int
    event: str
    body: str
    attributes: dict[str, Any]


def unpack(raw: bytes, encoding: str) -> bytes:
    """The body unpacked, never more than ``MAX_BODY`` of it in memory. Raises UnreadableError or TooMuchError."""
    if len(raw) > MAX_BODY:
        raise TooMuchError
    if encoding in {"", "identity"}:
        return raw
    if encoding != "gzip":
        raise UnreadableError("The only packing known is gzip.")
    packed = zlib.decompressobj(GZIP)
    try:
        body = packed.decompress(raw, MAX_BODY + 1)
    except zlib.error as error:
        raise UnreadableError("The body is not gzip.") from error
    if len(body) > MAX_BODY:
        raise TooMuchError
    if not packed.eof or packed.unused_data:
        raise UnreadableError("The gzip ends too early, or more follows it.")
    return body


def read_traces(body: bytes, kind: str) -> tuple[list[SpanSaid], int]:
    """The spans of a request, and how many have no ids or times. Raises UnreadableError or TooMuchError."""
    request = _parsed(body, kind, ExportTraceServiceRequest(), _Names("resourceSpans", "scopeSpans", "spans"))
    spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
    if len(spans) > MOST_SPANS or len({span.trace_id for span in spans}) > MOST_TRACES:
        raise TooMuchError
    found, bad = list[SpanSaid](), 0
    for one in request.resource_spans:
        shared = _shared(one.resource.attributes)
        for scope in one.scope_spans:
            for span in scope.spans:
                said = _span(span, shared)
                if said is None:
                    bad += 1
                else:
                    found.append(said)
    return found, bad


def read_logs(body: bytes, kind: str) -> list[LogSaid]:
    """The log records of a request. Raises UnreadableError or TooMuchError."""
    request = _parsed(body, kind, ExportLogsServiceRequest(), _Names("resourceLogs", "scopeLogs", "logRecords"))
    records = [record for one in request.resource_logs for scope in one.scope_logs for record in scope.log_records]
    if len(records) > MOST_SPANS or len({record.trace_id for record in records}) > MOST_TRACES:
        raise TooMuchError
    return [
        _log(record, shared)
        for one in request.resource_logs
        for shared in [_shared(one.resource.attributes)]
        for scope in one.scope_logs
        for record in scope.log_records
    ]


def answer_of(kind: str, *, rejected: int, why: str) -> bytes:
    """The answer to spans that were taken, in the words in which it was asked."""
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = why
    return _packed(kind, answer)


def answer_to_logs(kind: str, *, rejected: int, why: str) -> bytes:
    """The answer to log records that were taken, in the words in which it was asked."""
    answer = ExportLogsServiceResponse()
    if rejected:
        answer.partial_success.rejected_log_records = rejected
        answer.partial_success.error_message = why
    return _packed(kind, answer)


def _packed(kind: str, answer: Message) -> bytes:
    packed: bytes = answer.SerializeToString()
    return packed if kind == PROTOBUF else json_format.MessageToJson(answer, indent=None).encode()


@dataclass(frozen=True, slots=True)
class _Names:
    """How the three levels of a request are called in JSON."""

    resources: str
    scopes: str
    rows: str


def _parsed[M: Message](body: bytes, kind: str, request: M, names: _Names) -> M:
    try:
        if kind == PROTOBUF:
            _count(body, request.DESCRIPTOR)
            request.ParseFromString(body)
        else:
            json_format.ParseDict(_with_bytes(_json(body), names), request, ignore_unknown_fields=True)
    except TooMuchError:
        raise
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        raise UnreadableError(f"The body is no {type(request).__name__}.") from error
    return request


def _json(body: bytes) -> dict[str, Any]:
    text = body.decode()
    if depth_of(text) > DEEPEST:
        raise UnreadableError("Too deep.")
    value = json.loads(text, object_hook=_Counting())
    if not isinstance(value, dict):
        raise UnreadableError("Not an object.")
    return value


class _Counting:
    """Ends the reading of a JSON body of more than ``MOST_OBJECTS`` objects: a few bytes of each become a message."""

    def __init__(self) -> None:
        self.found = 0

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        self.found += 1
        if self.found > MOST_OBJECTS:
            raise TooMuchError
        return value


def _count(body: bytes, kind: Descriptor) -> None:
    """Raise TooMuchError where a protobuf body has more than may be built of it, before any of it is.

    Two bytes are an empty row, link or value, and become some hundred. Walks all that holds something else, however
    deep (protobuf.dev/programming-guides/encoding); of what a message holds once nothing is built a second time.
    """
    at, rows, objects, fields = 0, 0, 0, 0
    around = [(len(body), _parts(kind))]
    while around:
        end, parts = around[-1]
        if at >= end:
            if at > end:
                raise UnreadableError("A part is longer than what holds it.")
            around.pop()
            continue
        tag, at = _varint(body, at)
        start, stop = _field(body, at, tag & 7)
        fields += 1
        part = parts.get(tag)
        if part is None:
            at = stop
        else:
            at = start
            around.append((stop, _parts(part.kind)))
            if len(around) > DEEPEST_BODY:
                raise UnreadableError("Too deep.")
            rows += part.kind in ROWS
            objects += part.is_list
        if rows > MOST_SPANS or objects > MOST_OBJECTS or fields > MOST_FIELDS:
            raise TooMuchError


class _Part(NamedTuple):
    """What a field holds that is a message itself, and whether there may be many of it."""

    kind: Descriptor
    is_list: bool


@cache
def _parts(kind: Descriptor) -> dict[int, _Part]:
    """Of a kind of message: how a field begins that holds another one -> which."""
    return {
        field.number << 3 | SIZED: _Part(field.message_type, field.is_repeated)
        for field in kind.fields
        if field.message_type is not None
    }


VARINT, EIGHT, SIZED, FOUR = 0, 1, 2, 5
MORE = 0x80
"""Set in a byte after which the number goes on."""
ROWS = frozenset({Span.DESCRIPTOR, LogRecord.DESCRIPTOR})


def _field(body: bytes, at: int, wire: int) -> tuple[int, int]:
    """Where what a field holds begins and ends."""
    if wire == VARINT:
        return at, _varint(body, at)[1]
    if wire == SIZED:
        size, at = _varint(body, at)
        return at, at + size
    if wire in {EIGHT, FOUR}:
        return at, at + (8 if wire == EIGHT else 4)
    raise UnreadableError("OTLP has no groups.")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    if at < len(body) and (only := body[at]) < MORE:  # as nearly all are
        return only, at + 1
    value = 0
    for place, byte in enumerate(body[at : at + 10]):
        value |= (byte & ~MORE) << 7 * place
        if byte < MORE:
            return value, at + place + 1
    raise UnreadableError("A number does not end.")


def _with_bytes(request: dict[str, Any], names: _Names) -> dict[str, Any]:
    """OTLP writes ids in hex where protobuf's JSON writes base64. Raises TooMuchError for too many rows."""
    rows = 0
    for one in _lists(request, names.resources):
        for scope in _lists(one, names.scopes):
            for row in _lists(scope, names.rows):
                rows += 1
                if rows > MOST_SPANS:
                    raise TooMuchError
                for name, size in IDS.items():
                    if said := row.get(name):
                        if not isinstance(said, str) or len(said) != 2 * size:
                            raise UnreadableError("An id is not hex.")
                        row[name] = base64.b64encode(bytes.fromhex(said)).decode()
                row.pop("links", None)
                row.pop("events", None)
    return request


def _lists(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """What stands under a name, in camel case or, as protobuf's JSON reads it too, in snake case."""
    for spelled in {name, re.sub(r"(?=[A-Z])", "_", name).lower()}:
        held = holder.get(spelled) or []
        if not isinstance(held, list):
            raise UnreadableError("Something else than a list.")
        for one in held:
            if not isinstance(one, dict):
                raise UnreadableError("A list holds something else than objects.")
            yield one


def _span(span: Span, shared: dict[str, Any]) -> SpanSaid | None:
    if len(span.trace_id) != IDS["traceId"] or len(span.span_id) != IDS["spanId"]:
        return None
    if not any(span.trace_id) or not any(span.span_id) or not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        return None
    parent = span.parent_span_id.hex() if len(span.parent_span_id) == IDS["spanId"] else ""
    return SpanSaid(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=parent,
        name=_clean(span.name)[:200],
        started_at=_instant(span.start_time_unix_nano),
        ended_at=_instant(span.end_time_unix_nano),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=shared | _attributes(span.attributes),
    )


def _log(record: LogRecord, shared: dict[str, Any]) -> LogSaid:
    attributes = _attributes(record.attributes)
    at = record.time_unix_nano or record.observed_time_unix_nano
    name = attributes.pop("event.name", "")
    whole = len(record.trace_id) == IDS["traceId"] and any(record.trace_id)
    span = whole and len(record.span_id) == IDS["spanId"] and any(record.span_id)
    said = _value(record.body)
    return LogSaid(
        trace_id=record.trace_id.hex() if whole else "",
        span_id=record.span_id.hex() if span else "",
        at=_instant(at) if at else None,
        severity=severity_of(record.severity_number, record.severity_text),
        event=(_clean(record.event_name) or (name if isinstance(name, str) else ""))[:120],
        body="" if said is None else said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)[:LONGEST],
        attributes=shared | attributes,
    )


def _shared(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """What a resource says that is kept with each of its rows: little, as it is kept as often as there are rows."""
    told = _attributes(pair for pair in islice(pairs, MOST_READ) if pair.key.startswith(SHARED))
    short = {name: value[:LONGEST_SHARED] if isinstance(value, str) else value for name, value in told.items()}
    single = [(name, value) for name, value in short.items() if not isinstance(value, dict | list)]
    return dict(single[:MOST_SHARED])


def _instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000 / 1_000_000, UTC)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {_clean(pair.key)[:200]: _value(pair.value) for pair in islice(pairs, MOST_ATTRIBUTES)}


def _value(value: AnyValue, depth: int = 0) -> Any:
    """As JSON that PostgreSQL keeps: no U+0000, no NaN, no bytes, no secret of a kind that is known."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return _clean(value.string_value)[:LONGEST]
    if kind in {"bool_value", "int_value"}:
        return getattr(value, kind)
    if kind == "double_value":
        return value.double_value if math.isfinite(value.double_value) else str(value.double_value)
    if kind == "array_value" and depth < DEEPEST_VALUE:
        return [_value(one, depth + 1) for one in value.array_value.values[:MOST_ATTRIBUTES]]
    if kind == "kvlist_value" and depth < DEEPEST_VALUE:
        pairs = value.kvlist_value.values[:MOST_ATTRIBUTES]
        return {_clean(one.key)[:200]: _value(one.value, depth + 1) for one in pairs}
    return None


def _clean(text: str) -> str:
    return "…" if SECRET.search(text) else text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
