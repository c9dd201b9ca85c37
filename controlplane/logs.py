"""Logs: one line each, as JSON for machines or plain for a person, with request, trace and span; no secret in any.

Our own lines come by structlog; those of Django, Celery, uvicorn and other libraries are made into the same form.
"""

import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, override

import structlog
from django.core.exceptions import ImproperlyConfigured

from apps.core.rules import OF_OTHERS, SECRET
from apps.core.tracing import name_trace

FORMATS = ("json", "console")
QUERY = re.compile(r"(?<=[^\s?\"'(])\?[^\s\"'?<>)]*=[^\s\"'<>)]*")
"""The query string of an address: keys of other systems, and what somebody searched for."""
DETAIL = re.compile(
    r"^(DETAIL|CONTEXT|LINE \d+|HINT):.*?(?=\n(?:DETAIL|CONTEXT|LINE \d+|HINT|Traceback|The above|During)\b|\Z)",
    re.MULTILINE | re.DOTALL,
)
"""What PostgreSQL adds to an error: the values of the row that it is about, which may have line breaks."""
BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")


def masked(text: str) -> str:
    """The text without keys, credentials, query strings, and the values that a database's error quotes."""
    found = DETAIL.sub(r"\1: …", QUERY.sub("?…", text))
    return OF_OTHERS.sub("…", SECRET.sub("…", BEARER.sub(r"\1 …", found)))


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Whatever a line says, however deep (a processor of structlog)."""
    for name, value in event.items():
        event[name] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {name: _masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(each) for each in value]
    return value


BEFORE: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    name_trace,
    structlog.processors.format_exc_info,
    mask,
]


def _renderer(form: str) -> Any:
    return (
        structlog.processors.JSONRenderer(default=str)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )


class Foreign(logging.Formatter):
    """Lines of libraries, in the form of our own."""

    def __init__(self, form: str = "json") -> None:
        super().__init__()
        self.render = _renderer(form)

    @override
    def format(self, record: logging.LogRecord) -> str:
        event: MutableMapping[str, Any] = {"event": record.getMessage(), "logger": record.name}
        request = getattr(record, "request", None)  # what Django says of an answer it says when all of ours have ended
        if request_id := getattr(request, "request_id", None):
            event["request_id"] = request_id
        if ids := getattr(request, "trace_ids", None):
            event["trace_id"], event["span_id"] = ids
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for process in BEFORE:
            event = process(None, record.levelname.lower(), event)
        return str(self.render(None, "", event))


def configure(form: str) -> dict[str, Any]:
    """Have structlog write so; Django's ``LOGGING``. Raises ImproperlyConfigured for a form that is not known."""
    if form not in FORMATS:
        raise ImproperlyConfigured("ACP_LOG_FORMAT is json or console.")
    structlog.configure(
        processors=[*BEFORE, _renderer(form)],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    ours = {"handlers": ["line"], "level": "INFO", "propagate": True}
    others = {"handlers": ["foreign"], "level": "WARNING", "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(message)s"},
            "foreign": {"()": "controlplane.logs.Foreign", "form": form},
        },
        "handlers": {
            "line": {"class": "logging.StreamHandler", "formatter": "line"},
            "foreign": {"class": "logging.StreamHandler", "formatter": "foreign"},
        },
        "loggers": {
            "apps": ours,
            "controlplane": ours,
            **dict.fromkeys(("django", "celery", "opentelemetry", "allauth", "asyncio", "redis", "kombu"), others),
            "uvicorn": {"handlers": ["foreign"], "propagate": False},
            "uvicorn.access": {"handlers": ["foreign"], "propagate": False},
        },
    }
