"""Whose turn it is in a process: what people wait for goes before what follows of it.

The threads of a worker share one interpreter. While a lane in which people wait (``LANES_FIRST``) is drained, those
behind it (``LANES_BEHIND``) stop between two pieces of work, and are rung for when it is done. The scheduler, which
only looks after what was not heard, leaves them alone meanwhile; other workers do not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from django.conf import settings

from apps.core.queue import ring, say_first, unsay_first

FIRST_S = 5.0
"""How long anybody goes first; then all take part, however much is left."""

_lock = Lock()
_going = 0
_since = 0.0
_passed: set[str] = set()


@contextmanager
def going_first(lane: str) -> Iterator[None]:
    """Go before the lanes behind while ``lane`` is drained here, where it is one that goes first."""
    global _going, _since
    if lane not in settings.LANES_FIRST:
        yield
        return
    with _lock:
        _going += 1
        is_new = _going == 1
        _since = time.monotonic() if is_new else _since
    if is_new:
        say_first(FIRST_S)
    try:
        yield
    finally:
        with _lock:
            _going -= 1
            is_over = _going == 0
            left = sorted(_passed) if is_over else []
            _passed.difference_update(left)
        if is_over:
            unsay_first()
        for passed in left:
            ring(passed)


def gives_way(lane: str) -> bool:
    """Whether ``lane`` stops here because another goes first."""
    with _lock:
        gives = lane in settings.LANES_BEHIND and _going > 0 and time.monotonic() - _since < FIRST_S
        if gives:
            _passed.add(lane)
    return gives
