"""Whether a request is traced is decided here: neither by its caller's flag nor by the ids that the caller chose."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.core.middleware.traced import TracedMiddleware
from apps.core.tracing import carried, span, use_tracing
from apps.core.tracing.sdk import Sender

LOW, HIGH = "0af7651916cd43dd0000000000000001", "0af7651916cd43ddffffffffffffffff"
"""Ids of traces that a sampler by share of the ids always keeps, and never."""
ASKED = 200


class Desk:
    """Requests with a ``traceparent``, and how many of them were told."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.sender = Sender("acp-test", self.exporter)

    def told(self, trace: str = LOW, *, flag: str = "01", times: int = 1) -> int:
        self.exporter.clear()
        parent = {"traceparent": f"00-{trace}-b7ad6b7169203331-{flag}"}
        for _ in range(times):
            TracedMiddleware(answer)(RequestFactory().get("/runs/", headers=parent))
        self.sender.processor.force_flush()
        found = self.exporter.get_finished_spans()
        kept = [one for one in found if one.kind.name == "SERVER"]
        assert [one.name for one in found].count("below") == len(kept)
        assert all(one.context.trace_id == int(trace, 16) for one in found)
        return len(kept)


def answer(_request: HttpRequest) -> HttpResponse:
    with span("below"):
        return HttpResponse()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[Desk]:
    name, share = request.param
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    made = Desk()
    before = use_tracing(made.sender)
    yield made
    use_tracing(before)
    made.sender.stop()


@pytest.mark.parametrize("desk", [("parentbased_always_on", ""), ("always_on", "")], indirect=True)
def test_no_flag_of_a_caller_keeps_a_request_out(desk: Desk) -> None:
    assert desk.told(flag="00") == 1
    assert desk.told(flag="01") == 1


@pytest.mark.parametrize(
    "desk", [("parentbased_always_off", ""), ("always_off", ""), ("parentbased_traceidratio", "0")], indirect=True
)
def test_no_flag_of_a_caller_forces_one_in(desk: Desk) -> None:
    assert desk.told(flag="01") == 0


@pytest.mark.parametrize("desk", [("parentbased_traceidratio", "0.5"), ("traceidratio", "0.5")], indirect=True)
@pytest.mark.parametrize(("trace", "flag"), [(LOW, "01"), (HIGH, "00"), (LOW, "00"), (HIGH, "01")])
def test_a_share_is_drawn_whatever_id_a_caller_chose(desk: Desk, trace: str, flag: str) -> None:
    assert 0 < desk.told(trace, flag=flag, times=ASKED) < ASKED


@pytest.mark.parametrize("desk", [("parentbased_always_on", "")], indirect=True)
def test_callers_that_are_trusted_decide(desk: Desk, settings: Any) -> None:
    settings.TRUSTS_TRACEPARENT = True
    assert desk.told(flag="00") == 0
    assert desk.told(flag="01") == 1


@pytest.mark.parametrize("desk", [("traceidratio", "0.5")], indirect=True)
def test_what_a_message_of_ours_carries_is_followed(desk: Desk) -> None:
    for flag, kept in (("00", 0), ("01", 1)):
        desk.exporter.clear()
        with span("drain", parent=f"00-{HIGH if kept else LOW}-b7ad6b7169203331-{flag}"), span("react"):
            assert carried()["traceparent"].endswith(flag)
        desk.sender.processor.force_flush()
        assert len(desk.exporter.get_finished_spans()) == 2 * kept
