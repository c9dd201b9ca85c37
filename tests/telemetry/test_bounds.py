"""What one body, one search and one round may take, whoever asks for more."""

import asyncio
import gzip
import json
import tracemalloc
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps.agents.models import Agent
from apps.core.models import ClockTimestamp
from apps.telemetry.models import LogRecord, Span
from apps.telemetry.rules import otlp, tools
from apps.telemetry.rules.names import without_content
from apps.telemetry.rules.otlp import JSON, PROTOBUF, TooMuchError, UnreadableError, read_logs, read_traces
from apps.telemetry.rules.tools import CallSeen, judge
from apps.telemetry.services import erasing, forget_spans
from controlplane import bodies
from tests.factories.access import make_holder
from tests.factories.agents import make_agent
from tests.factories.telemetry import body_of, log, logs_of, rejected, send, send_logs, span
from tests.oversight.test_api import caller
from tests.telemetry.test_looking import VIEW, signed_in


@pytest.fixture
def agent(db: None) -> Agent:
    return make_agent()


def sized(tag: int, inner: bytes) -> bytes:
    """A field of protobuf, of which an empty one is two bytes."""
    size, head = len(inner), bytearray([tag << 3 | 2])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + inner


SPANS = b"\x12\x00" * 1_000_000
FLOODS = {
    "spans in protobuf": (sized(1, sized(2, SPANS)), PROTOBUF),
    "scopes in protobuf": (sized(1, SPANS), PROTOBUF),
    "resources in protobuf": (b"\x0a\x00" * 1_000_000, PROTOBUF),
    "links of a span in protobuf": (sized(1, sized(2, sized(2, b"\x6a\x00" * 2_000_000))), PROTOBUF),
    "attributes of a span in protobuf": (sized(1, sized(2, sized(2, b"\x4a\x00" * 2_000_000))), PROTOBUF),
    "attributes of a resource in protobuf": (sized(1, sized(1, b"\x0a\x00" * 1_000_000)), PROTOBUF),
    "values of an attribute in protobuf": (
        sized(1, sized(2, sized(2, sized(9, sized(2, sized(5, b"\x0a\x00" * 1_000_000)))))),
        PROTOBUF,
    ),
    "fields in protobuf": (sized(1, sized(2, sized(2, b"\x80\x01\x00" * 1_200_000))), PROTOBUF),
    "spans in JSON": (body_of(*[{}] * 1_000_000), JSON),
    "a few too many": (body_of(*[{}] * (otlp.MOST_SPANS + 1)), JSON),
    "attributes in JSON": (body_of({"attributes": [{}] * 1_000_000}), JSON),
    "resources in JSON": (json.dumps({"resourceSpans": [{}] * 1_000_000}).encode(), JSON),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_body_of_a_million_parts_is_refused_before_they_are_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("It was built.")

    never = type("Never", (), {"ParseFromString": build, "DESCRIPTOR": otlp.ExportTraceServiceRequest.DESCRIPTOR})
    monkeypatch.setattr(otlp, "ExportTraceServiceRequest", never)
    monkeypatch.setattr(otlp.json_format, "ParseDict", build)
    body, kind = FLOODS[name]
    with pytest.raises(TooMuchError):
        read_traces(body, kind)


def test_logs_are_counted_in_the_same_way() -> None:
    with pytest.raises(TooMuchError):
        read_logs(sized(1, sized(2, SPANS)), PROTOBUF)
    with pytest.raises(TooMuchError):
        read_logs(logs_of(*[{}] * (otlp.MOST_SPANS + 1)), JSON)


def test_as_many_rows_as_may_come_are_read_and_what_is_broken_is_unreadable() -> None:
    assert read_traces(sized(1, sized(2, b"\x12\x00" * otlp.MOST_SPANS)), PROTOBUF) == ([], otlp.MOST_SPANS)
    assert read_traces(body_of(*[{}] * otlp.MOST_SPANS), JSON) == ([], otlp.MOST_SPANS)
    deep = b""
    for _ in range(2 * otlp.DEEPEST_BODY):
        deep = sized(5, sized(1, deep))
    deep = sized(1, sized(2, sized(2, sized(9, sized(2, deep)))))
    for broken in (b"\x0a", b"\x0a\x05", b"\x0b\x0c", b"\xff" * 20, sized(1, b"\x12\x09"), deep):
        with pytest.raises(UnreadableError):
            read_traces(broken, PROTOBUF)


def test_a_body_full_of_short_attributes_is_read() -> None:
    pair = ExportTraceServiceRequest()
    pair.resource_spans.add().scope_spans.add().spans.add().attributes.add(key="acp.run.id").value.int_value = 1
    (one,) = pair.resource_spans[0].scope_spans[0].spans[0].attributes
    row = sized(9, one.SerializeToString()) * 22
    body = sized(1, sized(2, sized(2, row) * otlp.MOST_SPANS))
    assert otlp.MAX_BODY * 0.95 < len(body) < otlp.MAX_BODY
    assert read_traces(body, PROTOBUF) == ([], otlp.MOST_SPANS)


def test_attributes_of_one_name_are_read_as_often_as_attributes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[Any]()
    monkeypatch.setattr(otlp, "_value", read.append)
    pair = {"key": "same", "value": {"intValue": "1"}}
    read_traces(body_of({**span(1, {}), "attributes": [pair] * 5_000}), JSON)
    assert len(read) == otlp.MOST_ATTRIBUTES


@pytest.mark.parametrize(("packed", "place"), [(True, True), (False, False)])
def test_a_small_body_that_unpacks_to_a_large_one_takes_a_large_ones_place(
    packed: bool, place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = gzip.compress(b" " * (bodies.MAX_BODY + 1))
    assert len(body) < 10_000
    headers = [(b"content-length", b"1"), *([(b"content-encoding", b"GZip")] if packed else [])]
    scope = {"path": "/v1/traces", "method": "POST", "headers": headers}

    async def taken() -> bool:
        monkeypatch.setattr(bodies, "large", asyncio.Semaphore(1))
        async with AsyncExitStack() as held:
            assert await bodies.whole(scope, receive, None, held) is not None
            inside = bodies.large.locked()
        assert not bodies.large.locked()
        return inside

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    assert asyncio.run(taken()) is place


def test_a_body_that_says_to_be_smaller_than_it_is_is_not_read() -> None:
    lying = gzip.compress(b" " * 3_000_000)[:-4] + (1).to_bytes(4, "little")
    with pytest.raises(UnreadableError):
        otlp.unpack(lying, "gzip")


def test_all_names_under_which_openinference_tells_content_are_known() -> None:
    said = {
        "llm.choices.0.completion.text": "x", "input.images.0.image.url": "x", "output.images.0": "x",
        "input.documents.0.document.content": "x", "output.documents.0": "x",
    }  # fmt: skip
    assert without_content({**said, "input.mime_type": "text/plain"}) == {"input.mime_type": "text/plain"}


def test_what_is_too_old_is_deleted_in_one_round_however_much_it_is(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "AT_ONCE", 2)
    assert rejected(send(agent, body_of(*(span(number, {}) for number in range(1, 7))))) == 0
    age = timedelta(days=settings.ACP_SPAN_DAYS, seconds=1)
    Span.objects.exclude(span_id__endswith="6").update(created_at=ClockTimestamp() - age)
    monkeypatch.setattr(erasing, "FORGET_S", -1.0)
    assert forget_spans() == 2, "no time is left after the first two"
    monkeypatch.setattr(erasing, "FORGET_S", 60.0)
    assert forget_spans() == 3
    assert Span.objects.get().span_id.endswith("6")


def test_a_search_in_logs_is_bounded_like_one_in_spans(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    send_logs(agent, logs_of(*(log(f"look {number}") for number in range(1, 5))))
    assert LogRecord.objects.count() == 4
    viewer = make_holder(VIEW)

    def found(query: str) -> list[str]:
        rows = caller(viewer).get(f"/api/v1/logs/?{query}").json()["results"]
        return sorted(row["body"][-1] for row in rows)

    assert found("text=LOOK") == ["1", "2", "3", "4"]
    assert found("text=look&agent=another") == []
    monkeypatch.setattr("apps.telemetry.selectors.logs.MOST_SEARCHED", 2)
    assert found("text=look") == ["3", "4"]
    assert found("text=look+1") == []
    answer = caller(viewer).get(f"/api/v1/logs/?text={'x' * 101}")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["text"])
    page = signed_in(viewer).get(f"/logs/?text=look{'x' * 5_000}")
    assert page.status_code == 200
    assert "the newest 20,000 log records" in page.content.decode()


def test_what_stands_above_calls_is_walked_once_for_each_that_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = list[str]()
    above = tools.above
    monkeypatch.setattr(tools, "above", lambda span, tree: walked.append(span) or above(span, tree))
    now = datetime.now(UTC)
    tree = {f"old{number}": f"new{number}" for number in range(50)} | {f"new{number}": "" for number in range(50)}
    before = {(f"old{number}", "pay") for number in range(50)}
    calls = [CallSeen(uuid4(), "t", f"new{number}", "pay" if number else "look", now, now) for number in range(50)]
    found = judge(calls, [], trees={"t": tree}, counted={"t": before})
    assert len(found.repeats) == 49
    assert found.ungoverned == [calls[0].key]
    assert len(walked) <= 100


def test_of_what_stands_above_judged_calls_that_alone_is_kept_which_is_asked_for() -> None:
    now = datetime.now(UTC)
    tree = {f"{number}": f"{number + 1}" for number in range(3_000)}
    tree |= {f"beside {number}": "" for number in range(1_000)}
    before = {(f"{number}", f"tool {number % 1_000}") for number in range(2_900)}
    calls = [CallSeen(uuid4(), "t", f"beside {number}", f"tool {number}", now, now) for number in range(1_000)]
    calls.append(CallSeen(uuid4(), "t", "2950", "tool 899", now, now))
    tracemalloc.start()
    try:
        found = judge(calls, [], trees={"t": tree}, counted={"t": before})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.repeats == [calls[-1].key]
    assert most < 8_000_000
