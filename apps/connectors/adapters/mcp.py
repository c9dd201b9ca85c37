"""One conversation with an MCP server over streamable HTTP, through the egress guard.

A session of its own for every call: opened, used once, given back. Nothing is offered to the server, no stream is
resumed, and what it asks for is refused. One deadline over all of it. Before ``tools/call`` left nothing was begun.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpcore

from apps.connectors.adapters.http import (
    UNAUTHORISED,
    Call,
    checked_addresses,
    headers_of,
    opened,
    timed,
)
from apps.connectors.rules import (
    ERRORS,
    FINE,
    CallEnd,
    CallResult,
    parameter_errors,
    redacted,
    retry_after_s,
    shown,
)
from apps.connectors.rules.answers import TooLargeError
from apps.connectors.rules.jsonrpc import (
    BROKEN_TOOL,
    FAILED_TOOL,
    REFUSALS,
    REFUSED,
    SESSION,
    VERSIONS,
    Reply,
    answer_in,
    asks,
    events_of,
    message_of,
    notification_of,
    refusal_to,
    reply_in,
    request_of,
    version_of,
    weight_of,
    words_of,
)
from apps.connectors.rules.states import LATER
from apps.core.rules import ValueProblem

STREAM = "text/event-stream"
GOODBYE_S = 2.0
ASKED_BACK_MAX = 5
"""So many requests of a server are refused one by one before the conversation ends."""
HELLO_BYTES_MAX, PAGES_MAX, TOOLS_MAX, CURSOR_MAX = 128 * 1024, 50, 200, 2_000
CHECKS_MAX = 5_000_000
"""So many values of an answer times keywords of its schema are looked at; beyond, a worker would do nothing else."""
QUIET = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)
"""What may happen to words that nobody waits for."""


@dataclass(frozen=True, slots=True, repr=False)
class ToolCall:
    """A call of one tool. ``call``: where the server is and all else; ``answer``: what its structured content fits."""

    call: Call
    tool: str
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server says of itself and its tools, as it said it, the secret masked."""

    server: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Any, ...] = ()


def call_tool(asked: ToolCall) -> CallResult:
    """Make the call. Never raises for what the network or the server does: that is what the result says."""
    return _conversed(asked.call, lambda talk: _called(talk, asked))


def offered_by(call: Call) -> tuple[CallResult, Offer]:
    """How asking for its tools went, and where it went well all of them. Never raises as ``call_tool``."""
    found = Offer()

    def listed(talk: "_Talk") -> CallResult:
        nonlocal found
        talk.is_begun = True
        found = Offer(talk.server, tuple(redacted(_listed(talk), call.masks)))
        return CallResult(CallEnd.ANSWERED, 200)

    return _conversed(call, listed), found


def _conversed(call: Call, work: Callable[["_Talk"], CallResult]) -> CallResult:
    result = _attempted(call, work)
    left_s = call.timeout_s - result.duration_ms / 1000
    if result.status != UNAUTHORISED or not call.older or left_s <= 0:
        return result  # 401: the server looked at who asks, and at nothing else
    again = _attempted(replace(call, auth=call.older, older=(), timeout_s=left_s), work)
    return replace(again, duration_ms=result.duration_ms + again.duration_ms, stood_in=True)


def _attempted(call: Call, work: Callable[["_Talk"], CallResult]) -> CallResult:
    talk = _Talk(call)

    def attempt(deadline: float) -> CallResult:
        try:
            talk.open(deadline)
            return work(talk)
        except _StoppedError as stopped:
            return stopped.result
        except ValueProblem as problem:
            why = redacted(str(problem), call.masks)
            return CallResult(CallEnd.BROKEN, error=f"The answer cannot be read: {why}")
        finally:
            talk.close()

    result = timed(call, attempt)
    return result if talk.is_begun else _not_begun(result)


