"""Each promise of docs/oversight-guarantees.md has the test that it names, and each edge case that it keeps has one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NOT_HERE = {23, 24}
"""Edge cases whose tests stand elsewhere or that the document does not promise."""


def names_in(path: Path) -> set[str]:
    """The names of a file's test functions."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/oversight-guarantees.md").read_text()
    named = NAMED.findall(text)
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(named) == len(rows) >= 40
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(ROOT / path)]
    assert missing == []


def test_the_edge_cases_stand_in_their_order() -> None:
    found: list[int] = []
    for path in sorted((ROOT / "tests/oversight/edge_cases").glob("test_rows_*.py")):
        names = re.findall(r"^def test_row_(\d\d)_", path.read_text(), re.MULTILINE)
        first, last = map(int, re.findall(r"\d\d", path.stem))
        assert all(first <= int(name) <= last for name in names), path.name
        found += map(int, names)
    assert found == sorted(found)
    assert set(found) == set(range(1, 27)) - NOT_HERE
