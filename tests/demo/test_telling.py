"""What the sample agents tell of their work: the spans and log lines that leave them, by GenAI's names."""

import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.agents.rules.traces import baggage_of, span_id_of, trace_id_of, traceparent_of
from apps.demo.agents import telling
from apps.demo.agents.actors import Payables
from apps.demo.agents.agent import FAILS_AT, TRIES_AT
from apps.demo.agents.plane import Document, Refused
from apps.demo.agents.workers import SEARCHES_EVERY, ExpenseChecker, QuoteGatherer

RUN, TASK = uuid4(), uuid4()


class Sent:
    """Exporters that keep what they would send."""

    def __init__(self) -> None:
        self.exporter, self.log_exporter = InMemorySpanExporter(), InMemoryLogRecordExporter()

    def spans(self, agent: Any) -> list[ReadableSpan]:
        agent.telling.end()
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    kept = Sent()
    monkeypatch.setattr(telling, "OTLPSpanExporter", lambda **_: kept.exporter)
    monkeypatch.setattr(telling, "OTLPLogExporter", lambda **_: kept.log_exporter)
    return kept


class PlaneStub:
    """Answers every action in one state; the task's run and the actions' ids are real ids."""

    def __init__(self, state: str = "succeeded") -> None:
        self.state, self.done = state, list[Document]()

    def claim(self) -> list[Document]:
        given = {"declaration_id": "D-1", "amount_minor": 100, "currency": "EUR", "purpose": "taxi"}
        return [{"id": str(TASK), "step": "check", "input": given, "context": {"answers": []}, **_carried(RUN, TASK)}]

    def act(self, operation: str, parameters: Document, **_: Any) -> Document:
        if self.state == "refused":
            raise Refused(403, {"code": "not_allowed"})
        pk = uuid4()
        result = {"amount_minor": 100}
        return {"id": str(pk), "operation": operation, "state": self.state, "result": result, **_carried(pk, pk)}

    def action(self, action_id: str) -> Document:
        pk = UUID(action_id)
        return {"id": action_id, "operation": "erp.pay_invoice", "state": "succeeded", **_carried(pk, pk)}

    def complete(self, task: Document, output: Document) -> None:
        self.done.append(output)


def _carried(trail: UUID, work: UUID) -> Document:
    if trail == work:
        return {"traceparent": traceparent_of(work, work), "baggage": baggage_of(run=None, task=None, action=work)}
    return {"traceparent": traceparent_of(trail, work), "baggage": baggage_of(run=trail, task=work)}


def agent[A](kind: type[A], plane: PlaneStub) -> A:
    told = telling.Telling(kind.slug, "http://127.0.0.1:9", "acp_agt_x")  # type: ignore[attr-defined]
    return kind(plane, told, threading.Event(), 1_000.0)  # type: ignore[call-arg]


def named(spans: list[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


def test_a_task_is_told_in_the_trace_of_its_run_with_its_thinking_and_its_tools(sent: Sent) -> None:
    checker = agent(ExpenseChecker, plane := PlaneStub())
    checker.look()
    spans = sent.spans(checker)
    work = "invoke_agent expense-checker"
    assert named(spans) == [work, "chat demo-small", "execute_tool erp.get_declaration", "chat demo-small"]
    assert plane.done
    top, chat, tool, _ = spans
    assert top.context is not None
    assert top.parent is not None
    assert f"{top.context.trace_id:032x}" == trace_id_of(RUN)
    assert f"{top.parent.span_id:016x}" == span_id_of(TASK)
    assert {span.parent.span_id for span in spans[1:] if span.parent} == {top.context.span_id}
    of = [((span.attributes or {})["acp.run.id"], (span.attributes or {})["acp.step.id"]) for span in spans]
    assert of == [(str(RUN), str(TASK))] * 4
    said = dict(chat.attributes or {})
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.usage.input_tokens"]
    assert said["gen_ai.usage.output_tokens"]
    assert len({dict(span.attributes or {}).get("gen_ai.response.id") for span in (spans[1], spans[3])}) == 2
    called = dict(tool.attributes or {})
    assert (called["gen_ai.operation.name"], called["gen_ai.tool.name"]) == ("execute_tool", "erp.get_declaration")
    assert UUID(str(called["acp.action.id"]))
    assert [span.resource.attributes["service.name"] for span in spans] == ["expense-checker"] * 4
    (line,) = sent.log_exporter.get_finished_logs()
    assert "check done" in str(line.log_record.body)
    assert line.log_record.span_id == top.context.span_id


def test_what_was_only_asked_for_is_no_call_of_a_tool_until_it_was_carried_out(sent: Sent) -> None:
    payables = agent(Payables, PlaneStub("pending_approval"))
    payables.ask_for("INV-1", "erp.pay_invoice", {})
    payables.follow_up()
    payables.follow_up()
    spans = sent.spans(payables)
    expected = ["ask erp.pay_invoice", "invoke_agent payables", "chat demo-large", "execute_tool erp.pay_invoice"]
    assert named(spans) == expected
    assert "acp.action.id" not in (spans[2].attributes or {})  # else it would be taken for the action's call
    assert "gen_ai.tool.name" not in (spans[0].attributes or {})
    assert len({span.context.trace_id for span in spans if span.context}) == 1
    assert (spans[3].attributes or {})["acp.action.id"] == (spans[0].attributes or {})["acp.action.id"]


def test_what_is_done_at_once_is_told_once(sent: Sent) -> None:
    payables = agent(Payables, PlaneStub())
    payables.ask_for("INV-1", "erp.pay_invoice", {})
    payables.follow_up()
    assert named(sent.spans(payables)).count("execute_tool erp.pay_invoice") == 1


def test_a_refusal_is_told_as_a_failed_asking(sent: Sent) -> None:
    payables = agent(Payables, PlaneStub("refused"))
    with pytest.raises(Refused):
        payables.act("erp.approve_order", {})
    (span,) = sent.spans(payables)
    assert (span.name, (span.attributes or {})["error.type"], span.status.is_ok) == (
        "ask erp.approve_order",
        "not_allowed",
        False,
    )


def test_now_and_then_a_call_fails_and_another_model_answers(sent: Sent) -> None:
    gatherer = agent(QuoteGatherer, PlaneStub())
    for _ in range(FAILS_AT):
        gatherer.think(0.01)
    chats = sent.spans(gatherer)
    failed = [span for span in chats if not span.status.is_ok]
    assert [(span.attributes or {}).get("error.type") for span in failed] == ["rate_limit_exceeded"]
    assert "gen_ai.usage.input_tokens" not in (failed[0].attributes or {})
    models = [(span.attributes or {})["gen_ai.response.model"] for span in chats if span.status.is_ok]
    assert models.index("demo-preview") == TRIES_AT - 1
    assert models.count("demo-preview") == 1


def test_now_and_then_a_checker_uses_a_tool_of_its_own_unasked(sent: Sent) -> None:
    checker = agent(ExpenseChecker, PlaneStub())
    for _ in range(SEARCHES_EVERY):
        checker.look()
    assert named(sent.spans(checker)).count("execute_tool web_search") == 1
