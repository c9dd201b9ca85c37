"""Open time, pauses, handovers, needless questions, and what is open now: each against a slow way to count."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.access.models import BusinessUnit
from apps.access.rules import open_hours
from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import RollupDay, RunFact, StepFact
from apps.kpis.models.clock import database_now
from apps.kpis.rules import DEFINITIONS, LIVE
from apps.kpis.rules.eventlogs.figures import cases_in
from apps.kpis.rules.eventlogs.figures import figures_of as log_figures_of
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.opening import open_ms_of
from apps.kpis.rules.statistics import percentile
from apps.kpis.selectors import behind_for, kpis_for, live_for
from apps.kpis.selectors.events import traces_for
from apps.kpis.services import fill_open_time, write_facts
from apps.kpis.services.seen import run_seen
from tests.factories.access import make_calendar, make_holder, make_unit
from tests.factories.kpis import NOON, make_decision, make_run, make_step
from tests.kpis.test_selectors import ask
from tests.kpis.test_views import signed_in

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = {day: ["09:00-12:00", "13:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")} | {"sun": ["00:00-24:00"]}
HOURS = open_hours(timezone="Europe/Berlin", hours=WEEK, holidays=["2026-10-27"])

MOMENTS = st.integers(0, 2 * 365 * 86_400).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


@pytest.fixture
def viewer() -> User:
    return make_holder("kpis.view_kpi")


def minutes_open(start: datetime, end: datetime) -> int:
    """Every minute of the interval asked by itself: the slow way."""
    found, at = 0, start
    while at < end:
        local = at.astimezone(BERLIN)
        day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[local.weekday()]
        inside = any(slot[:5] <= f"{local:%H:%M}" < slot[6:] for slot in WEEK.get(day, []))
        found += inside and local.date() != date(2026, 10, 27)
        at += timedelta(minutes=1)
    return found


@pytest.mark.parametrize("around", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
def test_open_time_is_what_every_minute_says_across_both_clock_changes(around: datetime) -> None:
    random = Random(4)
    spans = []
    for _ in range(12):
        start = around + timedelta(minutes=random.randint(-4 * 1440, 2 * 1440))
        spans.append((start, start + timedelta(minutes=random.randint(0, 4 * 1440))))
    assert open_ms_of(HOURS, spans) == [minutes_open(start, end) * 60_000 for start, end in spans]


@given(st.lists(st.tuples(MOMENTS, st.integers(-(10**5), 10**7))))
def test_open_time_of_many_intervals_is_that_of_each(drawn: list[tuple[datetime, int]]) -> None:
    spans = [(start, start + timedelta(seconds=s)) for start, s in drawn]
    slow = [round(HOURS.between(start, max(start, end)) / timedelta(milliseconds=1)) for start, end in spans]
    assert open_ms_of(HOURS, spans) == slow


@pytest.mark.django_db
def test_business_cycle_time_counts_by_the_units_calendar_or_that_above_it(viewer: User) -> None:
    calendar = make_calendar(timezone="Europe/Berlin", hours=WEEK, holidays=[])
    above = make_unit(calendar=calendar)
    below, elsewhere = make_unit(parent=above), make_unit()
    friday = datetime(2026, 11, 6, 15, tzinfo=UTC)  # 16:00 in Berlin: an hour on Friday, all of Sunday, Monday 9 to 10
    monday = datetime(2026, 11, 9, 9, tzinfo=UTC)
    span = {"started_at": friday, "finished_at": monday}
    runs = [make_run(unit_id=unit.pk, **span) for unit in (above, below, elsewhere)]
    runs += [make_run(unit_id=above.pk, state="failed", **span), make_run(unit_id=None, **span)]
    write_facts(facts=Facts(runs=runs))
    answer = kpis_for(viewer, ask())
    figure = answer.totals["business_time_p50_s"].figure
    assert (figure.value, figure.n) == (26 * 3600, 2)
    assert answer.totals["cycle_time_p50_s"].figure.n == 4
    rows, _order = behind_for(viewer, DEFINITIONS["business_time_p50_s"], ask())
    assert {row.run_id for row in rows} == {runs[0].run_id, runs[1].run_id}


@pytest.mark.django_db
def test_runs_that_ended_before_there_was_a_calendar_are_filled_once_and_their_rollups_follow() -> None:
    unit, other = make_unit(), make_unit()
    runs = [make_run(unit_id=one.pk) for one in (unit, unit, other)]
    write_facts(facts=Facts(runs=runs))
    assert fill_open_time() == 0
    calendar = make_calendar(hours={"tue": ["11:30-24:00"]}, timezone="UTC")
    BusinessUnit.objects.filter(pk=unit.pk).update(calendar=calendar)
    assert (fill_open_time(), fill_open_time()) == (2, 0)
    told = dict(RunFact.objects.values_list("run_id", "business_ms"))
    assert told == {runs[0].run_id: 1_800_000, runs[1].run_id: 1_800_000, runs[2].run_id: None}
    assert sum(RollupDay.objects.values_list("in_calendar", flat=True)) == 2
    before = list(RunFact.objects.order_by("run_id").values())
    write_facts(facts=Facts(runs=runs))
    assert list(RunFact.objects.order_by("run_id").values()) == before


def worked(run: Any, random: Random) -> list[Any]:
    return [
        make_step(
            run,
            kind=random.choice(["agent", "agent", "approval", "form", "operation"]),
            agent=random.choice(["a", "b", ""]),
            state=random.choice(["done", "done", "failed", "superseded", "cancelled"]),
            finished_at=run.finished_at - timedelta(minutes=random.randint(0, 30)),
        )
        for _ in range(random.randint(0, 8))
    ]


def handovers_by_hand(run_id: Any) -> int:
    rows = StepFact.objects.filter(run_id=run_id, state__in=["done", "failed", "superseded"])
    who = [
        "people" if row.kind in ("approval", "form") else row.agent
        for row in sorted(rows, key=lambda row: (row.finished_at, row.step_id))
    ]
    return sum(bool(one and two and one != two) for one, two in pairwise(who))


@pytest.mark.django_db
def test_handovers_are_those_that_the_exported_event_log_has(viewer: User) -> None:
    random = Random(7)
    runs = [make_run(finished_at=NOON + timedelta(hours=n)) for n in range(40)]
    steps = {run.run_id: worked(run, random) for run in runs}
    write_facts(facts=Facts(runs=runs, steps=[one for rows in steps.values() for one in rows][::-1]))
    told = dict(RunFact.objects.values_list("run_id", "handovers"))
    assert told == {run.run_id: handovers_by_hand(run.run_id) for run in runs}
    asked = ask()
    log = [event for trace in traces_for(viewer, DEFINITIONS["handovers"], asked) for event in trace.rows]
    figure = kpis_for(viewer, asked).totals["handovers"].figure
    assert (
        figure.numerator
        == sum(told.values())
        == log_figures_of(cases_in(log), ZoneInfo("UTC")).figures["handovers"]
        > 20
    )
    assert figure.value == pytest.approx(sum(told.values()) / 40)


@pytest.mark.django_db
def test_paused_time_is_shared_by_all_runs_that_ended(viewer: User) -> None:
    runs = [make_run(paused_ms=600_000), make_run(paused_ms=0, state="failed"), make_run(state="cancelled")]
    write_facts(facts=Facts(runs=[*runs, make_run(finished_at=None, paused_ms=10**9)]))
    figure = kpis_for(viewer, ask()).totals["paused_time_s"].figure
    assert (figure.value, figure.numerator, figure.n) == (200, 600, 3)


@pytest.mark.django_db
def test_needless_questions_are_those_of_rules_that_were_approved_as_they_were_asked(viewer: User) -> None:
    ruled = [
        make_decision(rule="limits/large"),
        make_decision(rule="limits/large", edited=True),
        make_decision(rule="limits/large", outcome="rejected"),
        make_decision(rule="limits/large", outcome="expired"),
    ]
    write_facts(facts=Facts(decisions=[*ruled, make_decision(), make_decision(outcome="expired")]))
    totals = kpis_for(viewer, ask()).totals
    needless = totals["needless_escalations"].figure
    assert (needless.numerator, needless.denominator) == (1, 3)
    assert totals["expiries"].figure.value == 2
    rows, _order = behind_for(viewer, DEFINITIONS["needless_escalations"], ask())
    assert [row.escalation_id for row in rows] == [ruled[0].escalation_id]


def open_runs(now: datetime, random: Random) -> Iterator[Any]:
    for _ in range(60):
        started = now - timedelta(minutes=random.randint(1, 600))
        paused = random.choice([0, 0, 3_600_000])
        since = random.choice([None, None, started + (now - started) / 2])
        state = "paused" if since else "running"
        sla = random.choice([None, 3_600_000, 7_200_000, 18_000_000])
        yield make_run(
            finished_at=None, started_at=started, paused_ms=paused, paused_since=since, state=state, sla_ms=sla
        )


@pytest.mark.django_db
def test_what_is_open_now_is_what_each_open_run_says(viewer: User) -> None:
    now = database_now()
    runs = list(open_runs(now, Random(3)))
    ended = make_run(started_at=now - timedelta(days=90), finished_at=now, sla_ms=1)
    write_facts(facts=Facts(runs=[*runs, ended]))
    live = live_for(viewer, ask())
    ages = [(live.as_of - run.started_at).total_seconds() for run in runs]

    def clock_ms(run: Any) -> float:
        until = run.paused_since or live.as_of
        return float((until - run.started_at) / timedelta(milliseconds=1) - run.paused_ms)

    due = [(clock_ms(run), run.sla_ms) for run in runs if run.sla_ms]
    value = {key: figure.value for key, figure in live.figures.items()}
    assert value["wip"] == 60
    assert value["breached_open"] == sum(clock > sla for clock, sla in due) > 5
    assert value["at_risk"] == sum(0.8 * sla < clock <= sla for clock, sla in due) > 0
    for key, fraction in (("wip_age_p50_s", 0.5), ("wip_age_p85_s", 0.85), ("wip_age_max_s", 1.0)):
        assert value[key] == pytest.approx(percentile(ages, fraction), abs=0.002)
    for key, definition in LIVE.items():
        rows, _order = behind_for(viewer, definition, ask())
        assert rows.count() == live.figures[key].n, key


@pytest.mark.django_db
def test_no_period_limits_what_is_open_but_workflow_agent_and_permission_do(viewer: User) -> None:
    now = database_now()
    mine = make_run(finished_at=None, started_at=now - timedelta(days=900), workflow="a")
    write_facts(facts=Facts(runs=[mine, make_run(finished_at=None, started_at=now, workflow="b")]))
    first = ask(date(2020, 1, 1), date(2020, 1, 2))
    assert live_for(viewer, first).figures["wip"].value == 2
    assert live_for(viewer, replace(first, workflow="a")).figures["wip"].value == 1
    assert live_for(viewer, replace(first, agent="nobody")).figures["wip"].value == 0
    assert not set(LIVE) & set(kpis_for(viewer, first).totals)
    below = make_holder("kpis.view_kpi", unit=make_unit())
    assert live_for(below, first).figures["wip"].value == 0


@pytest.mark.django_db
def test_page_csv_drill_down_and_api_say_the_same_of_now(viewer: User) -> None:
    now = database_now()
    runs = [make_run(finished_at=None, started_at=now - timedelta(hours=n), sla_ms=7_200_000) for n in range(1, 6)]
    write_facts(facts=Facts(runs=runs))
    token = create_token(viewer, user=viewer, days=1)
    headers = {"Authorization": f"Bearer {token}"}
    told = Client().get("/api/v1/kpis/", headers=headers).json()["live"]["figures"]
    client = signed_in(viewer)
    raw = client.get("/dashboards/overview/now.csv").content.decode()
    table = {row[0]: row[1:] for row in csv.reader(raw.splitlines()) if not row[0].startswith("#")}
    assert (told["breached_open"]["value"], told["at_risk"]["value"], told["wip"]["value"]) == (4, 0, 5)
    for key in ("breached_open", "at_risk", "wip"):
        assert table[key] == [str(told[key]["value"]), str(told[key]["n"])]
        assert len(Client().get(f"/api/v1/kpis/{key}/runs/", headers=headers).json()["results"]) == told[key]["n"]
        assert client.get(f"/dashboards/overview/{key}/").content.count(b'href="/runs/') == told[key]["n"]
    page = client.get("/dashboards/w/").content.decode()
    assert "Right now" in page
    assert "/dashboards/w/breached_open/" in page


def test_a_run_that_is_paused_says_since_when_and_no_other_does() -> None:
    told = {"workflow": "w", "created_at": "2026-11-10T12:00:00Z"}
    entries: list[Any] = [
        SimpleNamespace(
            pk=1, name=f"run.{name}", subject_id=uuid4(), unit=None, occurred_at=NOON, payload={**told, "state": state}
        )
        for name, state in (("paused", "paused"), ("resumed", "running"))
    ]
    assert [seen.paused_since for entry in entries if (seen := run_seen(entry))] == [NOON, None]
