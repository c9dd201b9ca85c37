"""What waits hears at once that the server is told to stop.

Servers wait for open requests before they tell the application, and cancel those that are left: too late for streams.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def when_told_to_stop(call: Callable[[], None]) -> None:
    """Run ``call`` in this loop when the process is told to stop, besides what the server does then."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may listen to signals; whoever serves in another ends its requests itself
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, _both(loop, call, before))


def _both(
    loop: asyncio.AbstractEventLoop, call: Callable[[], None], before: Callable[[int, FrameType | None], object]
) -> Callable[[int, FrameType | None], None]:
    def told(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(call)
        before(number, frame)

    return told
