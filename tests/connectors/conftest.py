"""A system of record that behaves as badly as it is told to."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class System(ThreadingHTTPServer):
    """Answers what ``answers`` says next; keeps what it was asked in ``asked``."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.answers = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will(self, status=200, body=b"{}", headers=(), before_s=0.0, raw=None, drip_s=None, echo=False):
        self.answers.append(
            {
                "status": status,
                "body": body,
                "headers": headers,
                "before_s": before_s,
                "raw": raw,
                "drip_s": drip_s,
                "echo": echo,
            }
        )

    def handle_error(self, request, client_address):
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.asked.append((self.command, self.path, dict(self.headers), body))
        say = self.server.answers.pop(0) if self.server.answers else {"status": 200, "body": b"{}"}
        if say.get("echo"):
            say["body"] = json.dumps({"you sent": dict(self.headers), "body": body.decode()}).encode()
        time.sleep(say.get("before_s") or 0)
        self.close_connection = True
        if say.get("raw") is not None:
            self.wfile.write(say["raw"])
            return
        self.send_response(say["status"])
        for name, value in say.get("headers", ()):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(say["body"])))
        self.end_headers()
        if say.get("drip_s"):
            for byte in say["body"]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(say["drip_s"])
            return
        self.wfile.write(say["body"])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - their names for them

    def log_message(self, *args):
        """Tests are quiet."""


@pytest.fixture
def system():
    server = System()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
