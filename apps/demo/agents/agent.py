"""What every sample agent is: a loop that looks for work, does it, and takes every answer of the plane seriously."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
from opentelemetry._logs import SeverityNumber

from apps.demo.agents.plane import Document, Halted, KeyIsDead, LeaseLost, Plane, Refused
from apps.demo.agents.telling import Telling

HALT_PAUSE_S = 10.0
HEARTBEAT_S = 15.0
FAILS_EVERY, FAILS_AT = 9, 5
"""Of so many calls of its model the one that fails, and is made again."""
TRIES_EVERY, TRIES_AT = 5, 3
"""Of so many the one that another model answers, where the agent tries one."""


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
    tries = ""  # a model that answers now and then instead of its own, and whose price nobody has told the plane

    def __init__(self, plane: Plane, telling: Telling, stopping: threading.Event, speed: float) -> None:
        self.plane, self.telling, self.stopping, self.speed = plane, telling, stopping, speed
        self.calls = count(1)
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
                self.say(f"halted ({halt}); waits", SeverityNumber.WARN)
                self.stopping.wait(HALT_PAUSE_S)
            except KeyIsDead as refusal:
                self.say(f"ends: {refusal.code}, {refusal}")
                return
            except Refused as refusal:
                self.say(f"leaves it: {refusal.status} {refusal.code}, {refusal}", SeverityNumber.WARN)
            except httpx.TransportError:
                return  # stopped in the middle of a request
            self.pause(self.every_s)

    def pause(self, seconds: float) -> None:
        """Wait, shorter the faster the demo runs."""
        self.stopping.wait(seconds / self.speed)

    def act(self, operation: str, parameters: Document, **words: Any) -> Document:
        """`Plane.act`, and tell of it."""
        since_ns = time.time_ns()
        try:
            action = self.plane.act(operation, parameters, **words)
        except Refused as refusal:
            self.telling.refused(operation, refusal, since_ns)
            raise
        self.telling.called(operation, action, since_ns)
        return action

    def think(self, seconds: float) -> None:
        """Take a moment and tell what a model would have used. Now and then it fails, and is asked once more."""
        number = next(self.calls)
        if number % FAILS_EVERY == FAILS_AT:
            with self.telling.chat(self.model) as span:
                self.pause(seconds / 4)
                self.telling.failed(span, "rate_limit_exceeded")
        model = self.tries if self.tries and number % TRIES_EVERY == TRIES_AT else self.model
        with self.telling.chat(self.model) as span:
            self.pause(seconds)
            self.telling.answered(span, model, self.chance.randint(4_000, 24_000), self.chance.randint(400, 4_000))

    def say(self, text: str, severity: SeverityNumber = SeverityNumber.INFO) -> None:
        """One line on standard output, and for the plane."""
        print(f"{datetime.now(UTC):%H:%M:%S} {self.slug}: {text}", flush=True)
        self.telling.line(text, severity)


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
        with self.telling.work(task):
            with self._alive(task):
                self.think(0.4)
                try:
                    output = self.handle(task)
                except Question as question:
                    self.plane.ask(task, str(question), options=list(question.options))
                    self.say(f"asks: {question}")
                    return
                self.think(0.6)
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
