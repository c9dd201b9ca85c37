"""Run the clock: every job of controlplane/schedule.py when it is due."""

import os
import signal
import socket
import threading
from typing import Any

from django.core.management.base import BaseCommand

from apps.core.clockwork import beat_until, run_jobs_until
from apps.core.tracing import start_tracing, stop_tracing


class Command(BaseCommand):
    """``manage.py run_scheduler``: one or several may run; what is due is done once."""

    help = "Run the clock: sweeps, timers, projections and the poll behind the doorbell."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        start_tracing("acp-scheduler")
        name = f"{socket.gethostname()}:{os.getpid()}"
        pulse = threading.Thread(
            target=beat_until, args=(stop,), kwargs={"kind": "scheduler", "name": name, "every_s": 2.0}, daemon=True
        )
        pulse.start()
        run_jobs_until(stop)
        stop_tracing()
