"""The command line where the servers do not run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"}


def test_a_command_without_its_database_says_what_to_do(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    done = subprocess.run(
        [sys.executable, "manage.py", "create_credential", "newcomer"],
        cwd=ROOT,
        env={**environment, "ACP_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    first, second, third = done.stderr.splitlines()
    assert first.startswith("The database does not answer: ")
    assert "start that, or name another database in DATABASE_URL" in second
    assert "ACP_DATA_DIR" in third
