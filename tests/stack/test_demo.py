"""`bin/demo` as a person starts it, with its real web process, workers and scheduler."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import embedded
from controlplane.stack.supervisor import identity_of

ROOT = Path(__file__).resolve().parents[2]


class Started:
    """A demo in a process of its own, and what it said."""

    def __init__(self, data_dir: Path, port: int, *options: str) -> None:
        call = [sys.executable, "-m", "controlplane.stack.demo", "--data-dir", data_dir, "--port", str(port), *options]
        self.last_words = ""
        handle, name = tempfile.mkstemp(prefix="acp-said-")
        self.output = Path(name)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(call, stdout=handle, stderr=handle, env=environment, process_group=0)
        os.close(handle)

    @property
    def said(self) -> str:
        return self.last_words or self.output.read_text()

    def until(self, text: str, *, within_s: float = 600) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(empty_dir: Path) -> Iterator[Path]:
    empty_dir.chmod(0o711)
    yield empty_dir / "data"
    embedded.remove(empty_dir / "data")


@contextlib.contextmanager
def demo(folder: Path, port: int, *options: str) -> Iterator[Started]:
    started = Started(folder, port, *options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.end()
        started.last_words = started.said
        started.output.unlink()


def pids(folder: Path) -> list[int]:
    return [each["pid"] for each in json.loads((folder / "processes.json").read_text())]


def status(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
        return str(json.load(answer)["status"])


def test_it_starts_once_survives_a_kill_and_ends_whole(folder: Path, port: int) -> None:
    with demo(folder, port, "--empty") as killed:
        killed.until(f"Ready: http://127.0.0.1:{port}/")
        killed.until(f"Commands on it: ACP_DATA_DIR={folder} ")
        assert status(port) == "ready"
        assert "password: demo-demo" in killed.said
        left = pids(folder)

        with demo(folder, port, "--empty") as second:
            assert second.process.wait(60) == 1
            assert "already runs" in second.said
        assert [pid for pid in left if not identity_of(pid)] == []

        killed.process.kill()
        killed.process.wait(60)
        assert [pid for pid in left if not identity_of(pid)] == []

    with demo(folder, port, "--empty") as again:
        again.until("Ending what an earlier start left running: web, worker-1, worker-2, scheduler.")
        again.until("Ready:")
        assert [pid for pid in left if identity_of(pid)] == []
        left = pids(folder)
        assert again.end(signal.SIGINT) == 0
        assert again.said.endswith("Stopped.\n")
    assert [pid for pid in left if identity_of(pid)] == []
    assert embedded.running(folder) == {"postgres": False, "valkey": False}


def test_a_port_in_use_is_said_and_nothing_is_started(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with demo(folder, number, "--empty") as refused:
            assert refused.process.wait(60) == 1
    assert refused.said == f"Port {number} is in use. End what uses it, or choose another with --port.\n"
    assert embedded.addresses(folder) is None


def test_a_reset_forgets_what_the_demo_kept_and_nothing_else(folder: Path, port: int) -> None:
    before = embedded.start(folder)
    embedded.stop(folder)
    (folder / "log").mkdir()
    (folder / "systems.sqlite3").touch()
    (folder / "mine.txt").touch()
    with demo(folder, port, "--empty", "--reset") as begun:
        begun.until("PostgreSQL and Valkey")
        begun.end()
    assert embedded.addresses(folder) not in {None, before}
    assert (folder / "mine.txt").exists()
    assert not (folder / "systems.sqlite3").exists()


def test_a_stop_before_it_is_ready_leaves_nothing(folder: Path, port: int) -> None:
    with demo(folder, port, "--empty") as stopped:
        stopped.until("PostgreSQL and Valkey")
        assert stopped.end() == 0
    assert embedded.running(folder) == {"postgres": False, "valkey": False}


def test_a_folder_that_cannot_be_written_is_said(folder: Path, port: int) -> None:
    folder.parent.joinpath("file").touch()
    with demo(folder.parent / "file/data", port, "--empty") as refused:
        assert refused.process.wait(60) == 1
    assert "Cannot write in" in refused.said
