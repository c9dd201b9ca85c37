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


ROW = re.compile(r"\| V(\d+)\.(\d+)\.(\d+)(?:–V\1\.\2\.(\d+))? \| (met|partly|not met|not applicable) \| \S.* \|")


def test_the_self_assessment_counts_its_lines_and_names_tests_that_exist() -> None:
    text = (ROOT / "docs/asvs.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| V")]
    rows = [row for line in lines if (row := ROW.fullmatch(line))]
    assert len(rows) == len(lines)
    found: dict[str, int] = {"met": 0, "partly": 0, "not met": 0, "not applicable": 0}
    seen = []
    for row in rows:
        numbers = range(int(row[3]), int(row[4] or row[3]) + 1)
        seen += [(int(row[1]), int(row[2]), number) for number in numbers]
        found[row[5]] += len(numbers)
    assert seen == sorted(set(seen))
    assert {chapter for chapter, _section, _number in seen} == set(range(1, 18))
    said = ", ".join(f"{number} {verdict}" for verdict, number in found.items())
    assert f"{said}: {len(seen)} requirements." in text
    assert missing_in(text) == []
