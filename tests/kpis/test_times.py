"""Where a run's time goes: each moment once, and all of them together the run."""

import html
import re
from datetime import datetime, timedelta
from importlib import import_module
from random import Random
from typing import Any

import pytest
from django.db import connection

from apps.core.models import User
from apps.kpis.models import RollupDay, RunFact
from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.definitions import FLOW_SUMS, STEP_SUMS
from apps.kpis.rules.facts import Facts
from apps.kpis.selectors import behind_for, kpis_for
from apps.kpis.services import write_facts
from tests.factories.access import make_holder
from tests.factories.kpis import NOON, make_baseline, make_cost, make_run, make_step
from tests.kpis.test_selectors import ask
from tests.kpis.test_services import state
from tests.kpis.test_views import signed_in

pytestmark = pytest.mark.django_db
PARTS = ("touch_ms", "agent_ms", "connector_ms", "wait_ms")
OF_RUN = (*PARTS, "queue_ms", *STEP_SUMS)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    """So many minutes after the start of a run of an hour that ends at noon."""
    return NOON + (minutes - 60) * MINUTE


def span(run: Any, kind: str, first: float, last: float, **more: Any) -> Any:
    times = {"queued_at": at(first), "started_at": at(first), "finished_at": at(last)}
    return make_step(run, kind=kind, **{**times, **more})


def hand(run: Any, minutes: float, until: float) -> Any:
    return make_cost(run, kind="human", quantity=round(minutes * 60_000), incurred_at=at(until))


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def test_an_hour_is_divided_as_by_hand() -> None:
    """Two agents beside each other at 5-20 and 10-25, one of them queued since 2; a connector from 20 to 30; a form
    that waits from 30 to 58, of which somebody's hand took the last four minutes; a late call back beyond the end."""
    run = make_run()
    steps = [
        span(run, "agent", 5, 20, queued_at=at(2), attempts=3, failed_attempts=2),
        span(run, "agent", 10, 25, by_hand=True),
        span(run, "operation", 20, 30),
        span(run, "form", 30, 58),
        span(run, "operation", 59, 90),
        span(run, "agent", 40, 50, state="cancelled", attempts=9, failed_attempts=9),
        span(run, "rule", 58, 58),
    ]
    write_facts(facts=Facts(runs=[run], steps=steps, costs=[hand(run, 4, 58)]))
    fact = RunFact.objects.get()
    minutes = {name: getattr(fact, name) / 60_000 for name in (*PARTS, "queue_ms")}
    assert minutes == {"touch_ms": 4, "agent_ms": 20, "connector_ms": 6, "wait_ms": 30, "queue_ms": 3}
    assert (fact.tries, fact.failed_tries, fact.worked_steps, fact.automated_steps) == (6, 2, 5, 3)


def test_a_persons_minutes_count_as_theirs_while_an_agent_waits_for_the_answer() -> None:
    run = make_run()
    facts = Facts(runs=[run], steps=[span(run, "agent", 0, 60)], costs=[hand(run, 15, 40), hand(run, 5, 35)])
    write_facts(facts=facts)
    fact = RunFact.objects.get()
    assert [getattr(fact, name) / 60_000 for name in PARTS] == [15, 45, 0, 0]


def test_a_run_that_is_open_or_whose_clock_ran_backwards_has_no_parts() -> None:
    open_, backwards = make_run(finished_at=None), make_run(started_at=NOON + MINUTE)
    steps = [span(run, "agent", 0, 50) for run in (open_, backwards)]
    write_facts(facts=Facts(runs=[open_, backwards], steps=[*steps, span(open_, "agent", 50, 40)]))
    assert {tuple(getattr(one, name) for name in OF_RUN[:5]) for one in RunFact.objects.all()} == {(0,) * 5}


def tangled(seed: int, runs: int = 60) -> Facts:
    """Steps and hands all over runs and beyond them, to the microsecond."""
    random, facts = Random(seed), Facts()
    for _ in range(runs):
        end = NOON + timedelta(microseconds=random.randint(-(10**11), 10**11))
        begun = end - timedelta(microseconds=random.randint(0, 10**10))
        run = make_run(started_at=begun, finished_at=end, state=random.choice(["succeeded", "failed", "cancelled"]))
        facts.runs.append(run)
        for _ in range(random.randint(0, 6)):
            first = begun + timedelta(microseconds=random.randint(-(10**9), 10**10))
            kind = random.choice(["agent", "operation", "approval", "rule"])
            facts.steps.append(
                make_step(
                    run,
                    kind=kind,
                    queued_at=first - timedelta(microseconds=random.randint(0, 10**9)),
                    started_at=first,
                    finished_at=first + timedelta(microseconds=random.randint(-1000, 10**10)),
                    by_hand=random.random() < 0.2,
                    state=random.choice(["done", "failed", "superseded", "cancelled"]),
                )
            )
            if kind == "approval":
                at_ = facts.steps[-1].finished_at
                facts.costs.append(make_cost(run, kind="human", quantity=random.randint(0, 900_000), incurred_at=at_))
    return facts


