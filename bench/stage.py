"""A database of its own, and the plane's processes on it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg import sql

from controlplane.stack.demo import WORKERS

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("ACP_DATA_DIR") or ROOT / ".data").resolve()
CORES = os.cpu_count() or 1
READY_S = 240


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@dataclass
class Scene:
    """Where the suites work."""

    database_url: str
    environment: dict[str, str]
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The web process."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *command: str) -> None:
        """Start one process of the plane; it is ended with the others."""
        self.processes.append(self.one(*command))

    def one(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one process that the caller ends; its output goes to the data folder."""
        with (DATA_DIR / "bench.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log, process_group=0
            )

    def start_web_alone(self) -> str:
        """The address of a web process without workers and without a scheduler, so that nobody folds."""
        self._start_web(port := _free_port())
        _wait_for(url := f"http://127.0.0.1:{port}", "/healthz")
        return url

    def start_plane(self) -> None:
        """Web, workers and scheduler, until they answer."""
        if self.processes:
            return
        self._start_web(self.port)
        for name in WORKERS:
            threads = ("--pool", "threads", "-c", "4", "-l", "WARNING", "-n", f"{name}@%h")
            self.start("-m", "celery", "-A", "controlplane", "worker", *threads)
        self.start("manage.py", "run_scheduler")
        _wait_for(self.url)

    def start_another(self) -> str:
        """The address of a second web process beside the plane."""
        self.start_plane()
        port = _free_port()
        self._start_web(port)
        _wait_for(url := f"http://127.0.0.1:{port}")
        return url

    def beside(self, *command: str) -> Iterator[None]:
        """One process on this database, started by each first step and ended by each second."""
        while True:
            self.start(*command)
            process = self.processes.pop()
            try:
                yield
            finally:
                process.terminate()
                process.wait(10)
            yield

    def _start_web(self, port: int) -> None:
        self.start("-m", "uvicorn", "controlplane.asgi:app", "--port", str(port), "--log-level", "warning")

    def stop(self) -> None:
        """End what was started."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(url: str, path: str = "/readyz") -> None:
    ends = time.monotonic() + READY_S
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{url}{path}", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise SystemExit(f"The plane did not become ready; {DATA_DIR / 'bench.log'} says why.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def prepared() -> Iterator[Scene]:
    """An empty, migrated database; Django set up on it; everything gone afterwards."""
    from controlplane import embedded

    found = embedded.start(DATA_DIR)
    name = f"acp_bench_{os.getpid()}"
    admin = _with_database(found.owner_url, "postgres")
    environment = {
        **os.environ,
        "DATABASE_URL": _with_database(found.database_url, name),
        "DATABASE_OWNER_URL": _with_database(found.owner_url, name),
        "REDIS_URL": found.redis_url,
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
    }
    os.environ.update(environment)
    with psycopg.connect(admin, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    scene = Scene(environment["DATABASE_URL"], environment, _free_port())
    import django

    django.setup()
    try:
        yield scene
    finally:
        scene.stop()
        from django.db import connection

        connection.close()
        connection.close_pool()
        with psycopg.connect(admin, autocommit=True) as owner:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
