"""The invented year: holidays, a workflow that begins in the middle, an agent that gets slower, customers who wait."""

import statistics
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from apps.kpis.rules.arrivals import outage_of
from apps.kpis.rules.control import Week, Why, of_durations
from apps.kpis.rules.facts import Facts, RunSeen, duration_ms
from apps.kpis.rules.history import CHEAPER, HistoryPlan, days_of, expected_runs, history_of, parts_of
from apps.kpis.rules.traits import sample_traits

BERLIN = ZoneInfo("Europe/Berlin")
UNTIL = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
PURCHASE, EXPENSE, ONBOARDING = sample_traits(None, None)


@pytest.fixture(scope="module")
def expense() -> Facts:
    return history_of(EXPENSE, seed=7, until=UNTIL, days=365, zone=BERLIN)


def local_days(runs: Sequence[RunSeen]) -> Counter[date]:
    return Counter(run.started_at.astimezone(BERLIN).date() for run in runs)


def by_day(runs: Sequence[RunSeen]) -> list[tuple[date, list[RunSeen]]]:
    found: dict[date, list[RunSeen]] = {}
    for run in runs:
        found.setdefault(run.started_at.astimezone(BERLIN).date(), []).append(run)
    return list(found.items())


def test_few_work_on_a_holiday(expense: Facts) -> None:
    counts = local_days(expense.runs)
    usual = statistics.median(n for day, n in counts.items() if day.weekday() < 5)
    holidays = [date(2025, 12, 24), date(2025, 12, 25), date(2025, 12, 26), date(2026, 1, 1), date(2026, 5, 1)]
    assert max(counts[day] for day in holidays) < usual / 2
    decided = Counter(one.decided_at.astimezone(BERLIN).date() for one in expense.decisions)
    assert sum(decided[day] for day in holidays) < usual / 4


def test_a_new_workflow_begins_in_the_middle_and_has_few_runs() -> None:
    runs = history_of(ONBOARDING, seed=7, until=UNTIL, days=364, zone=BERLIN).runs
    assert 60 < len(runs) < 300
    assert min(run.started_at for run in runs) >= UNTIL - timedelta(days=183)


def test_some_runs_are_paused_until_a_customer_answers(expense: Facts) -> None:
    paused = [run for run in expense.runs if run.paused_ms]
    assert 0.02 < len(paused) / len(expense.runs) < 0.04
    for run in paused:
        assert run.finished_at is not None
        assert run.paused_ms < duration_ms(run.started_at, run.finished_at)


def test_what_is_done_again_is_done_after_people_said_so(expense: Facts) -> None:
    decided = {one.run_id: one.decided_at for one in expense.decisions}
    ended = {run.run_id: run.finished_at for run in expense.runs}
    again = [step for step in expense.steps if step.rework]
    assert len(again) > 50
    for step in again:
        assert step.started_at is not None
        assert decided[step.run_id] <= step.started_at <= step.finished_at <= ended[step.run_id]


def test_an_agent_gets_slower_and_fails_more_in_the_end() -> None:
    facts = history_of(PURCHASE, seed=7, until=UNTIL, days=365, zone=BERLIN, scale=5)
    newest = {run.run_id: run for run in facts.runs if run.version == 3}
    took: dict[bool, list[float]] = {False: [], True: []}
    for step in facts.steps:
        if step.name == "quotes" and step.run_id in newest and step.started_at:
            is_late = step.started_at > UNTIL - timedelta(days=20)
            took[is_late].append((step.finished_at - step.started_at).total_seconds())
    assert statistics.median(took[True]) > 1.2 * statistics.median(took[False])


def test_a_model_gets_cheaper_on_one_day(expense: Facts) -> None:
    runs = {run.run_id: run for run in expense.runs}
    rates: dict[bool, set[float]] = {False: set(), True: set()}
    change = UNTIL - timedelta(days=365 * 0.4)
    for cost in expense.costs:
        started = runs[cost.run_id].started_at if cost.run_id else UNTIL
        if cost.kind == "llm" and cost.quantity > 1_000 and abs(started - change) > timedelta(days=2):
            rates[started > change].add(round(cost.amount_micro / cost.quantity, 1))
    assert rates == {False: {12.0}, True: {round(12 * CHEAPER, 1)}}


def test_each_version_touches_fewer_fails_less_and_is_faster(expense: Facts) -> None:
    touched = {one.run_id for one in expense.decisions}
    found = {}
    for number in (1, 2, 3):
        runs = [run for run in expense.runs if run.version == number]
        took = [duration_ms(run.started_at, run.finished_at or run.started_at) / 60_000 for run in runs]
        alone = sum(run.run_id not in touched for run in runs) / len(runs)
        failed = sum(run.state == "failed" for run in runs) / len(runs)
        found[number] = statistics.median(took), statistics.quantiles(took, n=10)[-1] / 60, alone, failed
    medians, nineties, alones, fails = zip(*found.values(), strict=True)
    assert 20 < medians[0] / medians[2] < 60
    assert list(nineties) == sorted(nineties, reverse=True)
    assert list(alones) == pytest.approx([0.43, 0.59, 0.76], abs=0.04)
    assert list(fails) == pytest.approx([0.045, 0.035, 0.020], abs=0.01)