def test_the_parts_of_a_run_add_up_to_it_and_its_queue_is_within_its_waiting() -> None:
    write_facts(facts=tangled(3))
    rows = list(RunFact.objects.all())
    assert all(sum(getattr(row, name) for name in PARTS) == row.cycle_ms for row in rows)
    assert all(getattr(row, name) >= 0 for row in rows for name in PARTS)
    assert all(0 <= row.queue_ms <= row.wait_ms for row in rows)
    assert {name for row in rows for name in OF_RUN if getattr(row, name)} == {*OF_RUN} - {"failed_tries"}


def test_what_was_there_before_is_filled_in_as_it_would_have_been_written() -> None:
    write_facts(facts=tangled(5))
    write_facts(facts=tangled(6, 9), simulated=True)
    before = state()
    RunFact.objects.update(**dict.fromkeys(OF_RUN, 0))
    RollupDay.objects.update(**dict.fromkeys((*OF_RUN, *FLOW_SUMS), 0))
    assert state() != before
    import_module("apps.kpis.migrations.0025_fill_times_of_runs").fill(None, connection.schema_editor())
    assert state() == before


def test_the_rows_behind_say_what_each_adds_and_add_up(viewer: User) -> None:
    facts = tangled(8, 30)
    write_facts(facts=facts)
    totals = kpis_for(viewer, ask()).totals
    flow, wait = totals["flow_efficiency"].figure, totals["wait_time_s"].figure
    rows = list(behind_for(viewer, DEFINITIONS["flow_efficiency"], ask())[0])
    assert len(rows) == flow.n
    assert flow.numerator == pytest.approx(sum((row.cycle_ms or 0) - row.wait_ms for row in rows) / 1000)
    rows = list(behind_for(viewer, DEFINITIONS["wait_time_s"], ask())[0])
    assert wait.value == pytest.approx(sum(row.wait_ms for row in rows) / 1000 / len(rows), abs=1e-3)
    client = signed_in(viewer)
    query = f"?{ask().query}"
    for key, said in (("flow_efficiency", " of "), ("wait_time_s", ""), ("step_automation_rate", " of ")):
        page = html.unescape(client.get(f"/dashboards/overview/{key}/{query}").content.decode())
        heads = re.findall(r'<th scope="col"[^>]*>([^<]+)<', page)
        assert DEFINITIONS[key].label in heads
        cells = re.findall(r'<td class="num">([^<]*)</td>', page)
        assert len(cells) == 4 * totals[key].figure.n
        assert all(said in cell for cell in cells[1::4])
    page = client.get(f"/dashboards/overview/throughput/{query}").content.decode()
    assert "Throughput</th>" not in page


def test_time_saved_is_against_the_baseline_in_force_and_may_be_negative(viewer: User) -> None:
    """Ten minutes before, from the day of the runs on; hands took 4, 20 and 30 minutes, and one run began before."""
    old = make_run(started_at=NOON - timedelta(days=1, hours=1))
    runs = [make_run(), make_run(), make_run(state="failed")]
    costs = [hand(run, minutes, 50) for run, minutes in zip(runs, (4, 20, 30), strict=True)]
    write_facts(facts=Facts(runs=[old, *runs], costs=[*costs, hand(old, 9, 50)]))
    nothing = kpis_for(viewer, ask()).totals["time_saved_s"].figure
    assert (nothing.value, nothing.why_none) == (None, "No run that ended has a baseline of people's time")
    make_baseline(kpi="human_time_s", value=600, valid_from=NOON.date())
    saved = kpis_for(viewer, ask()).totals["time_saved_s"].figure
    assert (saved.value, saved.n, saved.text) == ((20 - 54) * 60, 3, "−34 min")
    client = signed_in(viewer)
    assert "−34 min" in client.get(f"/dashboards/w/?{ask().query}").content.decode()
