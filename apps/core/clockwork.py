"""The clockwork: jobs by the clock, signs of life. It needs no broker."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import cast

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.utils.module_loading import import_string

from apps.core import services
from apps.core.queue import is_first_said
from apps.core.tracing import span

log = structlog.get_logger(__name__)

SLOW_S = 1.0
"""A round that takes so long is worth a span even if it found nothing to do."""


def function_at(path: str) -> Callable[[], int]:
    """The function that a board names."""
    return cast("Callable[[], int]", import_string(path))


def run_job(name: str) -> int:
    """Run one job once, and give its connection back. What gives way (``core.turns``) is left for the next round.

    A round that did nothing, and soon, leaves no span: there are some dozen each second.
    """
    if name in settings.LANES_BEHIND and is_first_said():
        return 0
    begun = time.monotonic()
    with span(f"job {name}", attributes={"acp.job": name}, is_quiet=True) as found:
        close_old_connections()
        done = function_at(settings.JOBS[name][1])()
        connection.close()
        if found is not None:
            found.say("acp.done", done or 0)
            if not done and time.monotonic() - begun < SLOW_S:
                found.drop()
    return done


def run_jobs_until(stop: Event) -> None:
    """The scheduler: start each job when it is due and not still running. A failing job stops nothing but itself."""
    due = dict.fromkeys(settings.JOBS, 0.0)
    running: dict[str, Future[int]] = {}
    with ThreadPoolExecutor(max_workers=max(4, len(due))) as pool:
        while not stop.is_set():
            now = time.monotonic()
            for name, (every_s, _path) in settings.JOBS.items():
                if now >= due[name] and (name not in running or running[name].done()):
                    due[name] = now + every_s
                    running[name] = pool.submit(run_job, name)
                    running[name].add_done_callback(_reporter(name))
            stop.wait(0.2)


def _reporter(name: str) -> Callable[[Future[int]], None]:
    def report(future: Future[int]) -> None:
        if error := future.exception():
            log.error("job_failed", job=name, exc_info=error)

    return report


def beat_until(stop: Event, *, kind: str, name: str, every_s: float) -> None:
    """Write a sign of life every ``every_s`` seconds until ``stop``; a database that is away is waited for."""
    while not stop.is_set():
        try:
            close_old_connections()
            services.beat(kind=kind, name=name)
            connection.close()
        except DatabaseError as error:
            log.warning("heartbeat_failed", kind=kind, error=type(error).__name__)
        stop.wait(every_s)
