"""An MCP server over streamable HTTP that behaves as badly as it is told to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.connectors.models import Connector
from apps.connectors.services import set_secret
from apps.core.services import system_user
from tests.factories.connectors import make_connector

SECRET = "canary-of-the-toolroom"
REFUND: dict[str, Any] = {
    "name": "refund_order",
    "title": "Refund an order",
    "description": "Refunds an order in full.",
    "inputSchema": {
        "type": "object",
        "properties": {"order": {"type": "string", "description": "Its number."}},
        "required": ["order"],
    },
    "outputSchema": {"type": "object", "properties": {"refund": {"type": "string"}}, "required": ["refund"]},
    "annotations": {"destructiveHint": True, "idempotentHint": True},
}
LOOK: dict[str, Any] = {
    "name": "find_orders",
    "description": "Finds orders.",
    "inputSchema": {
        "type": "object",
        "properties": {"of": {"$ref": "#/$defs/who"}},
        "$defs": {"who": {"type": "string"}},
    },
    "annotations": {"readOnlyHint": True},
}


def tool(name: str = "find_orders", **fields: Any) -> dict[str, Any]:
    """A tool that looks."""
    return {**deepcopy(LOOK), "name": name, **fields}


class ToolRoom(ThreadingHTTPServer):
    """``tools``: what it lists. ``said``: what it answers to a method instead of its own; ``heard``: requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.tools: list[Any] = [REFUND, LOOK]
        self.heard: list[tuple[str, Any, dict[str, str]]] = []
        self.said: dict[str, Any] = {}
        self.version = "2025-11-25"
        self.session = "s-1234"
        self.as_stream = False
        self.before: list[Any] = []
        self.page = 100

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mcp"

    def methods(self) -> list[str]:
        """What it was asked, in order."""
        return [method for method, _message, _headers in self.heard]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ToolRoom

    def do_DELETE(self) -> None:
        self.server.heard.append(("DELETE", None, dict(self.headers)))
        self._answer(200, b"")

    def do_POST(self) -> None:
        room = self.server
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = message.get("method", "answer")
        room.heard.append((method, message, dict(self.headers)))
        said = room.said.get(method)
        if callable(said):
            said(self, message)
        elif isinstance(said, int):
            self._answer(said, b"no")
        elif "id" not in message or method == "answer":
            self._answer(202, b"")
        else:
            self._reply(message, said if said is not None else {"result": self._own(message)})

    def _own(self, message: Any) -> dict[str, Any]:
        room, params = self.server, message["params"]
        match message["method"]:
            case "initialize":
                return {"protocolVersion": room.version, "capabilities": {"tools": {}},
                        "serverInfo": {"name": "Tool room", "version": "1"}}  # fmt: skip
            case "tools/list":
                begin = int(params.get("cursor", "0"))
                more = begin + room.page < len(room.tools)
                listed = {"tools": room.tools[begin : begin + room.page]}
                return {**listed, "nextCursor": str(begin + room.page)} if more else listed
            case _:
                return {"content": [{"type": "text", "text": "Done."}], "structuredContent": {"refund": "R-1"}}

    def _reply(self, message: Any, said: dict[str, Any]) -> None:
        full = {"jsonrpc": "2.0", "id": message["id"], **said}
        if not self.server.as_stream:
            self._answer(200, json.dumps(full).encode(), "application/json")
            return
        events = [*self.server.before, full] if message["method"] == "tools/call" else [full]
        text = "id: 0\ndata:\n\n" + "".join(f": hello\nevent: message\ndata: {json.dumps(one)}\n\n" for one in events)
        self._answer(200, text.encode(), "text/event-stream")

    def _answer(self, status: int, body: bytes, media: str = "text/plain") -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        if self.server.session:
            self.send_header("Mcp-Session-Id", self.server.session)
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def raw(self, text: bytes) -> None:
        """Say these very bytes and hang up."""
        self.close_connection = True
        self.wfile.write(text)
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


@contextmanager
def open_toolroom() -> Iterator[ToolRoom]:
    """It listens until the block ends."""
    room = ToolRoom()
    thread = threading.Thread(target=room.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield room
    room.shutdown()
    room.server_close()
    thread.join()


def make_toolroom_connector(room: ToolRoom, **fields: Any) -> Connector:
    """The system that it is, with its secret."""
    given = {"slug": "shop", "adapter": "mcp", "base_url": room.url, "auth": {"type": "bearer"}, **fields}
    connector = make_connector(**given)
    if given["auth"]["type"] != "none":
        set_secret(system_user("console"), connector=connector, secret=SECRET)
    return connector
