"""The doorbell: wakes workers and live pages after commit. Any ring may be lost; a poll each second stands behind."""

import time
from collections.abc import Callable
from functools import lru_cache
from threading import Lock
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import transaction

from apps.core.tracing import SpanKind, carried, span

log = structlog.get_logger(__name__)

LIVE_CHANNEL = "acp:live"
ANNOUNCEMENT = ("publish", LIVE_CHANNEL)
QUIET_S = 1.0
_lock = Lock()
_silent_until = 0.0


@lru_cache(maxsize=1)
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=0.05, socket_connect_timeout=0.05, retry=None, retry_on_error=[]
    )


def wake_key(lane: str) -> str:
    """The key that says "a wake for this lane is under way"."""
    return f"acp:wake:{lane}"


def ring(lane: str) -> None:
    """Wake a worker for ``lane`` once the transaction has committed. Many rings in flight become one message."""
    _after_commit(("ring", lane))


def announce() -> None:
    """Have open pages and waiting requests look at what is new, after commit; what it is they read themselves."""
    _after_commit(ANNOUNCEMENT)


def _after_commit(bell: tuple[str, str]) -> None:
    connection = transaction.get_connection()
    # One hook for all bells of a transaction, each struck once: a transaction of a thousand rows rings once.
    for hook in connection.run_on_commit:
        if (waiting := getattr(hook[1], "bells", None)) is not None:
            waiting[bell] = None
            return
    bells = {bell: None}

    def strike() -> None:  # not functools.partial: Django logs robust failures by __qualname__
        _strike(list(bells))

    strike.bells = bells  # type: ignore[attr-defined] # how the loop above finds it
    transaction.on_commit(strike, robust=True)


def _strike(bells: list[tuple[str, str]]) -> None:
    """Everything in one exchange; then a message for each lane for which no wake was under way."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        with _client().pipeline(transaction=False) as exchange:
            for kind, name in bells:
                if kind == "publish":
                    exchange.publish(name, "")
                else:
                    exchange.set(wake_key(name), "1", nx=True, px=1000)
            answers = exchange.execute()
        for (kind, name), answer in zip(bells, answers, strict=True):
            if kind == "ring" and answer:
                _send(name)
    except (redis.RedisError, OSError) as error:
        with _lock:
            _silent_until = time.monotonic() + QUIET_S
        log.warning("doorbell_silent", bells=[name for _kind, name in bells], error=type(error).__name__)


def _send(lane: str) -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    try:
        with span(f"ring {lane}", kind=SpanKind.PRODUCER):
            current_app.send_task("core.drain", args=(lane,), retry=False, ignore_result=True, headers=carried())
    except OperationalError as error:
        raise redis.ConnectionError(str(error)) from error


def answer_ring(lane: str) -> None:
    """Forget that a wake is under way; what comes from now on rings again. Called before draining."""
    try:
        _client().delete(wake_key(lane))
    except (redis.RedisError, OSError):
        log.warning("doorbell_silent", bell=lane)


FIRST_KEY = "acp:first"


def say_first(for_s: float) -> None:
    """Let the scheduler know that people wait for what is being done in this process, ``for_s`` seconds at most."""
    _unheard(lambda: _client().set(FIRST_KEY, "1", px=int(for_s * 1000)))


def unsay_first() -> None:
    """It is done."""
    _unheard(lambda: _client().delete(FIRST_KEY))


def is_first_said() -> bool:
    """Whether some process said so. False where nobody can be asked."""
    return bool(_unheard(lambda: _client().exists(FIRST_KEY)))


def _unheard(exchange: Callable[[], Any]) -> Any:
    """What a request to the broker answers; None where it does not, which is the same as nothing said."""
    try:
        return exchange()
    except (redis.RedisError, OSError) as error:
        log.warning("doorbell_silent", bell=FIRST_KEY, error=type(error).__name__)
        return None
