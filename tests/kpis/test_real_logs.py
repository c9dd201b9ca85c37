"""Two real logs through the doors: by command, by page and by API they have the figures that are known of them."""

import csv
import gzip
import io
import os
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from apps.core.models import User
from apps.kpis.models import EventLog, LogUpload
from apps.kpis.services import import_uploads
from tests.factories.access import make_admin, make_holder
from tests.kpis.test_event_log_doors import signed_in, token
from tests.kpis.test_eventlogs import DATA, ZONE

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not (DATA.is_dir() or os.environ.get("CI")), reason="no real logs lie beside this clone"),
]
DAY_S = 86_400
KNOWN: dict[str, dict[str, Any]] = {
    "receipt": {
        "days": (0.0332, 5.4081, 14.0952, 23.9125),
        "seconds": {"p50": 2868.5835, "p90": 1217821.7991, "p95": 2066036.6669},
        "counts": (1434, 8577, 116),
        "rework": 6.35,
    },
    "domestic_declarations": {
        "days": (7.3123, 11.0870, 18.9096, 27.9386),
        "seconds": {},
        "counts": (10_357, 55_628, 90),
        "rework": 9.71,
    },
}


@dataclass(frozen=True)
class Row:
    """One line of the CSV, as a spreadsheet would show it."""

    activity: str
    start: datetime
    complete: datetime
    resource: str
    more: dict[str, str]


def read_plainly(name: str) -> dict[str, list[Row]]:
    """The cases of the CSV, read by nothing of ours; each in the order of ``complete``, ties as they stand there."""
    cases: dict[str, list[Row]] = {}
    with gzip.open(DATA / f"{name}.csv.gz", "rt", newline="") as file:
        for line in csv.DictReader(file):
            times = [datetime.fromisoformat(line[column]) for column in ("start", "complete")]
            cases.setdefault(line["case_id"], []).append(Row(line["activity"], *times, line["resource"], line))
    return {case: sorted(rows, key=lambda row: row.complete) for case, rows in cases.items()}


def expected(cases: dict[str, list[Row]]) -> dict[str, Any]:
    """What the API should say, by numpy and plain loops."""
    spans = [max(r.complete for r in rows) - min(r.start for r in rows) for rows in cases.values()]
    seconds = np.array([span.total_seconds() for span in spans])
    pairs = [pair for rows in cases.values() for pair in pairwise(rows)]
    weeks = Counter(f"{rows[-1].complete.astimezone(ZONE):%G-W%V}" for rows in cases.values())
    return {
        "cases": len(cases),
        "events": sum(map(len, cases.values())),
        "duplicates": 0,
        "cycle_time_s": {
            "mean": float(seconds.mean()),
            **{f"p{q}": float(np.percentile(seconds, q)) for q in (50, 90, 95)},
        },
        "variants": len({tuple(r.activity for r in rows) for rows in cases.values()}),
        "rework_share": np.mean([len({r.activity for r in rows}) < len(rows) for rows in cases.values()]),
        "handovers": sum(a.resource != b.resource for a, b in pairs if a.resource and b.resource),
        "throughput_weekly": [{"week": week, "cases": weeks[week]} for week in sorted(weeks)],
        "first_at": min(r.start for rows in cases.values() for r in rows),
        "last_at": max(r.complete for rows in cases.values() for r in rows),
    }


def by_command(path: Path) -> EventLog:
    out = io.StringIO()
    call_command("import_event_log", path, name=path.name, tz=ZONE.key, stdout=out, stderr=io.StringIO())
    return EventLog.objects.get(pk=out.getvalue().splitlines()[-1])


def by_page(path: Path, admin: User) -> EventLog:
    """As a person does who changes nothing of what the page guesses, but the zone."""
    page = signed_in(admin)
    sent = page.post("/dashboards/event-logs/", {"file": SimpleUploadedFile(path.name, path.read_bytes())})
    form = page.get(sent["Location"]).context["form"]
    guessed = {name: value if isinstance(value, list) else str(value) for name, value in form.initial.items()}
    said = guessed | {"name": path.name, "tz": ZONE.key}
    done = page.post(sent["Location"], {**said, "import": "1"})
    assert done.status_code == 302, done.context["form"].errors
    assert import_uploads() == 1, "It is packed, so a worker reads it."
    log = EventLog.objects.get(name=path.name)
    assert page.get(sent["Location"])["Location"] == f"/dashboards/event-logs/{log.pk}/"
    assert not LogUpload.objects.get(owner=admin).content
    return log


def told(log: EventLog) -> dict[str, Any]:
    answer = Client().get(f"/api/v1/event-logs/{log.pk}/", headers=token(make_holder("kpis.view_kpi")))
    assert answer.status_code == 200
    return dict(answer.json())


def kept_cases(log: EventLog) -> dict[str, dict[str, str]]:
    """Every case as the page's download has it."""
    answer = signed_in(make_holder("kpis.view_kpi")).get(f"/dashboards/event-logs/{log.pk}/cases.csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return {row["case"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.mark.parametrize("name", list(KNOWN))
def test_csv_and_xes_have_the_figures_that_are_known(name: str) -> None:
    known, cases = KNOWN[name], read_plainly(name)
    doors = (by_command, lambda path: by_page(path, make_admin()))
    from_csv, from_xes = doors if name == "receipt" else reversed(doors)
    logs = [from_csv(DATA / f"{name}.csv.gz"), from_xes(DATA / f"{name}.xes.gz")]
    shown = [told(log) for log in logs]
    for one in shown:
        assert one.pop("id")
        assert one.pop("name").startswith(name)
        assert one.pop("imported_at")
    of_cases = [[one["name"] for one in log.pop("attributes")] for log in shown]  # the page guesses those of a CSV
    assert of_cases == [[] if name == "receipt" else ["case_amount"], []]
    assert shown[0] == shown[1]
    told_of, should = shown[0], expected(cases)
    assert told_of["cycle_time_s"] == pytest.approx(should.pop("cycle_time_s"), rel=1e-6)
    assert told_of["rework_share"] == pytest.approx(should.pop("rework_share"), rel=1e-6)
    for moment in ("first_at", "last_at"):
        assert datetime.fromisoformat(told_of[moment]) == should.pop(moment)
    assert {key: told_of[key] for key in should} == should
    times = told_of["cycle_time_s"]
    assert [round(times[key] / DAY_S, 4) for key in ("p50", "mean", "p90", "p95")] == list(known["days"])
    assert {key: round(times[key], 4) for key in known["seconds"]} == known["seconds"]
    assert (told_of["cases"], told_of["events"], told_of["variants"]) == known["counts"]
    assert round(told_of["rework_share"] * 100, 2) == known["rework"]


def test_the_cases_that_are_kept_show_who_was_in_time_and_what_was_rejected() -> None:
    receipt = by_command(DATA / "receipt.xes.gz")
    due = {
        case: datetime.fromisoformat(rows[0].more["case_deadline"]) for case, rows in read_plainly("receipt").items()
    }
    kept = kept_cases(receipt)
    in_time = sum(datetime.fromisoformat(kept[case]["last_at"]) <= due[case] for case in due)
    assert (in_time, round(100 * in_time / len(kept), 2)) == (1342, 93.58)
    declarations = kept_cases(by_command(DATA / "domestic_declarations.xes.gz"))
    rejected = sum("REJECTED" in row["way"] for row in declarations.values())
    assert (rejected, round(100 * rejected / len(declarations), 2)) == (1278, 12.34)
