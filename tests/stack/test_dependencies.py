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
EXTRAS = {"kombu", "playwright", "psycopg-pool"}  # Celery's transport, the browser's, psycopg's pool: for their errors
ALLOWED = {
    "Apache Software License", "Apache-2.0", "BSD License", "BSD 3-Clause", "BSD-2-Clause", "BSD-3-Clause", "ISC",
    "ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0",
    "Python Software Foundation License", "The Unlicense (Unlicense)", "Zlib", "0BSD",
}  # fmt: skip
DECIDED = {
    "axe-playwright-python": [],  # names none in its metadata; its licence file is the MIT one
    "numpy": ["CC0-1.0"],  # its random numbers: public domain
    "protobuf": ["3-Clause BSD License"],
    "psycopg": ["LGPL-3.0-only"],  # used unchanged as a library
    "psycopg-binary": ["LGPL-3.0-only"],
    "psycopg-pool": ["LGPL-3.0-only"],
    "qrcode": ["Other/Proprietary License"],  # BSD; the other is the old notice of the code it was ported from
    "text-unidecode": [  # Artistic License or GPL, at our choice: the Artistic License
        "Artistic License",
        "GNU General Public License (GPL)",
        "GNU General Public License v2 or later (GPLv2+)",
    ],
}
"""What was decided on, package by package, beyond the list of ``ALLOWED``; the reasons stand behind."""


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")


def documented(heading: str) -> list[str]:
    page = (ROOT / "docs/dependencies.md").read_text()
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [re.fullmatch(r"\| (\S+) \| \S.* \| \S.* \|", line) for line in section.splitlines()[3:]]
    return [row[1] for row in rows if row]


@pytest.mark.parametrize(("heading", "wanted"), [("To run", RUNTIME), ("To test", DEVELOPMENT)])
def test_every_direct_dependency_is_justified_in_one_line(heading: str, wanted: list[str]) -> None:
    assert sorted(documented(heading)) == sorted(map(name_of, wanted))


def test_every_import_is_of_a_direct_dependency() -> None:
    files = [path for folder in ("apps", "controlplane") for path in (ROOT / folder).rglob("*.py")]
    lines = re.compile(r"^\s*(?:from|import) ([a-zA-Z_]\w*)", re.MULTILINE)
    imported = {name for path in files for name in lines.findall(path.read_text())}
    owners = packages_distributions()
    direct = EXTRAS | {name_of(each) for each in RUNTIME}
    needed = {name: {name_of(each) for each in owners[name]} for name in imported if name in owners}  # or a namespace's
    assert {name: of for name, of in needed.items() if not of & direct} == {}


def licences_of(distribution: Distribution) -> set[str]:
    """The licences that a package names: in an expression, else in its classifiers, else in one line of words."""
    if said := distribution.metadata.get("License-Expression"):
        return set(re.split(r" (?:OR|AND) ", re.sub(r"[()]", "", said)))
    named = [line.split("::") for line in distribution.metadata.get_all("Classifier") or [] if "License ::" in line]
    words = (distribution.metadata.get("License") or "").strip()
    return {parts[-1].strip() for parts in named} - {"OSI Approved"} or set(filter(None, words.split(" OR ")))


def test_every_installed_package_is_under_a_licence_that_was_allowed_or_decided_on() -> None:
    """An unknown licence is refused as the GPL is: somebody reads it, and writes the decision down here."""
    found = {each.metadata["Name"].lower(): licences_of(each) for each in distributions()}
    odd = {name: said - ALLOWED for name, said in found.items() if not said or said - ALLOWED}
    assert {name: said for name, said in odd.items() if set(DECIDED.get(name, ["nothing"])) != said} == {}


def test_every_decision_on_a_licence_is_still_needed() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))
    assert set(DECIDED) - locked == set()


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
