"""OTLP over HTTP: bytes in, spans out (opentelemetry.io/docs/specs/otlp)."""

import base64
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from apps.core.rules import SECRET, depth_of
from apps.telemetry.rules.names import LONGEST

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a body, packed or not."""
MOST_SPANS = 10_000
"""Spans of one request."""
MOST_TRACES = 1_000
"""Traces to which they belong."""
MOST_ATTRIBUTES = 128
"""Attributes kept of one span."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"
DEEPEST = 64
DEEPEST_VALUE = 4
GZIP = 31
IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8, "trace_id": 16, "span_id": 8, "parent_span_id": 8}


class UnreadableError(ValueError):
    """The body is no request of OTLP; the message says what is wrong with it."""


class TooMuchError(ValueError):
    """The body is larger than ``MAX_BODY``, or has more than ``MOST_SPANS`` spans or ``MOST_TRACES`` traces."""


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
    request = ExportTraceServiceRequest()
    try:
        if kind == PROTOBUF:
            request.ParseFromString(body)
        else:
            json_format.ParseDict(_with_bytes(_json(body)), request, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        raise UnreadableError("The body is no ExportTraceServiceRequest.") from error
    spans = [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
    if len(spans) > MOST_SPANS or len({span.trace_id for span in spans}) > MOST_TRACES:
        raise TooMuchError
    found, bad = list[SpanSaid](), 0
    for one in request.resource_spans:
        shared = _attributes(pair for pair in one.resource.attributes if pair.key.startswith(("service.", "acp.")))
        for scope in one.scope_spans:
            for span in scope.spans:
                said = _span(span, shared)
                if said is None:
                    bad += 1
                else:
                    found.append(said)
    return found, bad


def answer_of(kind: str, *, rejected: int, why: str) -> bytes:
    """The answer to a request that was taken, in the words in which it was asked."""
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = why
    packed: bytes = answer.SerializeToString()
    return packed if kind == PROTOBUF else json_format.MessageToJson(answer, indent=None).encode()


def _json(body: bytes) -> dict[str, Any]:
    text = body.decode()
    if depth_of(text) > DEEPEST:
        raise UnreadableError("Too deep.")
    value = json.loads(text)
    if not isinstance(value, dict):
        raise UnreadableError("Not an object.")
    return value


def _with_bytes(request: dict[str, Any]) -> dict[str, Any]:
    """OTLP writes ids in hex where protobuf's JSON writes base64."""
    for one in _lists(request, "resourceSpans", "resource_spans"):
        for scope in _lists(one, "scopeSpans", "scope_spans"):
            for span in _lists(scope, "spans"):
                for name, size in IDS.items():
                    if said := span.get(name):
                        if not isinstance(said, str) or len(said) != 2 * size:
                            raise UnreadableError("An id is not hex.")
                        span[name] = base64.b64encode(bytes.fromhex(said)).decode()
                span.pop("links", None)
                span.pop("events", None)
    return request


def _lists(holder: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        held = holder.get(name) or []
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


def _instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // 1_000 / 1_000_000, UTC)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    found = dict[str, Any]()
    for pair in pairs:
        if len(found) == MOST_ATTRIBUTES:
            break
        found[_clean(pair.key)[:200]] = _value(pair.value)
    return found


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
