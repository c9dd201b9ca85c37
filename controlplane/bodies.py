"""Bodies go through memory in both directions: a client that sends or reads slowly holds no thread.

The threads that run Django are few. Without this, as many half-sent requests as there are threads stop the plane.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

MAX_BODY = 2 * 1024 * 1024
"""What is read at most; the application refuses what is larger than its own, smaller limit."""
MB = 1024 * 1024
LARGER = {
    "/dashboards/event-logs/": 21 * MB,
    **dict.fromkeys(("/v1/traces", "/otlp/v1/traces", "/v1/logs", "/otlp/v1/logs"), 4 * MB),
}
"""Where more is taken: a file and the form around it, and what exporters of OpenTelemetry send."""
MOST_LARGE = 4
"""So many bodies above ``MAX_BODY``, packed or not, are in memory at once; others wait, as a slow client's does."""
BODY_S = 30.0
"""How long a client may take to send a body."""
REFUSED = {408: "request_timeout", 413: "too_large"}


large = asyncio.Semaphore(MOST_LARGE)


async def whole(
    scope: dict[str, Any], receive: Any, send: Any, held: AsyncExitStack
) -> tuple[dict[str, Any], Any] | None:
    """The request with its body read: scope and receive; None when the client is gone or was refused.

    A chunked body gets the length that it has: WSGI knows none without one, and would take it for empty. ``held`` is
    closed when the request is over; until then a large body keeps its place.
    """
    names = {name for name, _value in scope["headers"]}
    if not names & {b"content-length", b"transfer-encoding"}:
        return scope, receive
    try:
        limit = LARGER.get(scope["path"], MAX_BODY) if scope["method"] == "POST" else MAX_BODY
        body = await asyncio.wait_for(_body(scope, receive, limit, held), BODY_S)
    except TimeoutError:
        await refuse(send, 408)
        return None
    if body is None:
        return None
    if len(body) > limit:
        await refuse(send, 413)
        return None
    kept = [pair for pair in scope["headers"] if pair[0] not in {b"content-length", b"transfer-encoding"}]
    return {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}, _again(body, receive)


async def _body(scope: dict[str, Any], receive: Any, limit: int, held: AsyncExitStack) -> bytes | None:
    """All that is sent, a little more than ``limit`` at most; None when the client went away in the middle."""
    body, more, is_large = bytearray(), True, False
    while more and len(body) <= limit:
        if len(body) > MAX_BODY and not is_large:
            await held.enter_async_context(large)
            is_large = True
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if not is_large and limit > MAX_BODY and _unpacked(scope, body) > MAX_BODY:
        await held.enter_async_context(large)
    return bytes(body)


def _unpacked(scope: dict[str, Any], body: bytearray) -> int:
    """How large a packed body says that it is, in its last four bytes (RFC 1952); 0 for one that is not packed.

    One that says less is refused when it is unpacked, before anything of it is read.
    """
    packed = any(name == b"content-encoding" and value.strip().lower() == b"gzip" for name, value in scope["headers"])
    return int.from_bytes(body[-4:], "little") if packed else 0


def _again(body: bytes, receive: Any) -> Any:
    """A receive that gives the body once, then what the server says."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> dict[str, Any]:
        return left.pop() if left else await receive()

    return replay


async def refuse(send: Any, status: int) -> None:
    """Answer without the application."""
    problem = {"type": f"/help/problems/#{REFUSED[status]}", "title": REFUSED[status].replace("_", " ").capitalize()}
    body = json.dumps({**problem, "status": status, "code": REFUSED[status]}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def relay(pages: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Run the application; its answer waits in memory for a client that reads slowly."""
    answer: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def forward() -> None:
        while (message := await answer.get()) is not None:
            await send(message)

    forwarding = asyncio.create_task(forward())
    try:
        await pages(scope, receive, answer.put)
        answer.put_nowait(None)
        await forwarding
    finally:
        forwarding.cancel()
