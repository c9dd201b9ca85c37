"""The plane's own traces, for OpenTelemetry's collectors. Off, nothing of OpenTelemetry's SDK is even imported.

What is told of a span is what the line that opens it names: no address, no parameter of a statement, no word of an
error. Of anybody's text nothing leaves this way.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from django.conf import settings

type Attribute = str | int | bool | float
type Ids = tuple[str, str]
"""Trace, 32 hex digits, and span, 16."""

TRACEPARENT = "traceparent"


class SpanKind(StrEnum):
    """Which side of an exchange a span stands for."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True)
class Told:
    """A span whose work is over when it is told, with ids of its own. ``parent``: the span's, of the same trace."""

    ids: Ids
    name: str
    started_at: datetime
    ended_at: datetime
    parent: str = ""
    failed: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


class Open(Protocol):
    """A span under way."""

    def say(self, name: str, value: Attribute) -> None:
        """Add an attribute."""

    def rename(self, name: str) -> None:
        """Call it by what is known now."""

    def fail(self, kind: str) -> None:
        """Mark it as failed; ``kind`` is a class of errors or a status, never a message."""

    def drop(self) -> None:
        """Send nothing of it after all, unless it fails: there was nothing to do."""


class Tracing(Protocol):
    """What a process that is traced does with spans; ``sdk.Sender`` is the one there is."""

    pid: int

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
    ) -> AbstractContextManager[Open | None]:
        """A span around a block."""

    def current(self) -> Ids | None:
        """The span under way here."""

    def traceparent(self) -> str:
        """The same, as W3C's header."""

    def tell(self, spans: Sequence[Told]) -> None:
        """Send what is over."""

    def stop(self) -> None:
        """Send what waits, for a few seconds at most."""


_tracing: Tracing | None = None


def start_tracing(service: str) -> None:
    """Begin, in this very process: called after forks, where ``OTEL_*`` asks for it. Again in one process: nothing."""
    global _tracing
    if not settings.SENDS_TRACES or (_tracing is not None and _tracing.pid == os.getpid()):
        return
    from apps.core.tracing.sdk import Sender

    _tracing = Sender(service)


def use_tracing(tracing: Tracing | None) -> Tracing | None:
    """Let spans go there from now on; None: nowhere. Where they went before."""
    global _tracing
    before, _tracing = _tracing, tracing
    return before


def stop_tracing() -> None:
    """Send what waits; at the end of a process."""
    if _tracing is not None and _tracing.pid == os.getpid():
        _tracing.stop()


def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str = "",
    is_outside: bool = False,
    is_quiet: bool = False,
    links: Sequence[Ids] = (),
    attributes: Mapping[str, Attribute] | None = None,
) -> AbstractContextManager[Open | None]:
    """A span around a block, below the one under way or below ``parent``, a ``traceparent``; None where it is off.

    ``is_outside``: the parent is somebody else's. It names the trace; whether that is kept is for us to decide.
    ``is_quiet``: statements right below it are no spans; what may be dropped has none, as they are sent before it.
    """
    if _tracing is None:
        return nullcontext()
    return _tracing.span(
        name, kind, attributes or {}, parent=parent, is_outside=is_outside, is_quiet=is_quiet, links=links
    )


def current_ids() -> Ids | None:
    """Trace and span under way in this thread; None where there is none."""
    return _tracing.current() if _tracing else None


def carried() -> dict[str, str]:
    """What a message carries so that whoever takes it goes on in this trace."""
    found = _tracing.traceparent() if _tracing else ""
    return {TRACEPARENT: found} if found else {}


def tell(spans: Sequence[Told]) -> None:
    """Send spans of what is over, whenever that was."""
    if _tracing:
        _tracing.tell(spans)


def name_trace(_logger: object, _method: str, event: dict[str, object]) -> dict[str, object]:
    """Name the trace and the span in a line of the log (a processor of structlog)."""
    if ids := current_ids():
        event["trace_id"], event["span_id"] = ids
    return event
