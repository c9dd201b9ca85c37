"""The web process begins as a server starts it: with its application alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_web_process_imports_its_application_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import controlplane.asgi"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