def _not_begun(result: CallResult) -> CallResult:
    """How it ended before the tool was called: whatever that was, nothing was done."""
    is_no = result.end == CallEnd.ANSWERED and result.status is not None
    is_known = is_no and (result.status in range(400, 500) or (result.status in LATER and result.retry_after_s))
    if is_known or result.end in {CallEnd.REFUSED, CallEnd.UNPREPARED, CallEnd.UNREACHABLE}:
        return result
    return replace(result, end=CallEnd.UNREACHABLE, error=f"No session was opened. {result.error}")


def _called(talk: "_Talk", asked: ToolCall) -> CallResult:
    talk.is_begun = True
    result = talk.ask("tools/call", {"name": asked.tool, "arguments": dict(asked.arguments)})
    masks = asked.call.masks
    failed = result.get("isError", False)
    if not isinstance(failed, bool):
        return CallResult(CallEnd.BROKEN, 200, error="The answer does not say whether the tool failed.")
    if failed:
        return CallResult(CallEnd.ANSWERED, FAILED_TOOL, error=shown(words_of(result).encode(), masks))
    found = answer_in(result)
    if asked.answer is not None and weight_of(asked.answer) * weight_of(found) > CHECKS_MAX:
        return CallResult(CallEnd.BROKEN, 200, error="The answer is too large to be checked.")
    if asked.answer is not None and (wrong := parameter_errors(asked.answer, found)):
        path, messages = next(iter(wrong.items()))
        why = shown(f"{path} {messages[0]}".encode(), masks)
        return CallResult(CallEnd.BROKEN, 200, error=f"The answer is not as the tool describes it: {why}")
    return CallResult(CallEnd.ANSWERED, 200, result=redacted(found, masks))


def _listed(talk: "_Talk") -> list[Any]:
    """All pages of the list. Raises ValueProblem for one without end."""
    found: list[Any] = []
    seen: set[str] = set()
    params: dict[str, Any] = {}
    for _page in range(PAGES_MAX):
        result = talk.ask("tools/list", params)
        tools, cursor = result.get("tools"), result.get("nextCursor")
        if not isinstance(tools, list):
            raise ValueProblem("The list of tools is none.")
        found += tools
        if len(found) > TOOLS_MAX:
            raise ValueProblem(f"More than {TOOLS_MAX} tools.")
        if cursor is None or cursor == "":
            return found
        if not isinstance(cursor, str) or len(cursor) > CURSOR_MAX or cursor in seen:
            raise ValueProblem("The list of tools leads back to itself, or nowhere.")
        seen.add(cursor)
        params = {"cursor": cursor}
    raise ValueProblem(f"The list of tools has more than {PAGES_MAX} pages.")


class _StoppedError(Exception):
    """The conversation is over; ``result`` says how."""

    def __init__(self, result: CallResult) -> None:
        super().__init__(result.error)
        self.result = result


