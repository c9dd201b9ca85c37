"""Percentiles over long periods: read from durations that were written down day by day, exact to the last bit."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.core.models import User
from apps.kpis.models import CostItem, DurationDay, RollupDay, RunFact, first_unkept_day
from apps.kpis.rules import BucketSize
from apps.kpis.rules.buckets import Period, buckets_of, day_period
from apps.kpis.rules.durations import WIDTH, percentiles_in, piece_of
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.statistics import order_ranks, percentile
from apps.kpis.selectors import reading
from apps.kpis.selectors.reading import Reader, Reading
from apps.kpis.services import durations, keep_durations, reconcile_rollups, write_facts
from tests.factories.access import make_holder
from tests.factories.kpis import NOON, make_cost, make_decision, make_run
from tests.kpis.test_services import batch

BERLIN = ZoneInfo("Europe/Berlin")
LATER = NOON + timedelta(days=30)
FRACTIONS = (0.0, 0.05, 0.5, 0.9, 0.95, 1.0)


def written(values: list[int]) -> bytes:
    return b"".join(value.to_bytes(WIDTH, "big") for value in values)


@given(st.lists(st.lists(st.integers(0, 2**48), max_size=20), max_size=6))
def test_pieces_together_have_the_percentiles_of_all_their_values(pieces: list[list[int]]) -> None:
    values = [value for piece in pieces for value in piece]
    found = percentiles_in([piece_of(written(piece)) for piece in pieces], FRACTIONS)
    assert [one.value for one in found] == ([percentile(values, fraction) for fraction in FRACTIONS] if values else [])
    ranked = sorted(values)
    for fraction, one in zip(FRACTIONS, found, strict=False):
        ends = [rank and ranked[rank - 1] for rank in order_ranks(len(values), fraction)]
        assert [one.low, one.high] == ends


@pytest.fixture
def viewer(db: None, settings: Any) -> User:
    settings.ACP_REPORTING_TZ = BERLIN.key
    return make_holder("kpis.view_kpi")


def asked(**more: Any) -> KpiFilter:
    period = day_period(date(2026, 10, 28), date(2026, 11, 24), BERLIN)
    return KpiFilter(**{"period": period, "zone": BERLIN, "size": BucketSize.WEEK, **more})


def read(viewer: User, question: KpiFilter) -> Reading:
    return Reader(viewer, question, []).read(buckets_of(question.period, question.size, question.zone))


def read_from_facts(viewer: User, question: KpiFilter, monkeypatch: pytest.MonkeyPatch) -> Reading:
    with monkeypatch.context() as patch:
        patch.setattr(reading, "answered_by_rollups", lambda *_: False)
        return read(viewer, question)


@pytest.mark.parametrize("limits", [{}, {"workflow": "a"}, {"version": 2}, {"size": BucketSize.DAY}])
@pytest.mark.parametrize("kept_until", [None, NOON - timedelta(days=3), LATER])
def test_what_is_kept_says_what_the_facts_say(
    viewer: User, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], kept_until: Any
) -> None:
    write_facts(facts=batch(120, seed=7))
    if kept_until:
        assert keep_durations(now=kept_until) > 2
    question = asked(**limits)
    found = read(viewer, question)
    assert found == read_from_facts(viewer, question, monkeypatch)
    assert found.whole["cycle_p90"]
    assert found.whole["latency_p50"]
    assert found.workflows["a"]["cycle_p50"]


def test_postgresql_finds_the_same_percentiles(viewer: User) -> None:
    write_facts(facts=batch(90, seed=4))
    keep_durations(now=LATER)
    whole = asked().period
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.9, 0.95]::float8[]) WITHIN GROUP (ORDER BY cycle_ms) FROM kpis_runfact"
            " WHERE state = 'succeeded' AND finished_at >= %s AND finished_at < %s",
            [whole.start, whole.end],
        )
        wanted = cursor.fetchone()[0]
    row = read(viewer, asked()).whole
    assert [row["cycle_p50"], row["cycle_p90"], row["cycle_p95"]] == wanted


def test_only_days_that_are_over_are_kept_and_each_once(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durations, "AT_ONCE", 2)
    for back in (0, 1, 5, 20):  # idle days lie between
        write_facts(facts=Facts(runs=[make_run(finished_at=NOON - timedelta(days=back))]))
    write_facts(facts=Facts(runs=[make_run(state="failed", finished_at=NOON - timedelta(days=3))]))
    assert keep_durations(now=NOON) == 4
    assert first_unkept_day() == NOON.date()
    assert keep_durations(now=NOON) == 0
    assert keep_durations(now=NOON + timedelta(days=1)) == 1
    assert DurationDay.objects.count() == 5


def test_rollups_without_facts_keep_nothing_and_do_not_go_on_for_ever(viewer: User) -> None:
    RollupDay.objects.create(day=NOON.date(), workflow="ghost", succeeded=3)
    assert keep_durations(now=LATER) == 0
    write_facts(facts=Facts(runs=[make_run(finished_at=NOON + timedelta(days=2))]))
    assert keep_durations(now=LATER) == 2
    assert first_unkept_day() == date(2026, 11, 13)
    assert keep_durations(now=LATER) == 0


def test_what_comes_late_for_a_day_that_is_kept_is_in_its_percentiles(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = batch(40, seed=11)
    write_facts(facts=early)
    keep_durations(now=LATER)
    write_facts(facts=batch(40, seed=12))
    moved = next(run for run in early.runs if run.state == "succeeded")
    assert moved.finished_at
    write_facts(facts=Facts(runs=[replace(moved, finished_at=moved.finished_at - timedelta(days=1), entry_id=9)]))
    assert read(viewer, asked()) == read_from_facts(viewer, asked(), monkeypatch)
    assert reconcile_rollups(now=LATER, days=60) == 0


def test_reconcile_mends_what_is_kept_and_differs(viewer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    write_facts(facts=batch(60, seed=2))
    keep_durations(now=LATER)
    newest = DurationDay.objects.order_by("day").last()
    assert newest
    others = DurationDay.objects.exclude(day=newest.day)
    others.filter(workflow="a").update(cycle=written([1, 2, 3]))
    others.filter(workflow="b").first().delete()  # type: ignore[union-attr] # the batch has runs of both
    DurationDay.objects.create(day=newest.day, workflow="ghost", cycle=written([5]))
    assert reconcile_rollups(now=LATER, days=60) > 2
    assert read(viewer, asked()) == read_from_facts(viewer, asked(), monkeypatch)
    assert reconcile_rollups(now=LATER, days=60) == 0


def test_a_decision_and_a_cost_belong_to_their_runs_version_whichever_is_told_first(viewer: User) -> None:
    run = make_run(version=3)
    told_first = Facts(decisions=[make_decision(run)], costs=[make_cost(run)])
    write_facts(facts=told_first)
    assert set(RollupDay.objects.values_list("version", "decided", "cost_items")) == {(0, 1, 1)}
    write_facts(facts=Facts(runs=[run]))
    write_facts(facts=Facts(costs=[make_cost(run)]))
    assert set(CostItem.objects.values_list("version", flat=True)) == {3}
    assert set(RollupDay.objects.values_list("version", "decided", "cost_items", "succeeded")) == {(3, 1, 2, 1)}
    assert read(viewer, asked(version=3)).whole["decided"] == 1
    assert read(viewer, asked(version=2)).whole["decided"] == 0


def test_versions_and_their_first_ends_come_from_rollups_as_from_facts(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_facts(facts=batch(80, seed=6))
    write_facts(facts=Facts(runs=[make_run(workflow="a", finished_at=None, version=9)]))
    keep_durations(now=NOON)
    reader = Reader(viewer, asked(workflow="a"), [])
    whole = Period(reader.asked.period.start, reader.asked.period.end)
    rolled = reader.by_version(whole), reader.first_ends(), reader.holds_simulated()
    monkeypatch.setattr(reading, "answered_by_rollups", lambda *_: False)
    assert rolled == (reader.by_version(whole), reader.first_ends(), reader.holds_simulated())
    assert list(rolled[0]) == [3, 2, 1]
    assert set(rolled[1]) == {1, 2, 3}
    assert rolled[1][1] == min(
        RunFact.objects.filter(workflow="a", version=1, finished_at__isnull=False).values_list("finished_at", flat=True)
    )


def test_whether_invented_runs_are_counted_is_known_from_rollups(viewer: User) -> None:
    write_facts(facts=Facts(runs=[make_run(finished_at=NOON - timedelta(days=60))]), simulated=True)
    reader = Reader(viewer, asked(simulated=True), [])
    assert not reader.holds_simulated()
    write_facts(facts=Facts(runs=[make_run()]), simulated=True)
    assert reader.holds_simulated()
