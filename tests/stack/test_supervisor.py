"""The supervisor with stand-in programs: what ends is started again, nothing outlives the end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.stack.supervisor import Program, Supervisor, identity_of

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess; child = subprocess.Popen(['sleep', '60']); print('up', child.pid, flush=True); child.wait()",
)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path, cwd=tmp_path, environment=os.environ, say=said.append)
    yield supervisor
    supervisor.end()


def until(happened: Callable[[], bool], supervisor: Supervisor) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        supervisor.watch()
        time.sleep(0.02)


def output(supervisor: Supervisor, name: str) -> str:
    return (supervisor.logs / f"{name}.log").read_text()


def written_pids(supervisor: Supervisor) -> dict[str, int]:
    return {each["name"]: each["pid"] for each in json.loads(supervisor.written.read_text())}


def test_what_ends_is_started_again_and_said(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start([Program("web", SLEEP), Program("worker", SLEEP)])
    until(lambda: output(supervisor, "web") == "up\n", supervisor)
    before = written_pids(supervisor)
    os.kill(before["web"], signal.SIGKILL)
    until(lambda: output(supervisor, "web") == "up\nup\n", supervisor)
    after = written_pids(supervisor)
    assert after["web"] != before["web"]
    assert after["worker"] == before["worker"]
    assert ["web ended (SIGKILL)" in line for line in said] == [True]


def test_pauses_grow_while_a_program_keeps_ending(supervisor: Supervisor) -> None:
    supervisor.start([Program("broken", (sys.executable, "-c", "raise SystemExit('no')"))])
    until(lambda: supervisor.children[0].starts == 3, supervisor)
    assert supervisor.children[0].pause_s == 2.0
    assert output(supervisor, "broken").count("no") >= 2


def test_the_end_leaves_nothing_not_even_what_ignores_it_or_grandchildren(supervisor: Supervisor) -> None:
    supervisor.start([Program("deaf", DEAF, stage=1), Program("parent", PARENT)])
    until(lambda: "up" in output(supervisor, "deaf") and "up" in output(supervisor, "parent"), supervisor)
    pids = [*written_pids(supervisor).values(), int(output(supervisor, "parent").split()[1])]
    supervisor.end()
    assert [pid for pid in pids if identity_of(pid)] == []
    assert not supervisor.written.exists()


def test_higher_stages_end_first(tmp_path: Path, supervisor: Supervisor) -> None:
    code = """
import signal, sys, time
def end(*_):
    open('ended', 'a').write(sys.argv[1])
    sys.exit()
signal.signal(signal.SIGTERM, end)
print('up', flush=True)
time.sleep(60)
"""
    stages = {"a": 1, "b": 3, "c": 2}
    supervisor.start([Program(name, (sys.executable, "-c", code, name), stage) for name, stage in stages.items()])
    until(lambda: all("up" in output(supervisor, name) for name in stages), supervisor)
    supervisor.end()
    assert (tmp_path / "ended").read_text() == "bca"


def test_what_a_killed_supervisor_left_is_ended_by_the_next(
    tmp_path: Path, supervisor: Supervisor, said: list[str]
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from controlplane.stack.supervisor import Program, Supervisor;"
        "s = Supervisor(Path(sys.argv[1]), cwd=Path('/'), environment={});"
        "s.start([Program('left', ('/bin/sleep', '60'))]); print(flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=root, stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
    pid = written_pids(supervisor)["left"]
    assert identity_of(pid)
    supervisor.end_leftovers()
    assert not identity_of(pid)
    assert said == ["Ending what an earlier start left running: left."]


def test_a_process_that_merely_has_the_pid_of_one_left_is_not_touched(supervisor: Supervisor, said: list[str]) -> None:
    with subprocess.Popen(["/bin/sleep", "60"], process_group=0) as innocent:
        supervisor.written.write_text(json.dumps([{"name": "web", "pid": innocent.pid, "identity": "another"}]))
        supervisor.end_leftovers()
        assert innocent.poll() is None
        innocent.kill()
    assert said == []