class _Talk:
    """One session. ``is_begun``: it was opened, and more may have been asked."""

    def __init__(self, call: Call) -> None:
        self._call = replace(call, accept=f"application/json, {STREAM}")
        self._addresses: list[str] = []
        self._deadline = 0.0
        self._headers: list[tuple[str, str]] = []
        self._session = ""
        self._count = self._asked_back = 0
        self._left_bytes = HELLO_BYTES_MAX
        self.is_begun = False
        self.server: Mapping[str, Any] = {}

    def open(self, deadline: float) -> None:
        """Agree on a version of the protocol. Raises _StoppedError, ValueProblem and what the transport raises."""
        call = self._call
        self._deadline = deadline
        self._addresses = checked_addresses(call.origin, allow_internal=call.allow_internal, deadline=deadline)
        me = {"name": "autonomy-control-plane", "version": "1"}
        told = self.ask("initialize", {"protocolVersion": VERSIONS[0], "capabilities": {}, "clientInfo": me})
        try:
            self._headers.append(("MCP-Protocol-Version", version_of(told)))
        except ValueProblem as problem:
            said = str(redacted(str(problem), call.masks))
            raise _StoppedError(CallResult(CallEnd.UNPREPARED, error=said)) from problem
        server = redacted(told.get("serverInfo"), call.masks)
        self.server = server if isinstance(server, dict) else {}
        with self._said(notification_of("notifications/initialized"), deadline) as (response, headers):
            self._refuse_error(response, headers)
        self._left_bytes = call.most_bytes

    def ask(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of a request. Raises as ``open``."""
        self._count += 1
        with self._said(request_of(self._count, method, params), self._deadline) as (response, headers):
            self._refuse_error(response, headers)
            if method == "initialize" and (session := headers.get("mcp-session-id")) is not None:
                self._begin_session(session)
            reply = self._reply(response, headers, self._count)
        if reply.result is not None:
            return reply.result
        status = REFUSED if reply.code in REFUSALS else BROKEN_TOOL
        said = shown(f"{reply.code}: {reply.words}".encode(), self._call.masks)
        raise _StoppedError(CallResult(CallEnd.ANSWERED, status, error=f"The server answered the error {said}"))

    def close(self) -> None:
        """Give the session back; what the server says to that changes nothing."""
        deadline = min(self._deadline, time.monotonic() + GOODBYE_S)
        if self._session and deadline > time.monotonic():
            call = replace(self._call, method="DELETE", body=None, headers=self._headers)
            with suppress(*QUIET), opened(call, self._addresses, deadline):
                pass

    def _begin_session(self, session: str) -> None:
        if not SESSION.fullmatch(session):
            raise ValueProblem("Its session has no usable name.")
        self._session = session
        self._headers.append(("Mcp-Session-Id", session))

    @contextmanager
    def _said(self, body: bytes, deadline: float) -> Iterator[tuple[httpcore.Response, dict[str, str]]]:
        call = replace(self._call, body=body, headers=self._headers)
        with opened(call, self._addresses, deadline) as response:
            yield response, headers_of(response)

    def _read(self, response: httpcore.Response) -> Iterator[bytes]:
        """The answer as it comes, until more was said than is read."""
        for chunk in response.iter_stream():
            self._left_bytes -= len(chunk)
            if self._left_bytes < 0:
                raise TooLargeError
            yield chunk

    def _refuse_error(self, response: httpcore.Response, headers: dict[str, str]) -> None:
        """Raise _StoppedError unless the answer is one that is read."""
        status = response.status
        if status in ERRORS:
            later = retry_after_s(headers.get("retry-after"))
            said = shown(b"".join(self._read(response)), self._call.masks)
            raise _StoppedError(CallResult(CallEnd.ANSWERED, status, retry_after_s=later, error=said))
        if status not in FINE:
            said = f"The answer is a {status}; redirects are not followed."
            raise _StoppedError(CallResult(CallEnd.BROKEN, status, error=said))
        if headers.get("content-encoding", "identity") != "identity":
            raise _StoppedError(
                CallResult(CallEnd.BROKEN, status, error="The answer is compressed, which was not asked for.")
            )

    def _reply(self, response: httpcore.Response, headers: dict[str, str], number: int) -> Reply:
        """What answers the request: one message, or one of a stream of them."""
        if headers.get("content-type", "").split(";")[0].strip().lower() != STREAM:
            reply = reply_in(message_of(b"".join(self._read(response))), number)
            if reply is None:
                raise ValueProblem("It answers something else.")
            return reply
        for data in events_of(self._read(response)):
            message = message_of(data)
            if asks(message):
                self._refuse(message)
            elif (reply := reply_in(message, number)) is not None:
                return reply
        raise _StoppedError(CallResult(CallEnd.SILENT, error="The server ended its stream without an answer."))

    def _refuse(self, message: Mapping[str, Any]) -> None:
        """Say no to what the server asks."""
        self._asked_back += 1
        if self._asked_back > ASKED_BACK_MAX:
            raise _StoppedError(CallResult(CallEnd.BROKEN, error="The server asks and asks instead of answering."))
        deadline = min(self._deadline, time.monotonic() + GOODBYE_S)
        with suppress(*QUIET), self._said(refusal_to(message), deadline):
            pass
