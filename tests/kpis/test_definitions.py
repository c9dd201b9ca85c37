"""Each figure by a case that was worked out by hand, and its formula in the documentation to the letter."""

from datetime import timedelta
from pathlib import Path

import pytest

from apps.kpis.rules import DEFINITIONS, LIVE
from apps.kpis.rules.definitions import RELEASES, UPTIME
from apps.kpis.rules.definitions.tasks import TASKS
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors import behind_for, kpis_for
from apps.kpis.services import write_facts
from tests.factories.access import make_holder
from tests.factories.kpis import NOON, make_decision, make_run, make_step
from tests.kpis.test_selectors import ask

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kpis.md"


def test_the_documentation_says_every_formula_as_it_is() -> None:
    figures = PAGE.read_text().partition("\n## What holds for all of them\n")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in figures.splitlines() if line[:3] == "| `"]
    told = [(row[0].strip("| `"), row[1], row[2]) for row in rows]
    assert told == [(key, one.label, one.formula) for key, one in {**DEFINITIONS, **LIVE, **UPTIME, **RELEASES}.items()]


def test_the_documentation_says_the_formulas_of_tasks_as_they_are() -> None:
    part = PAGE.read_text().partition("\n## Two versions compared\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split(" | ")] for line in part.splitlines() if line[:3] == "| `"]
    told = [(row[0].strip("| `"), row[1], row[2]) for row in rows]
    assert told == [(key, one.label, one.formula) for key, one in TASKS.items()]


@pytest.mark.django_db
def test_figures_of_ten_runs_and_four_decisions_as_by_hand() -> None:
    """Runs take 10, 20 .. 100 minutes after 5 in a queue; the tenth was done again, the ninth failed a try.

    Type 7 over ten values: the 90th percentile lies at rank 1 + 0.9 * 9 = 9.1.
    """
    runs = [
        make_run(started_at=NOON - timedelta(minutes=10 * n), created_at=NOON - timedelta(minutes=10 * n + 5))
        for n in range(1, 11)
    ]
    steps = [make_step(runs[9], rework=True), make_step(runs[8], attempts=2, failed_attempts=1)]
    decisions = [
        make_decision(runs[0], requested_at=NOON - timedelta(minutes=4)),
        make_decision(runs[1], requested_at=NOON - timedelta(minutes=8), edited=True),
        make_decision(runs[2], requested_at=NOON - timedelta(minutes=16), outcome="rejected"),
        make_decision(runs[3], requested_at=NOON - timedelta(minutes=32), outcome="expired"),
    ]
    write_facts(facts=Facts(runs=runs, steps=steps, decisions=decisions))
    viewer = make_holder("kpis.view_kpi")
    values = {key: total.figure.value for key, total in kpis_for(viewer, ask()).totals.items()}
    assert values["cycle_time_p50_s"] == 55 * 60
    assert values["cycle_time_p90_s"] == 91 * 60
    assert values["cycle_time_p95_s"] is None
    assert (values["lead_time_p50_s"], values["lead_time_p90_s"]) == (60 * 60, 96 * 60)
    assert (values["rework_rate"], values["first_pass_yield"]) == (0.1, 0.9)
    assert values["approval_rate"] == pytest.approx(2 / 3)
    assert values["override_rate"] == pytest.approx(2 / 3)
    assert (values["approval_latency_p50_s"], values["approval_latency_p90_s"]) == (8 * 60, None)
    approved, _order = behind_for(viewer, DEFINITIONS["approval_rate"], ask())
    assert approved.count() == 2
