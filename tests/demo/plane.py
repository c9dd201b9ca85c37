"""The whole plane as its processes, on a database of its own: web, worker, scheduler, systems of record, agents."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.demo.systems import Systems, start_systems

ROOT = Path(__file__).parents[2]
READY_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually[T](look: Callable[[], T], *, within_s: float = 30.0, what: str | Callable[[], str] = "it") -> T:
    """The first true answer of ``look``; fails when there is none in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what() if callable(what) else what}: not within {within_s:.0f} s")


@dataclass
class LivePlane:
    folder: Path
    port: int
    environment: dict[str, str]
    systems: Systems
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log, process_group=0
            )

    def start_web(self) -> None:
        self.start("web", "-m", "uvicorn", "controlplane.asgi:app", "--port", str(self.port), "--log-level", "warning")

    def start_worker(self) -> None:
        pool = ("--pool", "threads", "--concurrency", "4", "--loglevel", "WARNING", "--without-gossip")
        self.start("worker", "-m", "celery", "-A", "controlplane", "worker", *pool)

    def start_scheduler(self) -> None:
        self.start("scheduler", "manage.py", "run_scheduler")

    def start_agents(self, *only: str, speed: float = 20) -> None:
        keys = str(self.folder / "agent-keys.json")
        options = ("--url", self.url, "--keys", keys, "--speed", str(speed), "--only", ",".join(only))
        self.start("agents", "-m", "apps.demo.agents", *options)

    def end(self, name: str, *, kill: bool = False) -> None:
        process = self.processes.pop(name)
        process.kill() if kill else process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_until_ready(self) -> None:
        def ready() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended: {self.log(name)[-2000:]}"
            try:
                answer = httpx.get(f"{self.url}/readyz", timeout=5)
            except httpx.TransportError:
                return False
            seen[:] = [answer.text]
            return answer.status_code == 200

        seen: list[str] = []
        eventually(ready, within_s=READY_S, what=lambda: f"readiness: {seen}")

    def key_of(self, agent: str) -> str:
        return str(json.loads((self.folder / "agent-keys.json").read_text())[agent])

    def agent(self, slug: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key_of(slug)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=40)

    @contextmanager
    def person(self, username: str, password: str = "demo-demo") -> Iterator[httpx.Client]:
        """A person's signed-in session, good for pages and, with its token, for the API."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=40) as client:
            page = client.get("/accounts/login/")
            fields = {"login": username, "password": password, "csrfmiddlewaretoken": _token(page.text)}
            answer = client.post("/accounts/login/", data=fields)
            assert answer.url.path != "/accounts/login/", "signing in failed"
            client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
            yield client


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


@contextmanager
def live_plane(folder: Path, database_url: str, owner_url: str, redis_url: str, *arguments: str) -> Iterator[LivePlane]:
    """Everything but the agents, with the sample company loaded and without its history."""
    systems = start_systems(folder)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DATABASE_OWNER_URL": owner_url,
        "REDIS_URL": redis_url,
        "ACP_DATA_DIR": str(folder),
        "ACP_DEMO": "1",
        "ACP_SYSTEMS_URL": systems.url,
        "PYTHONPATH": str(ROOT),
    }
    plane = LivePlane(folder, free_port(), environment, systems)
    try:
        plane.manage("load_sample", *arguments)
        plane.start_web()
        plane.start_worker()
        plane.start_scheduler()
        plane.wait_until_ready()
        yield plane
    finally:
        for name in reversed(list(plane.processes)):
            plane.end(name)
        systems.process.terminate()
        systems.process.wait(10)
