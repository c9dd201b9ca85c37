"""Real declarations as runs: all of them submitted, agents at work, and none of them lost to the figures."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from bench.stage import ROOT
from tests.demo.plane import LivePlane

FILE = ROOT.parent / "shared" / "data" / "domestic_declarations.csv.gz"
CASES = 10_357
SETTLES_S = 1200
"""So long at most the agents go on after the last was submitted."""
ENDED = ("throughput", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Counted:
    """What the API's figures say of all runs so far."""

    ended: int
    backlog: int


def counted(client: httpx.Client) -> Counted:
    """Runs of declarations that ended, by whatever end, and those that are open."""
    today = datetime.now(UTC).date()
    period = {"from": str(today - timedelta(days=7)), "to": str(today + timedelta(days=2))}
    asked = {"workflow": "expense-declaration", **period}
    answer = client.get("/api/v1/kpis/", params=asked).raise_for_status().json()
    totals: dict[str, Any] = answer["totals"]
    return Counted(sum(int(totals[name]["value"]) for name in ENDED), int(totals["backlog"]["value"]))


def submit(plane: LivePlane, file: Path, cases: int) -> float:
    """All of them, by the command; how many a second."""
    began = time.perf_counter()
    started = plane.manage("submit_declarations", str(file), "--cases", str(cases)).splitlines()[-1]
    return int(started) / (time.perf_counter() - began)


def settled(look: Callable[[], Counted], cases: int, *, within_s: float) -> Counted:
    """When every one is counted, and those that ask nobody have ended; or what it is when the time is over."""
    ends, seen, still_since = time.monotonic() + within_s, look(), time.monotonic()
    while time.monotonic() < ends:
        time.sleep(2)
        now = look()
        if now != seen:
            seen, still_since = now, time.monotonic()
        if seen.ended + seen.backlog == cases and time.monotonic() - still_since > 30:
            return seen
    return seen
