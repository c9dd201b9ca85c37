"""Many open inboxes and a stream of arrivals: how late each page hears of each, and what it costs the server."""

import asyncio
import json
import os
import statistics
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection

from apps.access.sessions import SessionStore

STREAMS, EACH = 200, 5
PER_SECOND, SECONDS = 50, 20
TICKS = os.sysconf("SC_CLK_TCK")


def session_of(person: Any) -> str:
    """A signed-in session's cookie, without two hundred sign-ins."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def listen(url: str, cookie: str, topics: str) -> AsyncIterator[dict[str, Any] | None]:
    """What an open page is told; None first, once it is open. Bare sockets: the client shares the machine."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    ask = f"GET /live/?topics={topics} HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: sessionid={cookie}\r\n\r\n"
    writer.write(ask.encode())
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(status.decode())
    yield None
    while line := await reader.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


class Rush:
    """One measurement: open pages that listen, and a thread that makes items once all of them do."""

    def __init__(self, url: str, cookies: list[str], arrive: Callable[[], int]) -> None:
        self.url, self.cookies, self.arrive = url, cookies, arrive
        self.heard: list[list[tuple[int, float]]] = [[] for _ in range(STREAMS)]
        self.made: list[tuple[int, float]] = []
        self.opened = 0

    async def run(self, pid: int) -> float:
        """The cores that the web process used meanwhile."""
        pages = [asyncio.create_task(self._listen(index)) for index in range(STREAMS)]
        while self.opened < STREAMS:
            await asyncio.sleep(0.05)
            for page in pages:
                if page.done():
                    page.result()  # raises what went wrong
        before, begun = cpu_s(pid), time.monotonic()
        await asyncio.to_thread(self._make)
        await asyncio.sleep(2.0)
        used = (cpu_s(pid) - before) / (time.monotonic() - begun)
        for page in pages:
            page.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        return used

    async def _listen(self, index: int) -> None:
        async for event in listen(self.url, self.cookies[index // EACH], "inbox"):
            if event is None:
                self.opened += 1
            else:
                self.heard[index].append((event["version"], time.monotonic()))

    def _make(self) -> None:
        begun = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            if time.monotonic() > begun + SECONDS:
                break  # this machine makes fewer: the report says how many
            time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
            entry = self.arrive()
            self.made.append((entry, time.monotonic()))
        connection.close()


def measure(url: str, cookies: list[str], pid: int, arrive: Callable[[], int]) -> dict[str, float]:
    """``arrive()`` makes one item in a transaction and gives its entry's id. Delays in milliseconds."""
    rush = Rush(url, cookies, arrive)
    used = asyncio.run(rush.run(pid))
    delays, missed = _delays(rush.heard, rush.made)
    delays.sort()
    lasted = rush.made[-1][1] - rush.made[0][1]
    return {
        "p50_ms": statistics.median(delays),
        "p95_ms": delays[int(len(delays) * 0.95)],
        "max_ms": delays[-1],
        "missed": float(missed),
        "rate": len(rush.made) / lasted,
        "cores": used,
    }


def _delays(heard: list[list[tuple[int, float]]], made: list[tuple[int, float]]) -> tuple[list[float], int]:
    """For each stream and item: from its commit to the first event that tells of it or of a later one."""
    delays: list[float] = []
    missed = 0
    for events in heard:
        versions = [version for version, _ in events]
        for entry, at in made:
            place = bisect_left(versions, entry)
            if place == len(events):
                missed += 1
            else:
                delays.append((events[place][1] - at) * 1000)
    return delays, missed
