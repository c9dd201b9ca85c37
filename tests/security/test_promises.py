"""What docs/security.md and docs/asvs.md say is shown by a test is shown by one that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def names_in(path: Path) -> set[str]:
    """The test functions and classes of a file."""
    wanted = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, wanted)}


def missing_in(text: str) -> list[str]:
    """What is named and is not there."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if not (ROOT / path).is_file() or (name and name not in names_in(ROOT / path))
    ]


def test_every_line_of_what_attackers_try_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/security.md").read_text()
    rows = text.partition("## What attackers try")[2].partition("\n## ")[0]
    lines = [line for line in rows.splitlines() if line.startswith("| ")][1:]
    assert len(lines) >= 40
    assert [line for line in lines if not NAMED.search(line)] == []
    assert missing_in(text) == []
