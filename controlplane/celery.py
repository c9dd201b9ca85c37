"""The Celery application: one task, which drains one lane. All work is found in PostgreSQL, none in a message."""

import os
import socket
import threading
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

app = Celery("controlplane")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.imports = ("apps.core.tasks",)


@worker_ready.connect
def start_beating(**_: Any) -> None:
    """Say every few seconds that this worker lives, for /readyz."""
    from apps.core.clockwork import beat_until

    name = f"{socket.gethostname()}:{os.getpid()}"
    pulse = {"kind": "worker", "name": name, "every_s": 2.0}
    threading.Thread(target=beat_until, args=(threading.Event(),), kwargs=pulse, name="heartbeat", daemon=True).start()
