"""One address, two handlers: what waits holds neither a thread nor a connection; everything else is plain Django.

``/live/`` and requests with ``wait`` are answered by async code below; the rest runs through Django's WSGI handler in a
pool of threads (twice the rate of Django's own ASGI handler for synchronous views).
"""

import os
from asyncio import to_thread
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

from a2wsgi import WSGIMiddleware

from apps.core.tracing import start_tracing, stop_tracing
from controlplane.bodies import relay, whole
from controlplane.heading import heading
from controlplane.waiting import Listener, claim, hold, stream, versions
from controlplane.wsgi import application as wsgi

THREADS = 16
pages: Any = WSGIMiddleware(wsgi, workers=THREADS)  # type: ignore[arg-type] # WSGI by its protocol, not its types
listener = Listener()
start_tracing("acp-web")


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Dispatch one connection."""
    if scope["type"] == "lifespan":
        await listener.lifespan(receive, send)
        await to_thread(stop_tracing)
        return
    if scope["type"] != "http":
        return
    send = heading(scope, send)
    async with AsyncExitStack() as held:
        found = await whole(scope, receive, send, held)
        if found is not None:
            await dispatch(*found, send)


async def dispatch(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one request whose body is read."""
    path = scope["path"]
    if path == "/live/":
        await stream(listener, pages, scope, receive, send)
    elif path == "/live/versions":
        await versions(listener, pages, scope, receive, send)
    elif path == "/api/v1/tasks/claim/" and scope["method"] == "POST":
        await claim(listener, pages, scope, receive, send)
    elif b"wait=" in scope["query_string"] and scope["method"] == "GET" and path.startswith("/api/v1/"):
        await hold(listener, pages, scope, receive, send, parse_qs(scope["query_string"].decode("latin-1")))
    else:
        await relay(pages, scope, receive, send)
