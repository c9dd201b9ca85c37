"""Every dependency is wanted, known by its licence, and locked."""

import re
import tomllib
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
DEVELOPMENT = PROJECT["dependency-groups"]["dev"]
EXTRAS = {"kombu", "playwright"}  # Celery's transport, for its errors; the browser's, in a development command
DUAL = {"text-unidecode"}  # Artistic License or GPL, at our choice


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def documented(heading: str) -> list[str]:
    page = (ROOT / "docs/dependencies.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.fullmatch(r"\| (\S+) \| \S.* \| \S.* \|", line) for line in section.splitlines()[3:]]
    return [row[1] for row in rows if row]


def licence_of(distribution: Distribution) -> str:
    metadata = distribution.metadata
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")]
    return " ".join([metadata.get("License-Expression") or (metadata.get("License") or "")[:80], *classifiers])


@pytest.mark.parametrize(("heading", "wanted"), [("To run", RUNTIME), ("To test", DEVELOPMENT)])
def test_every_direct_dependency_is_justified_in_one_line(heading: str, wanted: list[str]) -> None:
    assert sorted(documented(heading)) == sorted(map(name_of, wanted))


def test_every_import_is_of_a_direct_dependency() -> None:
    files = [path for folder in ("apps", "controlplane") for path in (ROOT / folder).rglob("*.py")]
    lines = re.compile(r"^\s*(?:from|import) ([a-zA-Z_]\w*)", re.MULTILINE)
    imported = {name for path in files for name in lines.findall(path.read_text())}
    owners = packages_distributions()
    needed = {name_of(owners[name][0]) for name in imported if name in owners}
    assert needed - EXTRAS <= {name_of(each) for each in RUNTIME}


def test_nothing_installed_is_under_the_gpl_alone() -> None:
    refused = re.compile(r"(?<!L)GPL|General Public", re.IGNORECASE)
    lesser = re.compile(r"LGPL|Lesser|Library")
    found = {each.metadata["Name"]: licence_of(each) for each in distributions()}
    barred = {name for name, licence in found.items() if refused.search(licence) and not lesser.search(licence)}
    assert barred <= DUAL


@pytest.mark.parametrize(
    ("name", "wanted"), [("requirements.lock", RUNTIME), ("requirements-dev.lock", [*RUNTIME, *DEVELOPMENT])]
)
def test_the_lock_pins_every_dependency_with_hashes_and_names_no_address(name: str, wanted: list[str]) -> None:
    text = (ROOT / name).read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)==\S+(?: ;[^\\\n]*)? \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    assert {name_of(each) for each in wanted} <= set(pinned)
    assert not re.search(r"://|file:|^-", text, re.MULTILINE)


def test_both_locks_agree() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
