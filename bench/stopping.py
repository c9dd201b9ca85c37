"""How soon people see that something was stopped: on pages that are open, and as the owner's notice."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from threading import Condition
from typing import Any, NamedTuple

import httpx
from django.db import connection

from apps.access.services import create_token
from apps.connectors.models import Operation
from apps.core.models import User
from apps.halts.rules import BreakerTerms
from apps.halts.services import save_breaker
from apps.notifications.models import Delivery
from bench.deciding import CAP, Asker, make_asker
from bench.streams import listen, session_of
from tests.factories.access import make_admin
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import permit

PAGES = 50
PATIENCE_S = 30
APART_S = 1.0
"""Between two rounds: streams tell of changes that follow each other within half a second together."""
DENIED = 3


WORDS = {
    "pages": "open pages were told",
    "banner": "one of them had asked for its banner",
    "row": "the owner's message was there",
    "notice": "the owner's page was told of it",
}


class Waits(NamedTuple):
    """Milliseconds from the answer that stopped something until each of ``WORDS``."""

    pages: list[float]
    banner: list[float]
    row: list[float]
    notice: list[float]


class Wall:
    """Open pages of as many people, the first of them the owner's, and what each was told when."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.people = [make_admin() for _ in range(PAGES)]
        self.cookies = [session_of(person) for person in self.people]
        self.heard: dict[tuple[int, str], list[float]] = defaultdict(list)
        self.opened, self.told = 0, Condition()

    @property
    def owner(self) -> User:
        """Whose agents are stopped."""
        return self.people[0]

    async def run(self, work: Callable[[], Any]) -> Any:
        """What ``work`` gives while all pages are open."""
        pages = [asyncio.create_task(self._listen(index)) for index in range(PAGES)]
        while self.opened < PAGES:
            await asyncio.sleep(0.05)
            for page in pages:
                if page.done():
                    page.result()  # raises what went wrong
        try:
            return await asyncio.to_thread(work)
        finally:
            for page in pages:
                page.cancel()
            await asyncio.gather(*pages, return_exceptions=True)

    async def _listen(self, index: int) -> None:
        topics = f"halts,notices:{self.people[index].pk}"
        async for event in listen(self.url, self.cookies[index], topics):
            if event is None:
                self.opened += 1
                continue
            with self.told:
                self.heard[index, event["topic"].partition(":")[0]].append(time.perf_counter())
                self.told.notify_all()

    def first(self, index: int, topic: str, since: float) -> float:
        """When a page was told of ``topic`` first after ``since``; waits for it."""

        def found() -> float | None:
            return next((at for at in self.heard[index, topic] if at > since), None)

        with self.told:
            at = self.told.wait_for(found, PATIENCE_S)
        assert at is not None, f"page {index} heard nothing of {topic}"
        return at


def measure(url: str, *, rounds: int) -> dict[str, Waits]:
    """Halts engaged by hand over the API, and breakers that open because an agent was denied so often."""
    wall = Wall(url)
    return asyncio.run(wall.run(lambda: {"halt": _halts(wall, rounds), "breaker": _breakers(wall, rounds)}))


def _halts(wall: Wall, rounds: int) -> Waits:
    first, second = ({"Authorization": f"Bearer {create_token(each, user=each)}"} for each in wall.people[1:3])
    found = Waits([], [], [], [])
    with httpx.Client(base_url=wall.url, timeout=PATIENCE_S) as client:
        for number in range(rounds):
            body = {"scope": "agent", "target": make_agent(owner=wall.owner).slug, "reason": f"Round {number}."}
            began, told = time.perf_counter(), _told(wall.owner)
            halt = client.post("/api/v1/halts/", json=body, headers=first).raise_for_status().json()
            _wait(wall, found, told, began, time.perf_counter(), client, body["reason"])
            began = time.perf_counter()
            lift = f"/api/v1/halts/{halt['id']}/lift/"
            client.post(lift, json={"reason": "Seen."}, headers=second).raise_for_status()
            for index in range(PAGES):
                wall.first(index, "halts", began)
            time.sleep(APART_S)
    connection.close()
    return found


def _breakers(wall: Wall, rounds: int) -> Waits:
    terms = BreakerTerms("denied", "agent", DENIED, 3600)
    save_breaker(wall.owner, slug="bench-denied", name="Denied", terms=terms)
    found, asker = Waits([], [], [], []), make_asker()
    with httpx.Client(base_url=wall.url, timeout=PATIENCE_S) as client:
        for _ in range(rounds):
            mine = _beyond(asker, wall.owner)
            began, told = time.perf_counter(), _told(wall.owner)
            for _ in range(DENIED):
                assert mine.ask(client).raise_for_status().json()["state"] == "denied"
            _wait(wall, found, told, began, time.perf_counter(), client, mine.agent.slug)
            time.sleep(APART_S)
    connection.close()
    return found


def _beyond(asker: Asker, owner: User) -> Asker:
    """Another agent of the same unit, which asks for what no rule allows."""
    agent = make_agent(owner=owner, unit=asker.agent.unit)
    permit(agent.user, Operation.objects.get(slug=asker.body["operation"]))
    body = {**asker.body, "parameters": {**asker.body["parameters"], "amount_minor": CAP}}
    return Asker(agent, make_key_for(agent), body)


def _wait(wall: Wall, found: Waits, told: int, began: float, answered: float, client: httpx.Client, words: str) -> None:
    """Note the waits of one round. What was told before the answer waited nothing."""
    banner = {"Cookie": f"sessionid={wall.cookies[-1]}", "HX-Request": "true"}

    def after(at: float) -> float:
        return max(0.0, (at - answered) * 1000)

    wall.first(PAGES - 1, "halts", began)
    assert words in client.get("/halts/banners/", headers=banner).raise_for_status().text
    found.banner.append(after(time.perf_counter()))
    while _told(wall.owner) == told:
        assert time.perf_counter() - answered < PATIENCE_S, "the owner was not told"
        time.sleep(0.005)
    found.row.append(after(time.perf_counter()))
    found.notice.append(after(wall.first(0, "notices", began)))
    found.pages.extend(after(wall.first(index, "halts", began)) for index in range(PAGES))


def _told(owner: User) -> int:
    return Delivery.objects.filter(recipient=owner, channel="in_app").count()
