"""Waiting without a thread: one listener per process follows the tail of the ledger for all who wait.

The doorbell (Valkey) says "look now"; a look each second stands behind it. Versions are ids of entries, so that every
process tells the same ones. Whoever wakes asks the ordinary view again, which applies permissions.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import redis
import redis.asyncio
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from apps.core.queue import LIVE_CHANNEL
from apps.core.rules import MAX_WAIT_S
from controlplane.bodies import relay
from controlplane.heading import who_asks
from controlplane.stopping import when_told_to_stop
from controlplane.tail import read_tail

log = structlog.get_logger(__name__)

POLL_S = 1.0
HEARTBEAT_S = 20.0
TOLD_APART_S = 0.5
STREAM_S = 15 * 60
SECONDS_DIGITS = 3
MAX_STREAMS, MAX_STREAMS_EACH = 500, 6
MAX_WAITS, MAX_WAITS_EACH = 2000, 50
MAX_TOPICS, REMEMBERED = 20, 20_000
LATELY_S = 10.0
"""A page was made at most so long before its stream begins: what changed in between is told at once."""


class Listener:
    """What changed last, by topic, and who waits for it."""

    def __init__(self) -> None:
        self.versions: OrderedDict[str, int] = OrderedDict()
        self.changed_at: dict[str, float] = {}
        self.newest = 0
        self.waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.streams: defaultdict[str, int] = defaultdict(int)
        self.waits: defaultdict[str, int] = defaultdict(int)
        self._look = asyncio.Event()
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-tail")
        self._seen: OrderedDict[tuple[int, str, Any], None] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []
        self.is_stopping = False

    async def lifespan(self, receive: Any, send: Any) -> None:
        """Start and stop with the server."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._hear())]
                when_told_to_stop(self.stop)
                await send({"type": "lifespan.startup.complete"})
            else:
                for task in self._tasks:
                    task.cancel()
                self._reader.shutdown(wait=False, cancel_futures=True)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def stop(self) -> None:
        """Let nobody wait any longer: each is answered with what there is, and streams end."""
        self.is_stopping = True
        for event in {event for events in self.waiting.values() for event in events}:
            event.set()

    async def _hear(self) -> None:
        """Let the doorbell hasten the next look."""
        while True:
            client = redis.asyncio.Redis.from_url(settings.REDIS_URL)
            try:
                async with client.pubsub() as bell:
                    await bell.subscribe(LIVE_CHANNEL)
                    async for message in bell.listen():
                        if message["type"] == "message" and self.waiting:
                            self._look.set()
            except (redis.RedisError, OSError):
                await asyncio.sleep(POLL_S)
            finally:
                with contextlib.suppress(redis.RedisError, OSError):
                    await client.aclose()

    async def _follow(self) -> None:
        """Look at the tail of the ledger when the bell rings, and each second while somebody waits."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), POLL_S)
            self._look.clear()
            if not self.waiting:
                continue
            try:
                self._tell(await loop.run_in_executor(self._reader, read_tail))
            except (DatabaseError, InterfaceError) as error:
                log.warning("ledger_tail_failed", error=type(error).__name__)

    def _tell(self, rows: Iterable[tuple[int, str, Any, Any]]) -> None:
        for entry, kind, subject, trail in rows:
            if (entry, kind, subject) in self._seen:
                continue
            self._seen[entry, kind, subject] = None
            self.newest = max(self.newest, entry)
            for pattern in settings.LIVE_TOPICS.get(kind, ()):
                self._bump(pattern.format(subject=subject, trail=trail), entry)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _bump(self, topic: str, entry: int) -> None:
        self.versions[topic] = max(entry, self.versions.get(topic, 0))
        self.versions.move_to_end(topic)
        self.changed_at[topic] = time.monotonic()
        while len(self.versions) > REMEMBERED:
            del self.changed_at[self.versions.popitem(last=False)[0]]
        for event in self.waiting.get(topic, ()):
            event.set()

    def version_before(self, topic: str) -> int:
        """What a page that was made lately has surely seen of ``topic``: 0 where that changed since."""
        is_late = time.monotonic() - self.changed_at.get(topic, -LATELY_S) < LATELY_S
        return 0 if is_late else self.versions.get(topic, 0)

    @contextlib.asynccontextmanager
    async def interest(self, topics: Iterable[str]) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever one of ``topics`` changes."""
        event, names = asyncio.Event(), list(topics)
        for name in names:
            self.waiting[name].add(event)
        if self.is_stopping:
            event.set()
        try:
            yield event
        finally:
            for name in names:
                self.waiting[name].discard(event)
                if not self.waiting[name]:
                    del self.waiting[name]

    @contextlib.asynccontextmanager
    async def seat(self, scope: Any) -> AsyncIterator[bool]:
        """Whether this caller may wait: whoever waits is asked for again at each change, so nobody takes all seats."""
        who = who_asks(scope)
        if self.waits.get(who, 0) >= MAX_WAITS_EACH or sum(self.waits.values()) >= MAX_WAITS:
            yield False
            return
        self.waits[who] += 1
        try:
            yield True
        finally:
            self.waits[who] -= 1
            if not self.waits[who]:
                del self.waits[who]


