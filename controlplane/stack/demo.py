"""`bin/demo`: the whole control plane with its sample company on one machine, until Ctrl-C."""

import argparse
import contextlib
import errno
import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from controlplane import embedded
from controlplane.stack.supervisor import Program, Supervisor, end_groups

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS_PORT_OFFSET = 99  # the sample systems of record answer on 8099 where the control plane answers on 8000
HIGHEST_PORT = 65535
READY_TIMEOUT_S = 90
LOOK_EVERY_S = 0.2
LOOK_AT_SERVERS_EVERY_S = 2.0
OWN_FILES = (
    "log",
    "static",
    "processes.json",
    "systems.sqlite3*",
    "systems-keys.json",
    "agent-keys.json",
    "encryption.key",
)
WORKERS = ("worker-1", "worker-2")
"""One for each core of a small machine: the threads of one share an interpreter, and so a core."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
EMPTY_SIGN_IN = "  admin  administrator            password: {password}"
SIGN_INS = """\
  ada    approver, finance        eve   executive
  ben    approver, finance        olga  operator
  cleo   approver, operations     aud   auditor
  admin  administrator            password of all: {password}"""


class DemoError(Exception):
    """What stands in the way, in a sentence for the terminal."""


class Stopped(Exception):  # noqa: N818 - an answer to Ctrl-C, not a fault
    """Ctrl-C, or SIGTERM."""


def main() -> int:
    """Exit status 0 after Ctrl-C or SIGTERM, 1 when it cannot start."""
    options = _options()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, lambda *_: stopping.set())
    try:
        with _alone(options.data_dir):
            Demo(options, stopping).run()
    except Stopped:
        say("Stopped.")
    except (DemoError, embedded.EmbeddedError) as error:
        say(str(error))
        return 1
    return 0


class Demo:
    """One start, from the servers to the last agent, and its end."""

    def __init__(self, options: argparse.Namespace, stopping: threading.Event) -> None:
        self.options, self.stopping = options, stopping
        self.data_dir: Path = options.data_dir
        self.systems_port = options.port + SYSTEMS_PORT_OFFSET
        self.environment = {
            **os.environ,
            "ACP_DATA_DIR": str(self.data_dir),
            "ACP_DEMO": "0" if options.empty else "1",
            "ACP_DEMO_PASSWORD": os.environ.get("ACP_DEMO_PASSWORD") or "demo-demo",
            "ACP_SYSTEMS_URL": f"http://127.0.0.1:{self.systems_port}",
            "ACP_URL": os.environ.get("ACP_URL") or self.url,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
        self.supervisor = Supervisor(self.data_dir, cwd=ROOT, environment=self.environment, say=say)

    def run(self) -> None:
        """Start everything, watch it, end everything whatever happens."""
        self.supervisor.end_leftovers()
        self._check_ports()
        try:
            self._prepare()
            say("Starting what answers and works ...")
            self.supervisor.start(self._programs())
            self._watch()
        finally:
            self.supervisor.end()
            embedded.stop(self.data_dir)

    def _prepare(self) -> None:
        if self.options.reset:
            self._reset()
        with _told("PostgreSQL and Valkey"):
            embedded.start(self.data_dir)
        with _told("Tables", "half a minute the first time, two on a busy machine"):
            self._manage("migrate", "--no-input", "--verbosity", "0")
        with _told("The user admin" if self.options.empty else "Sample company"):
            self._manage("load_sample", *self._sample())

    def _sample(self) -> list[str]:
        if self.options.empty:
            return ["--empty"]
        return ["--scale", self.options.scale] if self.options.scale else []

    def _check_ports(self) -> None:
        wanted = {self.options.port: self.options.host}
        if not self.options.empty:
            wanted[self.systems_port] = "127.0.0.1"
        for port, host in wanted.items():
            _check_port(host, port)

    def _reset(self) -> None:
        """Delete what the demo keeps, and nothing else that may lie in the folder."""
        if os.environ.get("DATABASE_URL"):
            raise DemoError("--reset deletes the embedded database only, and DATABASE_URL names another.")
        embedded.remove(self.data_dir)
        for path in (found for pattern in OWN_FILES for found in self.data_dir.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _manage(self, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=self.environment, process_group=0)
        while process.poll() is None and not self.stopping.wait(0.05):
            pass
        if self.stopping.is_set():
            end_groups([process.pid], grace_s=2.0, reap=process.poll)
            raise Stopped
        if process.returncode:
            raise DemoError(f"manage.py {arguments[0]} failed; the lines above say why.")

    def _programs(self) -> list[Program]:
        """The higher the stage, the earlier its end. Workers have longest: they may wait for an outside system."""
        python, host, port = sys.executable, self.options.host, str(self.options.port)
        uvicorn = ("--host", host, "--port", port, "--log-level", "warning", "--timeout-graceful-shutdown", "1")
        quiet = ("--no-proxy-headers", "--no-server-header")
        celery = ("--pool", "threads", "--concurrency", "4", "--loglevel", "WARNING", "--without-gossip")
        worker = (python, "-m", "celery", "-A", "controlplane", "worker", *celery)
        programs = [
            Program("web", (python, "-m", "uvicorn", "controlplane.asgi:app", *quiet, *uvicorn), stage=1),
            *(Program(name, (*worker, "-n", f"{name}@%h"), stage=2, grace_s=4) for name in WORKERS),
            Program("scheduler", (python, "manage.py", "run_scheduler"), stage=2),
        ]
        if not self.options.empty:
            systems = ("--port", str(self.systems_port), "--data-dir", str(self.data_dir))
            programs.append(Program("systems", (python, "-m", "apps.demo.systems", *systems), stage=1))
        if not (self.options.empty or self.options.no_agents):
            keys, speed = str(self.data_dir / "agent-keys.json"), str(self.options.speed)
            agents = ("--url", self.url, "--keys", keys, "--speed", speed)
            programs.append(Program("agents", (python, "-m", "apps.demo.agents", *agents), stage=3, grace_s=1))
        return programs

    def _watch(self) -> None:
        """Until somebody stops it. Says when everything is ready, and what is missing after a while."""
        began, servers_at, ready, warned = time.monotonic(), time.monotonic(), False, False
        while not self.stopping.wait(LOOK_EVERY_S):
            self.supervisor.watch()
            passed_s = time.monotonic() - began
            if not ready:
                parts = self._readiness()
                ready = parts.get("status") == "ready"
                if ready:
                    self._tell_sign_ins()
                elif passed_s > READY_TIMEOUT_S and not warned:
                    warned = True
                    self._tell_missing(parts, passed_s)
            if time.monotonic() - servers_at > LOOK_AT_SERVERS_EVERY_S:
                servers_at = time.monotonic()
                self._revive_servers()
        raise Stopped

    def _revive_servers(self) -> None:
        silent = [name for name, answers in embedded.running(self.data_dir).items() if not answers]
        if silent:
            say(f"{' and '.join(silent)} ended; starting it again.")
            embedded.start(self.data_dir)

    def _readiness(self) -> dict[str, Any]:
        """What /readyz says; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as refusal:
            with contextlib.suppress(ValueError):
                return dict(json.load(refusal))
        except OSError:
            pass
        return {}

    def _tell_missing(self, parts: dict[str, Any], seconds: float) -> None:
        missing = [f"{part} {state}" for part, state in parts.items() if part != "status" and state != "ok"]
        said = ", ".join(missing) or "web does not answer yet"
        say(f"Still starting after {seconds:.0f} s: {said}. It goes on trying. Logs: {self.supervisor.logs}")

    def _tell_sign_ins(self) -> None:
        signs = EMPTY_SIGN_IN if self.options.empty else SIGN_INS
        say(f"\nReady: {self.url}/\n{signs.format(password=self.environment['ACP_DEMO_PASSWORD'])}")
        if not self.options.empty:
            say(f"Sample systems: {self.environment['ACP_SYSTEMS_URL']}/ (what the agents did arrives there)")
        if self.options.host not in LOOPBACK:
            say(f"It listens on {self.options.host}: whoever reaches this machine can sign in as any of them.")
        if self.data_dir != ROOT / ".data":
            say(f"Commands on it: ACP_DATA_DIR={shlex.quote(str(self.data_dir))} .venv/bin/python manage.py ...")
        say(f"Data and logs: {self.data_dir}   Stop: Ctrl-C")

    @property
    def url(self) -> str:
        """Where this machine itself reaches the control plane."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.options.host, self.options.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.options.port}"


def say(text: str) -> None:
    """To the terminal, at once."""
    print(text, flush=True)


@contextlib.contextmanager
def _told(what: str, lasts: str = "") -> Iterator[None]:
    """Say what is done before it is, how long that ``lasts``, and how long it took."""
    say(f"{what} ({lasts}) ..." if lasts else f"{what} ...")
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=8000, help=f"the plane's; the sample systems answer {SYSTEMS_PORT_OFFSET} above it"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address the plane listens on")
    parser.add_argument("--data-dir", type=Path, default=embedded.default_data_dir(), help="where everything is kept")
    parser.add_argument("--empty", action="store_true", help="no sample company: only the user admin")
    parser.add_argument("--no-agents", action="store_true", help="the sample company without its agents")
    parser.add_argument(
        "--scale", choices=("1k", "30k", "1m"), default="", help="a year of history with about so many runs"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how busy the agents are; 2 is twice as busy")
    parser.add_argument("--reset", action="store_true", help="forget everything the demo kept, and begin anew")
    options = parser.parse_args()
    if not 0 < options.port <= HIGHEST_PORT - SYSTEMS_PORT_OFFSET:
        parser.error(f"--port must lie between 1 and {HIGHEST_PORT - SYSTEMS_PORT_OFFSET}")
    options.data_dir = options.data_dir.resolve()
    return options


def _lock_file(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        raise DemoError(f"Cannot write in {path.parent}: {error.strerror}. Choose a folder with --data-dir.") from None


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One demo per data folder; the kernel frees the lock of a killed one."""
    with _lock_file(data_dir / "demo.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"bin/demo already runs with {data_dir}; choose another folder with --data-dir.") from None
        yield


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise DemoError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from None
            raise DemoError(f"Port {port} is in use. End what uses it, or choose another with --port.") from None


if __name__ == "__main__":
    sys.exit(main())