def test_days_vary_more_than_chance_alone_lets_them(expense: Facts) -> None:
    """Variance by mean of working days: 1 were Poisson's, the real logs have 3.7 to 11.8."""
    counts = [n for day, n in local_days(expense.runs).items() if day.weekday() < 5]
    assert 3.7 < statistics.variance(counts) / statistics.mean(counts) < 14


def test_work_arrives_as_in_offices(expense: Facts) -> None:
    """In real logs 14 to 24 % come on each working day, 0.1 to 4 % on each other, 77 to 90 % between 9 and 17 h."""
    began = [run.started_at.astimezone(BERLIN) for run in expense.runs]
    share = {day: n / len(began) for day, n in Counter(at.weekday() for at in began).items()}
    assert all(0.14 < share[day] < 0.24 for day in range(5))
    assert all(0.001 < share[day] < 0.04 for day in (5, 6))
    assert 0.77 < sum(9 <= at.hour < 17 for at in began) / len(began) < 0.90


def test_most_runs_are_fast_and_few_take_very_long(expense: Facts) -> None:
    """Deviation by mean of the time that runs took: 1 were exponential, real logs have 1.4 to 2.8, mixtures more."""
    for number in (1, 2, 3):
        runs = [run for run in expense.runs if run.version == number and run.finished_at]
        took = [duration_ms(run.started_at, run.finished_at or run.started_at) for run in runs]
        assert 1.4 < statistics.stdev(took) / statistics.mean(took) < 5


def test_weeks_since_the_newest_version_are_worth_a_look(expense: Facts) -> None:
    """Against its own first 24 weeks a 90th percentile that fell from hours to minutes is beyond the limits."""
    weeks: dict[date, list[int]] = {}
    for run in expense.runs:
        end = (run.finished_at or run.started_at).astimezone(BERLIN).date()
        weeks.setdefault(end - timedelta(days=end.weekday()), []).append(duration_ms(run.started_at, run.finished_at))
    nineties = [Week(statistics.quantiles(took, n=10)[-1], len(took)) for _day, took in sorted(weeks.items())]
    found = of_durations(nineties, [])
    assert found is not None
    assert {(place, Why.RUN_BELOW) for place in range(len(nineties) - 8, len(nineties) - 1)} <= set(found.signals)


def test_a_system_was_down_for_six_hours_of_one_day(expense: Facts) -> None:
    down, up = outage_of(date(2026, 11, 21), 365, BERLIN)
    assert up - down == timedelta(hours=6)
    hit = [run for run in expense.runs if down <= run.started_at < up]
    failed = sum(run.state == "failed" for run in hit) / len(hit)
    assert len(hit) > 30
    assert 0.25 < failed < 0.55
    full = [(day, runs) for day, runs in by_day(expense.runs) if len(runs) > 30]
    shares = {day: sum(run.state == "failed" for run in runs) / len(runs) for day, runs in full}
    assert max(shares, key=lambda day: shares[day]) == down.date()
    assert shares[down.date()] < failed


def test_parts_are_small_and_together_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.kpis.rules.history.PART", 300)
    plan = HistoryPlan(seed=7, runs=3_000, days=60, until=UNTIL)
    parts = list(parts_of(plan, (PURCHASE, EXPENSE), BERLIN))
    assert [is_last for _, is_last in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) > 5
    scale = plan.runs / sum(expected_runs(one, UNTIL, 60, BERLIN) for one in (PURCHASE, EXPENSE))
    days = [list(days_of(one, seed=7, until=UNTIL, days=60, zone=BERLIN, scale=scale)) for one in (PURCHASE, EXPENSE)]
    longest = max(sum(len(facts.runs) for facts in told) for told in zip(*days, strict=True))
    assert max(len(facts.runs) for facts, _ in parts) < 300 + longest
    told = [run.run_id for facts, _ in parts for run in facts.runs]
    assert len(told) == len(set(told))
    assert set(told) == {run.run_id for one in days for facts in one for run in facts.runs}
    assert 2_400 < len(told) < 3_600


def test_more_runs_have_more_people_to_decide() -> None:
    """Else waiting would grow without end with the scale alone."""
    waits = []
    for scale in (1.0, 8.0):
        facts = history_of(EXPENSE, seed=7, until=UNTIL, days=91, zone=BERLIN, scale=scale)
        waits.append(statistics.median((one.decided_at - one.requested_at).total_seconds() for one in facts.decisions))
    assert waits[1] < 1.5 * waits[0]
