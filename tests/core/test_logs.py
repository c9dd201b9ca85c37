"""Logs: one line of JSON each, whoever wrote it; with request and trace, and without what must not be there."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.core.tracing import current_ids, span, use_tracing
from apps.core.tracing.sdk import Sender
from controlplane.logs import Foreign, configure, masked
from tests.factories.agents import make_agent, make_key_for
from tests.serving import serving


def record_of(message: str, *values: Any, error: Any = None) -> logging.LogRecord:
    return logging.LogRecord("library", logging.WARNING, "file.py", 1, message, values, error)


def test_a_line_of_a_library_is_json_with_what_it_belongs_to() -> None:
    sender = Sender("acp-test", InMemorySpanExporter())
    before = use_tracing(sender)
    try:
        with span("work"), structlog.contextvars.bound_contextvars(request_id="r1"):
            ids = current_ids()
            line = json.loads(Foreign().format(record_of("Not found: %s", "/runs/")))
    finally:
        use_tracing(before)
        sender.stop()
    assert line.pop("timestamp")
    assert ids is not None
    assert line == {
        "event": "Not found: /runs/",
        "level": "warning",
        "logger": "library",
        "request_id": "r1",
        "trace_id": ids[0],
        "span_id": ids[1],
    }


def test_an_error_is_one_line_without_the_values_of_the_row() -> None:
    said = 'duplicate key value violates "user_email"\nDETAIL:  Key (email)=(ada@example.com) already exists.'
    error = ValueError(said)
    line = Foreign().format(record_of("It failed", error=(ValueError, error, None)))
    assert "\n" not in line
    assert "ada@" not in line
    assert 'violates \\"user_email\\"' in line


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("GET /accounts/login/?next=/runs/&token=abc HTTP/1.1", "GET /accounts/login/?… HTTP/1.1"),
        ("see https://example.com/a?key=secret#top now", "see https://example.com/a?… now"),
        ('{"document-uri": "https://x.example/?q=Ada"}', '{"document-uri": "https://x.example/?…"}'),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer …"),
        ("Is it so? Yes = true", "Is it so? Yes = true"),
        ("plain", "plain"),
    ],
)
def test_what_is_masked(said: str, wanted: str) -> None:
    assert masked(said) == wanted


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_a_key_of_ours_is_masked_wherever_it_stands() -> None:
    key = f"acp_agt_{'a' * 8}_{'b' * 43}_{'c' * 6}"
    assert key not in Foreign().format(record_of("refused %s", {"deep": [key]}))


def test_values_with_line_breaks_are_masked_to_their_end() -> None:
    said = "ERROR: odd\nDETAIL:  Failing row contains (1, first\nsecond, null).\n\nThe above exception was\nTraceback"
    assert masked(said) == "ERROR: odd\nDETAIL: …\nThe above exception was\nTraceback"
    assert masked("DETAIL:  (a\nb)\nCONTEXT:  COPY c\nd") == "DETAIL: …\nCONTEXT: …"


def test_for_a_person_a_line_is_plain() -> None:
    line = Foreign("console").format(record_of("hello"))
    assert "hello" in line
    assert not line.startswith("{")


def test_a_form_that_is_not_known_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="ACP_LOG_FORMAT"):
        configure("xml")


def test_a_process_writes_nothing_but_json_and_no_query_string_or_key(real_db: str, tmp_path: Path) -> None:
    key = make_key_for(make_agent())
    with serving(str(connection.settings_dict["NAME"]), tmp_path) as address:
        httpx.get(f"{address}/api/v1/agents/?q=Lovelace", headers={"Authorization": f"Bearer {key}x"})
        httpx.get(f"{address}/nowhere/?token=Lovelace")
    text = (tmp_path / "web.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    (refused,) = [line for line in lines if "/api/v1/agents/" in line["event"]]
    assert re.fullmatch(r"[0-9a-f-]{36}", refused["request_id"])
    assert "Lovelace" not in text
    assert key not in text
