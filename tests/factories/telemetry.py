"""Spans as agents send them."""

import json
import time
from typing import Any

from django.test import Client

from apps.agents.models import Agent
from tests.factories.agents import make_key_for

TRACE = "5b8efff798038103d269b633813fc60c"
SECOND = 10**9
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.response.model": "large",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
}


def now_ns() -> int:
    """The time, in nanoseconds."""
    return time.time_ns()


def attribute(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, float):
        return {"key": name, "value": {"doubleValue": value}}
    return {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def span(
    number: int,
    attributes: dict[str, Any],
    *,
    parent: int = 0,
    trace: str = TRACE,
    ended_ns: int | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """One span of a second that ended just now, in OTLP's JSON; ``fields`` replace what it says."""
    ended_ns = now_ns() if ended_ns is None else ended_ns
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": "a span",
        "startTimeUnixNano": str(ended_ns - SECOND),
        "endTimeUnixNano": str(ended_ns),
        "attributes": [attribute(name, value) for name, value in attributes.items()],
        **fields,
    }


def body_of(*spans: dict[str, Any], **resource: Any) -> bytes:
    """A request of these spans; ``resource`` are its attributes, with ``_`` for ``.``."""
    said = [attribute(name.replace("_", "."), value) for name, value in resource.items()]
    one = {"resource": {"attributes": said}, "scopeSpans": [{"spans": list(spans)}]}
    return json.dumps({"resourceSpans": [one]}).encode()


def send(agent: Agent, body: bytes, kind: str = "application/json", **headers: str) -> Any:
    """Send a body with a key of the agent."""
    key = make_key_for(agent)
    headers = {"Authorization": f"Bearer {key}", **headers}
    return Client().post("/v1/traces", data=body, content_type=kind, headers=headers)


def rejected(answer: Any) -> int:
    """How many spans were not taken, of an answer that was 200."""
    assert answer.status_code == 200, answer.content
    return int(answer.json().get("partialSuccess", {}).get("rejectedSpans", 0))


def log(text: Any, attributes: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """One log record of just now, in OTLP's JSON; ``fields`` replace what it says."""
    body = {"stringValue": text} if isinstance(text, str) else text
    said = [attribute(name, value) for name, value in (attributes or {}).items()]
    return {"timeUnixNano": str(now_ns()), "severityNumber": 9, "body": body, "attributes": said, **fields}


def logs_of(*records: dict[str, Any], **resource: Any) -> bytes:
    """A request of these log records."""
    said = [attribute(name.replace("_", "."), value) for name, value in resource.items()]
    one = {"resource": {"attributes": said}, "scopeLogs": [{"logRecords": list(records)}]}
    return json.dumps({"resourceLogs": [one]}).encode()


def send_logs(agent: Agent, body: bytes, kind: str = "application/json") -> int:
    """Send log records with a key of the agent; how many were not taken."""
    headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
    answer = Client().post("/v1/logs", data=body, content_type=kind, headers=headers)
    assert answer.status_code == 200, answer.content
    return int(answer.json().get("partialSuccess", {}).get("rejectedLogRecords", 0))
