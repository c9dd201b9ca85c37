"""Keeps a few programs running: starts them, says when one ends and starts it again, ends all of them in order.

Each program leads a process group of its own, so that Ctrl-C reaches the supervisor alone and nothing is left behind.
Who was started is written down; the next supervisor ends what a killed one left.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0  # who ran this long starts its pauses anew
LOG_MAX_BYTES = 5_000_000


@dataclass(frozen=True)
class Program:
    """Something to keep running. Programs of one `stage` end together, higher stages first, each within `grace_s`."""

    name: str
    command: tuple[str, ...]
    stage: int = 0
    grace_s: float = 2.0


@dataclass
class Child:
    """One program's process, and when to start it again if it has ended."""

    program: Program
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    starts: int = 0
    pause_s: float = 0.5
    due_at: float = field(default=0.0)


class Supervisor:
    """Programs share a working folder and an environment; each writes to a log file of its own."""

    def __init__(
        self, data_dir: Path, *, cwd: Path, environment: Mapping[str, str], say: Callable[[str], None] = print
    ) -> None:
        self.cwd, self.environment, self.say = cwd, dict(environment), say
        self.logs = data_dir / "log"
        self.written = data_dir / "processes.json"
        self.children: list[Child] = []

    def start(self, programs: Iterable[Program]) -> None:
        """Start these, and keep them running from now on."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for program in programs:
            self.children.append(Child(program, self.logs / f"{program.name}.log"))
        self.watch()

    def watch(self) -> None:
        """One look: say what ended, start what is due. Call it a few times a second."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._note_end(child, now)
            if child.process is None and child.due_at <= now:
                self._start(child, now)

    def end(self) -> None:
        """End all, stage by stage: a request first, by force where it is not met in time."""
        for stage in sorted({child.program.stage for child in self.children}, reverse=True):
            ending = [each for each in self.children if each.process and each.program.stage == stage]
            grace_s = max((each.program.grace_s for each in ending), default=0)
            end_groups([each.process.pid for each in ending if each.process], grace_s=grace_s, reap=self._reap)
        self.children.clear()
        self.written.unlink(missing_ok=True)

    def end_leftovers(self) -> None:
        """End what a killed supervisor left running in this data folder."""
        try:
            written: list[dict[str, str | int]] = json.loads(self.written.read_text())
        except (FileNotFoundError, ValueError):
            return
        left = [each for each in written if identity_of(int(each["pid"])) == each["identity"]]
        if left:
            self.say(f"Ending what an earlier start left running: {', '.join(str(each['name']) for each in left)}.")
            end_groups([int(each["pid"]) for each in left], grace_s=2.0)
        self.written.unlink(missing_ok=True)

    def _start(self, child: Child, now: float) -> None:
        if child.log_file.exists() and child.log_file.stat().st_size > LOG_MAX_BYTES:
            child.log_file.replace(child.log_file.with_suffix(".old.log"))
        with child.log_file.open("ab") as log:
            child.process = subprocess.Popen(
                child.program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.cwd,
                env=self.environment,
                process_group=0,
            )
        child.started_at = now
        child.starts += 1
        self._write_down()

    def _note_end(self, child: Child, now: float) -> None:
        """Say that it ended and when it starts again; pauses double while it keeps ending."""
        assert child.process is not None
        child.pause_s = 0.5 if now - child.started_at > STEADY_S else min(child.pause_s * 2, LONGEST_PAUSE_S)
        how = f"status {child.process.returncode}"
        if child.process.returncode < 0:
            how = signal.Signals(-child.process.returncode).name
        self.say(f"{child.program.name} ended ({how}); starting it again in {child.pause_s:g} s. See {child.log_file}.")
        with contextlib.suppress(ProcessLookupError, PermissionError):  # what it started itself ends with it
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process, child.due_at = None, now + child.pause_s

    def _write_down(self) -> None:
        alive = [(each.program.name, each.process.pid) for each in self.children if each.process]
        fresh = self.written.with_suffix(".new")
        fresh.write_text(json.dumps([{"name": name, "pid": pid, "identity": identity_of(pid)} for name, pid in alive]))
        fresh.replace(self.written)

    def _reap(self) -> None:
        for child in self.children:
            if child.process is not None:
                child.process.poll()


def identity_of(pid: int) -> str:
    """When a process began, as the system tells it: two processes with one pid differ in it. Empty if there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    if Path("/proc/self/stat").exists():
        return ""
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip()


def end_groups(pids: list[int], *, grace_s: float, reap: Callable[[], object] = lambda: None) -> None:
    """End the process groups these processes lead, after `grace_s` by force; returns when none of them is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            reap()
            if not any(_group_lives(pid) for pid in pids):
                return
            time.sleep(0.02)


def _group_lives(pid: int) -> bool:
    """A zombie that nobody reaps counts as ended."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True
