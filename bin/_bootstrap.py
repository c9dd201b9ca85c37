"""Makes `.venv` with the locked dependencies when they changed, then becomes the program that was asked for.

Standard library only. Safe when two run at once (a lock), when interrupted (the stamp is written last), and from any
directory. `python bin/_bootstrap.py demo|test|bench|shots [arguments]`.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
PROGRAMS = {
    "demo": (RUNTIME, "controlplane.stack.demo"),
    "test": (DEVELOPMENT, "controlplane.stack.checks"),
    "bench": (DEVELOPMENT, "bench"),
    "shots": (DEVELOPMENT, "controlplane.stack.shots"),
}


class BootstrapError(Exception):
    """What is missing, in a sentence for the terminal."""


class Environment:
    """A virtual environment and the stamp that says which lock files it holds."""

    def __init__(self, venv: Path = VENV, root: Path = ROOT) -> None:
        self.venv, self.root = venv, root
        self.python = venv / "bin/python"
        self.stamp = venv / "installed.json"
        self.began = venv / "install-began"

    def make_ready(self, lock_name: str) -> None:
        """Install a lock file's packages unless they are there; one process at a time."""
        if self.holds(lock_name):
            return
        with self.venv.with_name(f"{self.venv.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.holds(lock_name):
                self._install(lock_name)

    def holds(self, lock_name: str) -> bool:
        """Whether exactly this lock file was installed to the end by a Python that still runs."""
        try:
            stamped = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return False
        return bool(stamped.get(lock_name) == self.digest(lock_name) and self._runs())

    def digest(self, lock_name: str) -> str:
        """Of the lock file as it is now."""
        return hashlib.sha256((self.root / lock_name).read_bytes()).hexdigest()

    def _runs(self) -> bool:
        if not self.python.exists():
            return False
        check = "import sys; sys.exit(sys.version_info < (3, 12))"
        return subprocess.run([self.python, "-c", check], capture_output=True, check=False).returncode == 0

    def _install(self, lock_name: str) -> None:
        say(f"Installing what {lock_name} lists into {self.venv} (once; a minute or so) ...")
        if self.began.exists() or not self._runs():  # an install that was cut off may have left halves of packages
            shutil.rmtree(self.venv, ignore_errors=True)
        pip = self._pip()
        self.stamp.unlink(missing_ok=True)
        self.began.touch()
        if subprocess.run([*pip, "--require-hashes", "-r", str(self.root / lock_name)], check=False).returncode:
            raise BootstrapError(f"Installing {lock_name} failed; the lines above say why. Is there a network?")
        names = [lock_name] if lock_name == RUNTIME else [RUNTIME, lock_name]  # development holds the runtime whole
        self.stamp.write_text(json.dumps({name: self.digest(name) for name in names}))
        self.began.unlink()

    def _pip(self) -> list[str]:
        """Make the environment if it is missing; the command that installs into it. Debian's Python may lack pip."""
        if has_module(sys.executable, "ensurepip") or has_module(self.python, "pip"):
            self._make("-m", "venv", self.venv)
            return [str(self.python), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
        if uv := shutil.which("uv"):
            self._make("-m", "venv", "--without-pip", self.venv)
            return [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BootstrapError(
            f"Python {version} here has no ensurepip: install python{version}-venv (Debian, Ubuntu) or uv."
        )

    def _make(self, *command: str | Path) -> None:
        if not self.python.exists():
            subprocess.run([sys.executable, *command], check=True)


def has_module(python: str | Path, name: str) -> bool:
    """Whether that Python can import a module."""
    try:
        return subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    """To the person, not into what the program prints."""
    print(text, file=sys.stderr, flush=True)


def main(program: str, arguments: list[str]) -> None:
    """Make ready, then become the program. What the demo can do is said without installing anything."""
    lock_name, module = PROGRAMS[program]
    environment = Environment()
    python = str(environment.python)
    if program == "demo" and not {"-h", "--help"}.isdisjoint(arguments):
        python = sys.executable
    else:
        environment.make_ready(lock_name)
    os.environ["PYTHONPATH"] = str(ROOT)  # the program runs where the person stands: relative paths mean what they say
    os.execv(python, [python, "-P", "-m", module, *arguments])


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except BootstrapError as error:
        say(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        say("Stopped; the next start begins the installation afresh.")
        sys.exit(130)
