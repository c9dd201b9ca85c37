"""The Celery application: one task, which drains one lane. All work is found in PostgreSQL, none in a message."""

import os
import socket
import threading
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("controlplane")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ("apps.core.tasks",)
TRACED_AS = "acp-worker"


@worker_ready.connect
def start_beating(sender: Any, **_: Any) -> None:
    """Say every few seconds that this worker lives, for /readyz."""
    from apps.core.clockwork import beat_until
    from apps.core.tracing import start_tracing

    if not _forks(sender.pool):
        start_tracing(TRACED_AS)
    name = f"{socket.gethostname()}:{os.getpid()}"
    pulse = {"kind": "worker", "name": name, "every_s": 2.0}
    threading.Thread(target=beat_until, args=(threading.Event(),), kwargs=pulse, name="heartbeat", daemon=True).start()


def _forks(pool: Any) -> bool:
    """Whether tasks run in children, which begin threads of their own: none outlives a fork."""
    return bool(pool.__module__ == "celery.concurrency.prefork")


@worker_process_init.connect
def start_tracing_child(**_: Any) -> None:
    """A child sends its own traces, where they are asked for."""
    from apps.core.tracing import start_tracing

    start_tracing(TRACED_AS)


@worker_process_shutdown.connect
@worker_shutdown.connect
def stop_tracing(**_: Any) -> None:
    """Send what waits."""
    from apps.core.tracing import stop_tracing

    stop_tracing()
