"""What the plane is made of: a bill of materials from the lock file, and whether anything in it is known to be unsafe.

    bin/sbom [--output FILE] [--lock FILE]     a CycloneDX 1.6 document, as JSON
    bin/audit [--lock FILE] [--decisions FILE] [--source ADDRESS | --index [--cache FILE]]

``bin/audit`` asks OSV about every locked package; with ``--index`` the package index that pip is configured for, where
there is one, at most once a day. It ends with 0 where everything was looked up and nothing is open,
with 1 where something is open, and with 2 where it could not look: that is never good news, and it says so. What was
decided on a finding stands in ``vulnerabilities.toml``. Standard library alone: it runs before anything is installed.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from controlplane.stack.known import Known, NotLookedUpError, ask_index, ask_osv

ROOT = Path(__file__).resolve().parents[2]
PLANE = "autonomy-control-plane"
OSV = "https://api.osv.dev/v1/querybatch"
NOTHING_OPEN, OPEN, NOT_LOOKED_UP = 0, 1, 2
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
VIA = re.compile(r"^    #(?: via|  ) ([A-Za-z0-9._\[\]-]+)(?: \(pyproject\.toml(?::\w+)?\))?$")


@dataclass(frozen=True, slots=True)
class Part:
    """One locked package: what asks for it, and the SHA-256 of each file that may be installed for it."""

    name: str
    version: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided on a finding, why, and until when that holds."""

    id: str
    package: str
    reason: str
    by: str
    until: date


def parts_of(lock: str) -> list[Part]:
    """The packages of a lock file, by name. Raises ValueError where a line is none that we know."""
    found: list[tuple[str, str, list[str], list[str]]] = []
    for line in lock.splitlines():
        if pin := PIN.match(line):
            found.append((pin["name"], pin["version"], [], []))
        elif digest := HASH.search(line):
            found[-1][2].append(digest[1])
        elif found and (via := VIA.match(line)):
            found[-1][3].append(via[1].partition("[")[0].lower())
        elif line.strip() not in {"", "# via"} and not line.startswith("#"):
            raise ValueError(f"This line of the lock file is none that we know: {line.strip()[:80]}")
    return [Part(name, version, tuple(hashes), tuple(via)) for name, version, hashes, via in found]


def bill_of(lock: str, *, version: str, now: datetime) -> dict[str, Any]:
    """The CycloneDX 1.6 document of a lock file; but for the time it is the same for the same file."""
    parts = parts_of(lock)
    root = f"pkg:generic/{PLANE}@{version}"
    refs = {PLANE: root, **{part.name: part.purl for part in parts}}
    needs: dict[str, set[str]] = {ref: set() for ref in refs.values()}
    for part in parts:
        for asker in part.via:
            needs[refs[asker]].add(part.purl)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid5(NAMESPACE_URL, lock).urn,
        "version": 1,
        "metadata": {
            "timestamp": now.astimezone(UTC).isoformat(timespec="seconds"),
            "component": {"type": "application", "bom-ref": root, "name": PLANE, "version": version, "purl": root},
        },
        "components": [
            {
                "type": "library",
                "bom-ref": part.purl,
                "name": part.name,
                "version": part.version,
                "purl": part.purl,
                "scope": "required",
                "properties": [{"name": "lock:sha256", "value": digest} for digest in part.hashes],
            }
            for part in parts
        ],
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)],
    }


def decisions_of(text: str) -> list[Decision]:
    """The decisions of ``vulnerabilities.toml``. Raises ValueError where one lacks a reason, a name or its end."""
    rows = tomllib.loads(text).get("decision", [])
    found = []
    for number, row in enumerate(rows, 1):
        lacking = [name for name in ("id", "package", "reason", "by", "until") if not row.get(name)]
        if lacking or type(row["until"]) is not date:
            raise ValueError(f"Decision {number} needs id, package, reason, by, and until as a date: {lacking}")
        found.append(Decision(**{name: row[name] for name in Decision.__dataclass_fields__}))
    return found


def audit(
    parts: Sequence[Part], decisions: Sequence[Decision], *, ask: Callable[[Sequence[Part]], Known], today: date
) -> tuple[int, list[str]]:
    """How it stands (``NOTHING_OPEN``, ``OPEN``, ``NOT_LOOKED_UP``), and in words, line by line."""
    try:
        known = ask(parts)
    except NotLookedUpError as error:
        return NOT_LOOKED_UP, [f"Not looked up: {error}", "Nothing is known of any package. This is no clean result."]
    decided = {(one.id, one.package): one for one in decisions if one.until >= today}
    lines, is_open = [], False
    for name, findings in sorted(known.items()):
        for names in findings:  # the same finding under each of its names
            decision = next((decided[each, name] for each in names if (each, name) in decided), None)
            is_open |= decision is None
            said = f"decided by {decision.by} until {decision.until}: {decision.reason}" if decision else "open"
            lines.append(f"{name}: {', '.join(names)}: {said}")
    lines.append(f"{len(parts)} packages looked up, {sum(map(len, known.values()))} findings.")
    return OPEN if is_open else NOTHING_OPEN, lines


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of ``bin/sbom`` and ``bin/audit``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["sbom", "audit"])
    parser.add_argument("--lock", type=Path, default=ROOT / "requirements.lock")
    parser.add_argument("--output", type=Path, help="where the bill of materials goes; else it is printed")
    parser.add_argument("--decisions", type=Path, default=ROOT / "vulnerabilities.toml")
    parser.add_argument("--source", default=OSV, help="who is asked, in the form of OSV's querybatch")
    parser.add_argument("--index", action="store_true", help="ask the index that pip is configured for instead")
    parser.add_argument("--cache", type=Path, help="where what the index said is kept for a day")
    given = parser.parse_args(argv)
    try:
        lock = given.lock.read_text()
        if given.what == "sbom":
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            text = json.dumps(bill_of(lock, version=project["version"], now=datetime.now(UTC)), indent=2) + "\n"
            given.output.write_text(text) if given.output else sys.stdout.write(text)
            return 0
        decisions = decisions_of(given.decisions.read_text())
        ask = partial(ask_index, cache=given.cache) if given.index else partial(ask_osv, source=given.source)
        status, lines = audit(parts_of(lock), decisions, ask=ask, today=datetime.now(UTC).date())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return NOT_LOOKED_UP
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
