"""``bin/bench [SUITE ...]``: medians and ratios of one run on this machine; a table on the screen, JSON in a file.

Every suite works on a database of its own on the embedded PostgreSQL, with real processes where HTTP is measured. These
numbers are for comparing within one run: ``pg4`` (insert+update transactions per second on four plain connections) says
how fast the machine was while they were taken. Beside each wait stands what it would be on the machine that the aims
were set on (ADR 0020).
"""

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import stage

REFERENCE_PG4 = 6600
"""What ``pg4`` reaches on the machine for which the aims in milliseconds were set."""
SUITES = (
    "pg4", "decision", "steps", "resume", "inbox", "streams", "dashboard", "simulate", "governance", "stopping",
    "revoking", "kpis", "killed", "declarations",
)  # fmt: skip


def main() -> int:
    """Run the suites that were named, or all."""
    parser = argparse.ArgumentParser(prog="bin/bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; default: all")
    parser.add_argument("--json", type=Path, default=stage.DATA_DIR / "bench.json")
    parser.add_argument("--tenth", action="store_true", help="an inbox with a tenth of the items (10,000 pending)")
    parser.add_argument("--runs", type=int, default=100_000, help="of how many the history is (kpis), or end (killed)")
    parser.add_argument("--cases", type=int, default=10_357, help="how many real declarations become runs")
    asked = parser.parse_args()
    if unknown := set(asked.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}")
    with stage.prepared() as scene:
        from bench import declarations, inbox, killed, kpis, proofs, suites  # Django is set up now

        if asked.tenth:
            inbox.PENDING, inbox.DECIDED = inbox.PENDING // 10, inbox.DECIDED // 10

        kpis.RUNS, declarations.CASES = asked.runs, asked.cases
        killed.RUNS = min(killed.RUNS, asked.runs)
        figures = {}
        for name in [suite for suite in SUITES if suite in asked.suites or not asked.suites or suite == "pg4"]:
            print(f"{name} ...", flush=True)
            room = proofs if hasattr(proofs, f"measure_{name}") else suites
            figures[name] = getattr(room, f"measure_{name}")(scene, figures)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": stage.CORES},
        "figures": figures,
    }
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(report, indent=2))
    slower = figures["pg4"][0]["value"] / REFERENCE_PG4
    print(f"\nPython {platform.python_version()}, {stage.CORES} cores; there: where pg4 is {REFERENCE_PG4:,}\n")
    for suite, rows in figures.items():
        for row in rows:
            aim = f"   aim {row['aim']}" if row.get("aim") else ""
            there = f"   ({row['value'] * slower:,.0f} there)" if row["unit"] == "ms" else ""
            print(f"{suite:<10} {row['what']:<58} {row['value']:>10,.1f} {row['unit']}{there}{aim}")
    print(f"\n{asked.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
