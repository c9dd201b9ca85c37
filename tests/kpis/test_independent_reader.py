"""Exported runs read back by a library that is not ours, in an environment of its own.

It is installed from its own lock file the first time (some 12 MB) and is no dependency of anything else.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.conftest import ROOT
from tests.factories.access import make_admin
from tests.factories.kpis import NOON, make_run, make_step
from tests.kpis.test_event_log_doors import token
from tests.kpis.test_event_log_exports import PERIOD, body_of
from tests.kpis.test_eventlogs import DATA

HERE = Path(__file__).parent / "reader"
NAMES = ("Submit", 'Check <b> & "it"', "审査", "Größe prüfen", "Pay")


@pytest.fixture(scope="session")
def reader() -> Path:
    """A Python of its own that has the reader and nothing of ours."""
    lock = HERE / "requirements.lock"
    home = ROOT / ".data" / f"reader-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}-{sys.version_info.minor}"
    python, stamp = home / "bin" / "python", home / "whole"
    if not stamp.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", home], check=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python]
        subprocess.run([*pip, "install", "--require-hashes", "--no-deps", "-r", lock], check=True)
        stamp.touch()
    return python


def read_by(reader: Path, path: Path) -> Any:
    done = subprocess.run([reader, "-I", HERE / "read.py", path], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def make_runs() -> None:
    """Twelve runs of steps in different orders by three agents, some of them done again."""
    runs, steps = [], []
    for number in range(12):
        run = make_run(finished_at=NOON + timedelta(hours=number))
        runs.append(run)
        for place in range(2 + number % 4):
            ended = NOON + timedelta(minutes=place)
            name = NAMES[(number * place + number % 3) % len(NAMES)]
            fields = {"round": 1 + place, "agent": f"agent-{place % 3}", "started_at": ended, "finished_at": ended}
            steps.append(make_step(run, name=name, **fields))
    write_facts(facts=Facts(runs=runs, steps=steps))


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["xes", "xes.gz"])
def test_an_export_says_to_another_reader_what_its_csv_says(reader: Path, tmp_path: Path, kind: str) -> None:
    make_runs()
    headers, path = token(make_admin()), tmp_path / f"runs.{kind}"
    export = f"/api/v1/kpis/throughput/events/?{PERIOD}&as="
    path.write_bytes(body_of(Client().get(f"{export}{kind}", headers=headers)))
    table = body_of(Client().get(f"{export}csv", headers=headers)).decode()
    ways: dict[str, list[str]] = {}
    at_ms: dict[str, list[float]] = {}
    for row in csv.DictReader(io.StringIO(table)):
        ways.setdefault(row["case_id"], []).append(row["activity"])
        ended = datetime.fromisoformat(row["complete"])
        at_ms.setdefault(row["resource"], []).append(ended.timestamp() * 1000)
    found = read_by(reader, path)
    assert {tuple(way): count for way, count in found["ways"]} == Counter(map(tuple, ways.values()))
    assert found["activities"] == Counter(name for way in ways.values() for name in way)
    assert {tuple(pair): count for pair, count in found["follows"]} == Counter(
        pair for way in ways.values() for pair in pairwise(way)
    )
    assert found["at_ms"] == {resource: sorted(times) for resource, times in at_ms.items()}
    assert (len(ways), len(at_ms)) == (12, 3)


@pytest.mark.skipif(not (DATA.is_dir() or os.environ.get("CI")), reason="no real logs lie beside this clone")
def test_the_other_reader_sees_in_a_real_log_what_is_known_of_it(reader: Path) -> None:
    found = read_by(reader, DATA / "receipt.xes.gz")
    assert (sum(count for _way, count in found["ways"]), len(found["ways"])) == (1434, 116)
    with gzip.open(DATA / "receipt.csv.gz", "rt") as table:
        rows = list(csv.DictReader(table))
    told = Counter((row["resource"], datetime.fromisoformat(row["complete"]).timestamp() * 1000) for row in rows)
    assert len(rows) == 8577
    assert told == Counter((resource, at) for resource, times in found["at_ms"].items() for at in times)
