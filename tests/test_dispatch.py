"""One client, slow or greedy, takes nothing from the others."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from django.conf import settings

from controlplane import asgi
from controlplane.waiting import LATELY_S, MAX_WAITS_EACH, Listener, hold, stream

HANGS_S = 20  # far beyond any answer; only tells a hang from an answer


def scope_of(method: str, path: str, *headers: tuple[bytes, bytes], query: bytes = b"") -> dict[str, Any]:
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query,
        "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("localhost", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"host", b"localhost"), *headers],
    }  # fmt: skip


class Caller:
    """A client whose messages and attention come when it likes."""

    def __init__(self, *messages: dict[str, Any], reads: bool = True) -> None:
        self.messages, self.sent = list(messages), []
        self.gone, self.attends = asyncio.Event(), asyncio.Event()
        if reads:
            self.attends.set()

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.attends.wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def others_are_served(callers: list[Caller], scope: dict[str, Any]) -> int:
    """The status that somebody else gets while ``callers`` hang on."""
    tasks = [asyncio.create_task(asgi.app(dict(scope), one.receive, one.send)) for one in callers]
    await asyncio.sleep(0.3)
    other = Caller()
    try:
        await asyncio.wait_for(asgi.app(scope_of("GET", "/healthz"), other.receive, other.send), HANGS_S)
        return other.status
    finally:
        for one in callers:
            one.gone.set()
            one.attends.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), HANGS_S)


def test_requests_that_are_never_finished_hold_no_thread():
    async def story() -> int:
        half = {"type": "http.request", "body": b"{", "more_body": True}
        return await others_are_served(
            [Caller(half) for _ in range(asgi.THREADS)],
            scope_of("POST", "/csp-report/", (b"content-length", b"10"), (b"content-type", b"application/json")),
        )

    assert asyncio.run(story()) == 200


def test_answers_that_nobody_reads_hold_no_thread():
    async def story() -> int:
        callers = [Caller(reads=False) for _ in range(asgi.THREADS)]
        return await others_are_served(callers, scope_of("GET", "/static/plotly/plotly.min.js"))

    assert asyncio.run(story()) == 200


def test_a_body_without_a_length_is_read_all_the_same(caplog):
    async def story() -> Caller:
        parts = [{"type": "http.request", "body": part, "more_body": True} for part in (b'{"a": 1, ', b'"b": 2}')]
        caller = Caller(*parts, {"type": "http.request", "body": b"", "more_body": False})
        headers = ((b"transfer-encoding", b"chunked"), (b"content-type", b"application/json"))
        await asyncio.wait_for(
            asgi.app(scope_of("POST", "/csp-report/", *headers), caller.receive, caller.send), HANGS_S
        )
        return caller

    assert asyncio.run(story()).status == 204
    assert '\\"b\\": 2' in caplog.text


def test_a_body_beyond_all_measure_is_refused_before_the_application_sees_it():
    async def story() -> Caller:
        caller = Caller(*[{"type": "http.request", "body": b"x" * 2**20, "more_body": True} for _ in range(5)])
        scope = scope_of("POST", "/api/v1/tasks/claim/", (b"content-length", str(2**30).encode()))
        await asyncio.wait_for(asgi.app(scope, caller.receive, caller.send), HANGS_S)
        return caller

    caller = asyncio.run(story())
    assert (caller.status, json.loads(caller.body)["code"]) == (413, "too_large")


SESSION = settings.SESSION_COOKIE_NAME.encode()


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        (b"authorization", lambda n: b"Bearer acp_agt_greedy"),
        (b"authorization", lambda n: b"Bearer " + b" " * n + b"acp_agt_greedy" + b" " * (n % 7)),
        (
            b"authorization",
            lambda n: bytes(c ^ (32 * (n >> i & 1)) for i, c in enumerate(b"BEARER")) + b" greedy",
        ),
        (b"cookie", lambda n: b"x=%d; " % n + SESSION + b"=abc"),
        (b"cookie", lambda n: SESSION + b"=abc; x=%d" % n),
    ],
)
def test_one_key_holds_only_so_many_requests(name, spelling):
    async def story() -> tuple[int, int]:
        listener = Listener()

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b'{"state": "pending"}'})

        path = "/api/v1/actions/01a1fc50-c781-740a-9c76-1ce8f211d717/"
        callers = [Caller() for _ in range(MAX_WAITS_EACH + 1)]
        scopes = [scope_of("GET", path, (name, spelling(n)), query=b"wait=30") for n, _one in enumerate(callers)]
        tasks = [
            asyncio.create_task(hold(listener, pages, scope, one.receive, one.send, {"wait": ["30"]}))
            for one, scope in zip(callers, scopes, strict=True)
        ]
        await asyncio.sleep(0.3)
        answered = sum(task.done() for task in tasks)
        for one in callers:
            one.gone.set()
        await asyncio.gather(*tasks)
        return answered, len(listener.waits)

    assert asyncio.run(story()) == (1, 0)


def test_a_stream_without_a_session_is_told_not_to_come_again():
    async def story() -> Caller:
        async def pages(scope: Any, receive: Any, send: Any) -> None:
            door = [(b"location", b"/accounts/login/?next=/live/session")]
            await send({"type": "http.response.start", "status": 302, "headers": door})
            await send({"type": "http.response.body", "body": b""})

        caller = Caller()
        scope = scope_of("GET", "/live/", query=b"topics=inbox")
        await asyncio.wait_for(stream(Listener(), pages, scope, caller.receive, caller.send), HANGS_S)
        return caller

    caller = asyncio.run(story())
    assert (caller.status, bytes(caller.body)) == (204, b"")


@pytest.mark.parametrize(("of_whom", "goes_on"), [("ada", False), ("bo", True)])
def test_a_stream_ends_with_its_persons_session_and_with_nobody_elses(of_whom, goes_on):
    async def story() -> tuple[bool, int]:
        listener, asked = Listener(), 0
        again = asyncio.Event()

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            status = 204 if asked == 1 else 302
            await send({"type": "http.response.start", "status": status, "headers": [(b"x-person", b"ada")]})
            await send({"type": "http.response.body", "body": b""})

        class Watching(Caller):
            async def send(self, message: dict[str, Any]) -> None:
                await super().send(message)
                if b"inbox" in message.get("body", b""):
                    again.set()

        caller = Watching()
        scope = scope_of("GET", "/live/", query=b"topics=inbox")
        task = asyncio.create_task(stream(listener, pages, scope, caller.receive, caller.send))
        while not listener.waiting:
            await asyncio.sleep(0)
        listener._tell([(1, "user", of_whom, of_whom), (2, "escalation", "one", "one")])
        await asyncio.wait(
            {task, asyncio.create_task(again.wait())}, return_when=asyncio.FIRST_COMPLETED, timeout=HANGS_S
        )
        ended = task.done()
        caller.gone.set()
        await asyncio.wait_for(task, HANGS_S)
        return not ended, asked

    assert asyncio.run(story()) == (goes_on, 1 if goes_on else 2)


def test_what_ended_while_a_stream_opened_ends_it_too():
    async def story() -> Caller:
        listener, asked = Listener(), 0

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            await send(
                {
                    "type": "http.response.start",
                    "status": 204 if asked == 1 else 302,
                    "headers": [(b"x-person", b"ada")],
                }
            )
            listener._tell([(7, "user", "ada", "ada")])  # nobody has said yet that they wait for this
            await send({"type": "http.response.body", "body": b""})

        caller = Caller()
        scope = scope_of("GET", "/live/", query=b"topics=inbox")
        await asyncio.wait_for(stream(listener, pages, scope, caller.receive, caller.send), HANGS_S)
        return caller

    caller = asyncio.run(story())
    assert caller.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize(("ago_s", "told"), [(1.0, True), (LATELY_S + 1, False)])
def test_what_changed_between_a_page_and_its_stream_is_told_at_once(ago_s, told):
    async def story() -> bytes:
        listener = Listener()

        async def pages(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 204, "headers": [(b"x-person", b"ada")]})
            await send({"type": "http.response.body", "body": b""})

        listener._tell([(7, "escalation", "one", "one")])
        listener.changed_at["inbox"] -= ago_s
        caller = Caller()
        scope = scope_of("GET", "/live/", query=b"topics=inbox,halts")
        task = asyncio.create_task(stream(listener, pages, scope, caller.receive, caller.send))
        await asyncio.sleep(0.3)
        caller.gone.set()
        await asyncio.wait_for(task, HANGS_S)
        return bytes(caller.body)

    body = asyncio.run(story())
    assert (b'data: {"topic": "inbox", "version": 7}' in body) is told
    assert b"halts" not in body
