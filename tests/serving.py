"""The web process as it runs in earnest, on a database of the tests."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from tests.conftest import url_of

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(check: Callable[[], bool], seconds: float = 120) -> None:
    """Until ``check`` says yes; connection errors count as no. The limit tells what hangs from what is slow."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if check():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail("waited in vain")


def environment_of(database: str, **settings_of: str) -> dict[str, str]:
    """Under which processes of ours run on ``database``."""
    return {
        **os.environ,
        "DATABASE_URL": url_of(settings.DATABASE_URL, database),
        "DATABASE_OWNER_URL": url_of(settings.DATABASE_OWNER_URL, database),
        "REDIS_URL": settings.REDIS_URL,
        "ACP_DEMO": "1",
        **settings_of,
    }


@contextmanager
def working(database: str, folder: Path) -> Iterator[None]:
    """A worker and the clock on ``database``. What they say is in ``folder``."""
    environment = environment_of(database)
    pool = ("--pool", "threads", "--concurrency", "2", "--loglevel", "WARNING", "--without-gossip")
    commands = [("-m", "celery", "-A", "controlplane", "worker", *pool), ("manage.py", "run_scheduler")]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "work.log").open("w"))
        for command in commands:
            process = stack.enter_context(
                subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log)
            )
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
        yield


@contextmanager
def serving(database: str, folder: Path, **settings_of: str) -> Iterator[str]:
    """Serve ``database`` under these settings; yields the address. What the process says is in ``folder``."""
    port = free_port()
    environment = environment_of(database, **settings_of)
    options = ("--port", str(port), "--log-level", "warning", "--no-server-header")
    command = [sys.executable, "-m", "uvicorn", "controlplane.asgi:app", *options]
    with (
        (folder / "web.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process,
    ):
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, (folder / "web.log").read_text()
            return httpx.get(f"{address}/healthz", timeout=5).status_code == 200

        try:
            wait_for(answers)
            yield address
        finally:
            process.terminate()
            process.wait(10)
