"""What every sample agent is: a loop that looks for work, does it, and takes every answer of the plane seriously."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from apps.demo.agents.plane import Document, Halted, KeyIsDead, LeaseLost, Plane, Refused

HALT_PAUSE_S = 10.0
HEARTBEAT_S = 15.0


class Question(Exception):  # noqa: N818 - asking is no fault
    """Raised by a handler that would have to guess: a person is asked, the task comes back with the answer."""

    def __init__(self, text: str, *options: str) -> None:
        super().__init__(text)
        self.options = options


class Agent:
    """Acts on its own account. `look` is called again and again, `every_s` apart at speed 1."""

    slug = ""
    model = "demo-small"
    every_s = 20.0
    hands = 1  # so many threads look for work at once

    def __init__(self, plane: Plane, stopping: threading.Event, speed: float) -> None:
        self.plane, self.stopping, self.speed = plane, stopping, speed
        self.chance = random.Random()  # noqa: S311 - for variety, not for secrets

    def look(self) -> None:
        """Find work and do it."""
        raise NotImplementedError

    def run(self) -> None:
        """Look for work until stopped. A refusal ends what was tried, not the agent; a dead key ends the agent."""
        while not self.stopping.is_set():
            try:
                self.look()
            except Halted as halt:
                self.say(f"halted ({halt}); waits")
                self.stopping.wait(HALT_PAUSE_S)
            except KeyIsDead as refusal:
                self.say(f"ends: {refusal.code}, {refusal}")
                return
            except Refused as refusal:
                self.say(f"leaves it: {refusal.status} {refusal.code}, {refusal}")
            except httpx.TransportError:
                return  # stopped in the middle of a request
            self.pause(self.every_s)

    def pause(self, seconds: float) -> None:
        """Wait, shorter the faster the demo runs."""
        self.stopping.wait(seconds / self.speed)

    def think(self, seconds: float, **about: str) -> None:
        """Take a moment and report what a model would have used; `about`: task, action or run."""
        self.pause(seconds)
        if about:
            self.plane.report_usage(self.model, self.chance.randint(400, 2_400), self.chance.randint(40, 400), **about)

    def say(self, text: str) -> None:
        """One line on standard output."""
        print(f"{datetime.now(UTC):%H:%M:%S} {self.slug}: {text}", flush=True)


class Worker(Agent):
    """Takes tasks from workflows. A subclass says what to do with one."""

    every_s = 0.0  # claiming waits by itself

    def handle(self, task: Document) -> Document:
        """The output for a task; or a Question."""
        raise NotImplementedError

    def look(self) -> None:
        """Claim a task, do it, hand it in."""
        for task in self.plane.claim():
            try:
                self._do(task)
            except LeaseLost:
                self.say(f"drops {task['step']}: the lease is lost")
            except Halted:
                self.plane.release(task)
                raise
            except Refused as refusal:
                self.plane.fail(task, refusal.code, str(refusal), retryable=False)
                raise

    def _do(self, task: Document) -> None:
        with self._alive(task):
            try:
                output = self.handle(task)
            except Question as question:
                self.plane.ask(task, str(question), options=list(question.options))
                self.say(f"asks: {question}")
                return
            self.think(1, task=task["id"])
        self.plane.complete(task, output)
        self.say(f"{task['step']} done: {output}")

    @contextmanager
    def _alive(self, task: Document) -> Iterator[None]:
        """Heartbeats while the work goes on; losing the lease is noticed when the work is handed in."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                try:
                    self.plane.heartbeat(task)
                except (Refused, httpx.TransportError):
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()


def result_of(action: Document) -> Document:
    """What the system of record answered; Refused when the action came to nothing or waits for a person."""
    if action["state"] != "succeeded":
        raise Refused(409, {"code": action["state"], "detail": f"{action['operation']} is {action['state']}"})
    result: Document = action["result"] or {}
    return result
