"""Starting, finding and ending the servers. What a pid file says is a hint; what answers on the socket is the truth."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from controlplane.embedded.places import EmbeddedError, Layout

START_TIMEOUT_S = 60
MUTE_TIMEOUT_S = 3
STOP_TIMEOUT_S = 8
LOG_MAX_BYTES = 5_000_000

# Nothing is inherited: no PGHOST, no PGDATA. Without a locale the server stops itself on macOS.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_children: list[subprocess.Popen[bytes]] = []  # ours to reap when they end while we live


def spawn(layout: Layout, *command: str | Path, log_file: Path) -> None:
    """Start a server in a session of its own, so that neither Ctrl-C nor our end reaches it."""
    if log_file.exists() and log_file.stat().st_size > LOG_MAX_BYTES:
        log_file.rename(log_file.with_suffix(".old.log"))
    with log_file.open("ab") as log:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=layout.valkey,
            env=ENVIRONMENT,
            umask=0o077,
            start_new_session=True,
            **layout.servant.popen_options(),
        )
    _children.append(child)


def reap() -> None:
    """Let go of what we started and what has ended: a zombie's pid still counts as alive to others."""
    _children[:] = [child for child in _children if child.poll() is None]


def await_answer(answers: Callable[[], bool], log_file: Path) -> None:
    """Return when the server spawned last answers; say why when it ends or stays silent."""
    deadline, child = time.monotonic() + START_TIMEOUT_S, _children[-1]
    while not answers():
        if child.poll() is not None or time.monotonic() > deadline:
            lines = log_file.read_text(errors="replace").splitlines()[-5:]
            raise EmbeddedError(f"{log_file.stem} did not start; the end of {log_file}:\n" + "\n".join(lines))
        time.sleep(0.02)


def pid_behind(socket_path: Path) -> int | None:
    """The process that listens on a socket, told by the kernel; None if nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        try:
            client.connect(str(socket_path))
            if sys.platform == "darwin":
                return client.getsockopt(0, 2) or None  # SOL_LOCAL, LOCAL_PEERPID
            return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]) or None
        except OSError:
            return None


def pid_named(pid_file: Path, marker: str) -> int | None:
    """The process in a pid file, if it lives, is no zombie and has `marker` in its command line; else None."""
    try:
        pid = int(pid_file.read_text().split(maxsplit=1)[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None
    return pid if pid > 0 and marker in _command_line(pid) else None


def _command_line(pid: int) -> str:
    """Empty for what has ended, zombies included."""
    if Path("/proc/self/cmdline").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout


def find(socket_path: Path, pid_file: Path, marker: str) -> int | None:
    """The server's process: who listens, else who the pid file names (its socket may have been deleted)."""
    return pid_behind(socket_path) or pid_named(pid_file, marker)


def clear_the_way(socket_path: Path, pid_file: Path, marker: str, answers: Callable[[], bool]) -> None:
    """Before a start: let a server that is still recovering come up, end one that lives and is mute."""
    began = time.monotonic()
    while (pid := find(socket_path, pid_file, marker)) is not None and not answers():
        patience_s = START_TIMEOUT_S if pid_behind(socket_path) else MUTE_TIMEOUT_S
        if time.monotonic() - began > patience_s:
            end(pid, marker, signal.SIGQUIT)
        time.sleep(0.05)


def end(pid: int | None, marker: str, *signals: signal.Signals) -> None:
    """Ask with each signal in turn until the process is gone, at last with SIGKILL."""
    reap()
    if pid is None:
        return
    for number in (*signals, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            reap()
            if marker not in _command_line(pid):
                return
            time.sleep(0.02)
    raise EmbeddedError(f"Process {pid} ({marker}) does not end.")