class Answer:
    """What the ordinary application answered to a request that we asked on somebody's behalf."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    def header(self, name: bytes) -> str:
        """One header's text."""
        return dict(self.headers).get(name, b"").decode("latin-1")

    def json(self) -> dict[str, Any]:
        """The body as an object; empty when it is none."""
        with contextlib.suppress(ValueError):
            found = json.loads(self.body)
            return found if isinstance(found, dict) else {}
        return {}

    async def pass_on(self, send: Any) -> None:
        """Give the answer to the client."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


async def ask(pages: Any, scope: dict[str, Any], *, body: bytes = b"", **changes: Any) -> Answer:
    """Ask the ordinary application, as the same client, with ``changes`` to the scope."""
    answer, sent = Answer(), False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await asyncio.sleep(3600)
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message["headers"])
        else:
            answer.body += message.get("body", b"")

    await pages({**scope, **changes}, receive, send)
    return answer


SUBJECT = re.compile(r"^/api/v1/(action|run|escalation|task|job|interrupt)s/([0-9a-f-]{36})/$")


async def hold(
    listener: Listener, pages: Any, scope: Any, receive: Any, send: Any, query: dict[str, list[str]]
) -> None:
    """``GET ...?wait=S&state=X``: answer when the state is no longer X, is final, or S seconds are over."""
    found = SUBJECT.match(scope["path"])
    seconds = _seconds(query.get("wait", [""])[0])
    if found is None or seconds is None:
        await relay(pages, scope, receive, send)  # an ordinary answer, or the ordinary refusal of a bad parameter
        return
    kept = "&".join(
        part for part in scope["query_string"].decode("latin-1").split("&") if not part.startswith(("wait=", "state="))
    )
    ends = time.monotonic() + seconds
    topics = [f"{found[1]}:{found[2]}"]
    if found[1] == "interrupt":  # what was said of it is said of its actions, which never become others
        known = await ask(pages, scope, query_string=kept.encode())
        topics += [f"action:{call['action']}" for call in known.json().get("calls", [])]
    async with listener.seat(scope) as may_wait, listener.interest(topics) as changed:
        answer = await ask(pages, scope, query_string=kept.encode())
        state = query.get("state", [answer.json().get("state")])[0]
        asked = answer.json().get("question")
        while _is_as_it_was(answer, state, asked):
            left = ends - time.monotonic() if may_wait else 0.0
            if left <= 0 or not await _woken(listener, changed, left, receive):
                break
            changed.clear()
            answer = await ask(pages, scope, query_string=kept.encode())
    await answer.pass_on(send)


def _is_as_it_was(answer: Answer, state: Any, asked: Any) -> bool:
    """Whether there is nothing to tell: the same state, not a final one, and no new question."""
    found = answer.json() if answer.status == HTTPStatus.OK else {"final": True}
    return not found.get("final") and found.get("state") == state and found.get("question") == asked


async def claim(listener: Listener, pages: Any, scope: Any, receive: Any, send: Any) -> None:
    """``POST /tasks/claim/`` with ``wait``: ask again when there are tasks, until some are ours or time is up."""
    body = await _body_of(receive)
    wanted = _claim_wait(body)
    ends = time.monotonic() + wanted
    async with listener.seat(scope) as may_wait, listener.interest(["tasks"]) as changed:
        answer = await ask(pages, scope, body=body)
        while answer.status == HTTPStatus.OK and answer.json().get("tasks") == []:
            left = ends - time.monotonic() if may_wait else 0.0
            if left <= 0 or not await _woken(listener, changed, left, receive):
                break
            changed.clear()
            answer = await ask(pages, scope, body=body)
    await answer.pass_on(send)


async def _body_of(receive: Any) -> bytes:
    body, more = b"", True
    while more and len(body) <= 2 * 1024 * 1024:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _claim_wait(body: bytes) -> float:
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(body)
        wanted = found.get("wait", 0) if isinstance(found, dict) else 0
        if isinstance(wanted, int) and not isinstance(wanted, bool):
            return float(max(0, min(wanted, MAX_WAIT_S)))
    return 0.0


def _seconds(text: str) -> float | None:
    return min(float(text), MAX_WAIT_S) if text.isascii() and text.isdigit() and len(text) <= SECONDS_DIGITS else None


async def _woken(listener: Listener, changed: asyncio.Event, left: float, receive: Any) -> bool:
    """Wait for a change or the end of the time; False when nobody is left to answer, or the server stops."""
    gone = asyncio.create_task(_gone(receive))
    woken = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({gone, woken}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return not gone.done() and not listener.is_stopping
    finally:
        gone.cancel()
        woken.cancel()


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _topics(scope: Any) -> list[str]:
    found = re.search(r"(?:^|&)topics=([A-Za-z0-9:,%_-]*)", scope["query_string"].decode("latin-1"))
    names = (found[1] if found else "").replace("%3A", ":").replace("%2C", ",").split(",")
    return [name for name in names if name][:MAX_TOPICS]


async def _person(pages: Any, scope: Any) -> Answer:
    """Who is signed in, by the ordinary session: 204 with a header, or the ordinary redirect."""
    return await ask(pages, scope, path="/live/session", raw_path=b"/live/session", query_string=b"", method="GET")


async def stream(listener: Listener, pages: Any, scope: Any, receive: Any, send: Any) -> None:
    """``/live/?topics=a,b``: server-sent events that carry topic and version, nothing else, while the session lives."""
    before, who = listener.newest, await _person(pages, scope)
    if who.status != HTTPStatus.NO_CONTENT:
        if HTTPStatus(who.status).is_redirection:  # to the door, which no stream passes; 204 tells it not to come again
            who.status, who.headers, who.body = HTTPStatus.NO_CONTENT, [], b""
        await who.pass_on(send)
        return
    person, topics = who.header(b"x-person"), _topics(scope)
    if listener.streams[person] >= MAX_STREAMS_EACH or sum(listener.streams.values()) >= MAX_STREAMS:
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"15")]})
        await send({"type": "http.response.body", "body": b""})
        return
    listener.streams[person] += 1
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]

    async def is_signed_in() -> bool:
        now = await _person(pages, scope)
        return now.status == HTTPStatus.NO_CONTENT and now.header(b"x-person") == person

    own = {f"calls:{person}": before}
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with listener.interest([*topics, *own]) as changed:
            changed.set()  # what ended the account since it was asked for has been told already
            await _send_events(listener, topics, changed, receive, send, own=own, may_go_on=is_signed_in)
    finally:
        listener.streams[person] -= 1
        if not listener.streams[person]:
            del listener.streams[person]


async def _send_events(
    listener: Listener,
    topics: list[str],
    changed: Any,
    receive: Any,
    send: Any,
    *,
    own: dict[str, int],
    may_go_on: Callable[[], Awaitable[bool]],
) -> None:
    """Tell of ``topics`` until nobody listens, time is up, or what was recorded of the account ended it.

    ``own``: the topic of the account, and the version from which on that is asked.
    """
    told = {topic: listener.version_before(topic) for topic in topics} | own
    text, ends = "retry: 3000\n\n", time.monotonic() + STREAM_S
    while time.monotonic() < ends:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        if text.startswith("data"):  # a flood becomes one event each half second; the first is told at once
            await asyncio.sleep(TOLD_APART_S)
        if not await _woken(listener, changed, HEARTBEAT_S, receive):
            break
        changed.clear()
        news = {topic: listener.versions[topic] for topic in told if listener.versions.get(topic, 0) > told[topic]}
        told |= news
        if own.keys() & news.keys() and not await may_go_on():
            break
        text = "".join(
            f"data: {json.dumps({'topic': topic, 'version': news[topic]})}\n\n" for topic in topics if topic in news
        )
        text = text or ": alive\n\n"
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def versions(listener: Listener, pages: Any, scope: Any, receive: Any, send: Any) -> None:
    """``/live/versions?topics=a,b``: the same for browsers that cannot keep a stream; 304 while nothing changed."""
    who = await _person(pages, scope)
    if who.status != HTTPStatus.NO_CONTENT:
        await who.pass_on(send)
        return
    loop = asyncio.get_running_loop()
    listener._tell(await loop.run_in_executor(listener._reader, read_tail))
    body = json.dumps({topic: listener.versions.get(topic, 0) for topic in _topics(scope)}).encode()
    tag = b'"%x"' % (hash(body) & 0xFFFFFFFFFFFF)
    same = dict(scope["headers"]).get(b"if-none-match") == tag
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-cache"), (b"etag", tag)]
    await send({"type": "http.response.start", "status": 304 if same else 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if same else body})
