"""The HTTP door: who calls, has it been answered before, is a fault switched on, do the work, answer."""

import hashlib
import hmac
import json
import time
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from apps.demo.systems import pages, seed
from apps.demo.systems.crm import crm
from apps.demo.systems.desk import desk
from apps.demo.systems.erp import erp
from apps.demo.systems.faults import Fault, Faults
from apps.demo.systems.keys import keys_in
from apps.demo.systems.mail import mail
from apps.demo.systems.rest import Call, Refusal, System, Work, conflict
from apps.demo.systems.storage import Document, Storage, now

SYSTEMS = [erp, crm, desk, mail]
LARGEST_BODY = 1_000_000


class Server(ThreadingHTTPServer):
    """All systems at one address, each below its slug."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        self.keys = keys_in(folder)
        self.storage = Storage(folder / "systems.sqlite3")
        self.faults = Faults()
        self.calls: deque[Document] = deque(maxlen=5_000)  # what was asked lately, for tests to look at
        seed.fill(self.storage)
        super().__init__(address, Door)


class Door(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        slug = self.path.strip("/").partition("?")[0]
        if slug == "healthz":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        elif not slug:
            self._answer_page(pages.index(SYSTEMS, self.server.storage))
        elif system := next((each for each in SYSTEMS if each.slug == slug), None):
            self._answer_page(pages.system_page(system, SYSTEMS, self.server.storage))
        else:
            self._serve()

    def do_POST(self) -> None:
        self._serve()

    do_PATCH = do_PUT = do_DELETE = do_POST  # noqa: N815 - the names are http.server's

    def _serve(self) -> None:
        address = urlsplit(self.path)
        slug, _, rest = address.path.removeprefix("/").partition("/")
        query = dict(parse_qsl(address.query))
        try:
            body = self._body()
            if slug == "admin":
                return self._answer(HTTPStatus.OK, self._administer(f"/{rest}", body, query))
            self._call(self._system(slug), unquote(f"/{rest}"), body, query)
        except Refusal as refusal:
            self._answer(refusal.status, {"code": refusal.code, "message": refusal.message})

    def _system(self, slug: str) -> System:
        """The system that is asked, if the caller may ask it."""
        system = next((each for each in SYSTEMS if each.slug == slug), None)
        if system is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "There is no such system.")
        self._check_token(f"{slug.upper()}_TOKEN")
        return system

    def _call(self, system: System, path: str, body: Document, query: dict[str, str]) -> None:
        key = self.headers.get("Idempotency-Key", "")
        line = {"system": system.slug, "method": self.command, "path": path, "key": key, "body": body, "at": now()}
        self.server.calls.append(line)
        fault = self.server.faults.strike(system.slug)
        if fault and not fault.after and self._go_wrong(fault):
            return
        work, parts = system.route(self.command, path)
        status, text = self._once(system.slug, key, work, Call(parts, query, body))
        if fault and fault.after and self._go_wrong(fault):
            return
        self._send(status, text.encode(), "application/json")

    def _once(self, system: str, key: str, work: Work, call: Call) -> tuple[int, str]:
        """Do the work, unless this key was answered before: then that answer again, or 409 for another request."""
        storage = self.server.storage
        if self.command == "GET":
            status, answer = work(storage, call)
            return status, json.dumps(answer)
        asked = json.dumps([self.command, self.path, call.body], sort_keys=True).encode()
        digest = hashlib.sha256(asked).hexdigest()
        with storage.transaction():
            if key and (kept := storage.answer_for(system, key)):
                if kept[0] != digest:
                    raise conflict("idempotency_conflict", "This key came with another request before.")
                return kept[1], kept[2]
            status, answer = work(storage, call)
            text = json.dumps(answer)
            if key:
                storage.keep_answer(system, key, digest, status, text)
            return status, text

    def _go_wrong(self, fault: Fault) -> bool:
        """Let the fault happen; False when the request goes on after it."""
        time.sleep(fault.seconds)
        if fault.kind == "slow":
            return False
        if fault.kind in ("down", "silent"):
            self.close_connection = True
        elif fault.kind == "error":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error", "text/plain")
        elif fault.kind == "busy":
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"{}", "application/json", {"Retry-After": "1"})
        else:
            self._send(HTTPStatus.OK, b'<html>{"number": "PO-', "application/json")
        return True

    def _administer(self, path: str, body: Document, query: dict[str, str]) -> Any:
        """PUT and DELETE /admin/faults/{system}, GET /admin/faults, GET /admin/calls?system=."""
        self._check_token("SYSTEMS_ADMIN_TOKEN")
        faults, slug = self.server.faults, path.removeprefix("/faults/")
        if path == "/calls":
            return {"calls": [line for line in self.server.calls if query.get("system") in (None, line["system"])]}
        if self.command == "PUT" and slug in {each.slug for each in SYSTEMS}:
            faults.set(slug, body)
        elif self.command == "DELETE":
            faults.clear(slug)
        elif path != "/faults":
            raise Refusal(HTTPStatus.NOT_FOUND, "not_found", "There are /admin/faults and /admin/calls.")
        return faults.listed()

    def _check_token(self, name: str) -> None:
        sent = self.headers.get("Authorization", "")
        if not hmac.compare_digest(sent.encode(), f"Bearer {self.server.keys[name]}".encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "not_authenticated", "Send the bearer token of this system.")

    def _body(self) -> Document:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            self.close_connection = True
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", "A body has at most 1 MB.")
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "malformed", "The body is no JSON.") from error
        if not isinstance(body, dict):
            raise Refusal(HTTPStatus.BAD_REQUEST, "malformed", "The body is no JSON object.")
        return body

    def _answer(self, status: HTTPStatus, document: Any) -> None:
        self._send(status, json.dumps(document).encode(), "application/json")

    def _answer_page(self, html: str) -> None:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        self._send(HTTPStatus.OK, html.encode(), "text/html; charset=utf-8", policy)

    def _send(self, status: int, payload: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(payload)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the caller went away; what was done stays done

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Quiet: `/admin/calls` tells what was asked."""
