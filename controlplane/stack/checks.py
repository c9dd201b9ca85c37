"""`bin/test`: every check, each named, and a summary; with arguments, pytest alone with them."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from controlplane import embedded
from controlplane.stack import chromium

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
WORKERS = str(min(4, os.cpu_count() or 1))
NOT_RUN = "not run: there is no Chromium (set ACP_CHROMIUM, or install one)"


@dataclass(frozen=True)
class Check:
    """One program whose exit status is the answer."""

    name: str
    command: tuple[str, ...]
    unsure: tuple[int, str] | None = None
    """The exit status that is neither a yes nor a no, and what it means."""


STATIC_CHECKS = [
    Check("lint", ("ruff", "check", "--quiet", ".")),
    Check("format", ("ruff", "format", "--quiet", "--check", ".")),
    Check("types", ("mypy", "--no-error-summary", "apps", "controlplane", "bin/_bootstrap.py")),
    Check("imports", ("lint-imports", "--no-cache")),
    Check(
        "audit",
        ("python", "-m", "controlplane.stack.parts", "audit", "--index", "--cache", ".data/audit.json"),
        unsure=(2, "not looked up: no package index that pip is configured for said what is known"),
    ),
]
BROWSERS = "tests/browser"  # named, so that nobody imports the tests of the other part
WHOLE = ("--dist", "loadfile", "--durations", "15", "--durations-min", "5")
IN_ORDER = "--no-loadscope-reorder"  # the tests say which files take longest and begin first (tests/conftest.py)
TESTS = Check("tests", ("pytest", "-m", "not browser", "--ignore", BROWSERS, "-n", WORKERS, *WHOLE, IN_ORDER))
BROWSER = Check("browser", ("pytest", "-m", "browser", BROWSERS, "-n", "2", *WHOLE))


def main() -> int:
    """Exit status 0 when every check passed, and none was left out where `CI` is set."""
    arguments = sys.argv[1:]
    data_dir = Path(os.environ.get("ACP_DATA_DIR") or ROOT / ".data/test").resolve()
    os.environ["ACP_DATA_DIR"] = str(data_dir)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of a hundred processes compiles every file anew
    try:
        if not arguments:
            return _run_all(data_dir)
        if any("browser" in argument for argument in arguments):
            _offer_browser()
        with _servers(data_dir):
            return _run(Check("pytest", ("pytest", *arguments)))
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run_all(data_dir: Path) -> int:
    results = {check.name: "not run" for check in (*STATIC_CHECKS, TESTS)}  # in this order, whichever ends first
    with _servers(data_dir), ThreadPoolExecutor(1) as beside:
        try:  # one core reads the code while the other makes the database that the tests wait for
            reading = [beside.submit(_note, results, check, beside=True) for check in STATIC_CHECKS]
            _note(results, TESTS)
            for check in reading:
                check.result()
        finally:
            beside.shutdown(cancel_futures=True)
        if _offer_browser():
            _note(results, BROWSER)
        else:
            results[BROWSER.name] = NOT_RUN
    print("\n" + "\n".join(f"{name:10}{result}" for name, result in results.items()), flush=True)
    failed = [name for name, result in results.items() if result.startswith("FAILED")]
    if os.environ.get("CI") and NOT_RUN in results.values():
        failed.append(BROWSER.name)
    print(f"\nFailed: {', '.join(failed)}." if failed else "\nAll that ran passed.", flush=True)
    return 1 if failed else 0


def _note(results: dict[str, str], check: Check, *, beside: bool = False) -> None:
    began = time.monotonic()
    status = _run(check, beside=beside)
    if check.unsure and status == check.unsure[0]:
        results[check.name] = check.unsure[1]
        return
    results[check.name] = f"{'passed' if status == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s"


def _run(check: Check, *, beside: bool = False) -> int:
    """Its exit status. What runs beside another says what it has to say at its end, in one piece."""
    title = f"\n== {check.name}: {' '.join(check.command)}"
    program, *arguments = check.command
    command = [str(BIN / program), *arguments]
    if not beside:
        print(title, flush=True)
        return subprocess.run(command, cwd=ROOT, check=False).returncode
    done = subprocess.run(command, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"{title}\n{done.stdout}", end="", flush=True)
    return done.returncode


def _offer_browser() -> bool:
    """Tell the tests where Chromium is; whether there is one."""
    found = chromium.find_or_get(lambda text: print(text, flush=True))
    if found:
        os.environ["ACP_CHROMIUM"] = found
    return found is not None


@contextlib.contextmanager
def _servers(data_dir: Path) -> Iterator[None]:
    """The tests' own servers, ended afterwards unless somebody else had started them. One run at a time has them."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data_dir / "test.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Waiting for another bin/test that uses {data_dir} ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        found_running = any(embedded.running(data_dir).values())
        in_use = data_dir / "in-use"
        if not found_running:
            if in_use.exists():  # the machine fell meanwhile: what was not on disk yet is lost
                embedded.remove(data_dir)
            in_use.touch()
        embedded.start(data_dir, durable=False)
        try:
            yield
        finally:
            if not found_running:
                embedded.stop(data_dir)
                in_use.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
