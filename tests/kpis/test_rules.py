"""Formulas, buckets, formats and sentences."""

import math
import statistics
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.statistics import wilson_interval
from apps.kpis.rules import DEFINITIONS, BucketSize, Direction, Period
from apps.kpis.rules.buckets import (
    RangeName,
    buckets_of,
    day_period,
    fits,
    is_whole_days,
    local_day,
    local_midnight,
    named_period,
    next_period,
    previous_period,
    size_for,
)
from apps.kpis.rules.costs import TokenPrice, Tokens, human_cost_micro, llm_cost_micro
from apps.kpis.rules.definitions import ADDITIVE, CARDS, Kind, percentile_name, with_totals
from apps.kpis.rules.facts import RunSeen, duration_ms, newest_by_id, sla_met_of
from apps.kpis.rules.figures import (
    Figure,
    Status,
    Trend,
    delta_of,
    differs,
    differs_from,
    figure_of,
    status_of,
    trend_of,
)
from apps.kpis.rules.filters import FilterProblem, filter_of
from apps.kpis.rules.formats import count_text, duration_text, money_text, percent_text
from apps.kpis.rules.goals import BaselineSeen, TargetSeen, baseline_in_force, mix_of, mixed_baseline
from apps.kpis.rules.history import history_of
from apps.kpis.rules.rates import half_up
from apps.kpis.rules.sentences import attention_sentence, finding_of, value_sentence, verdict_of
from apps.kpis.rules.statistics import percentile
from apps.kpis.rules.traits import sample_traits
from apps.kpis.rules.typed import typed_value

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "Asia/Beirut")
]
NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_a_wilson_interval_holds_the_share_and_stays_within_0_and_1(numerator: int, extra: int) -> None:
    denominator = numerator + extra
    low, high = wilson_interval(numerator, denominator) or (math.nan, math.nan)
    assert 0 <= low <= numerator / denominator <= high <= 1


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"), [(0, 5, 0, 0.43), (1, 20, 0.009, 0.236), (2, 50, 0.011, 0.135)]
)
def test_wilson_intervals_agree_with_measured_examples(
    numerator: int, denominator: int, low: float, high: float
) -> None:
    found = wilson_interval(numerator, denominator)
    assert found is not None
    assert found == pytest.approx((low, high), abs=0.005)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert wilson_interval(0, 0) is None


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=60))
def test_percentiles_are_type_7(values: list[int]) -> None:
    quartiles = statistics.quantiles(values, n=20, method="inclusive")
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))
    assert percentile(values, 0.9) == pytest.approx(quartiles[17])
    assert percentile(values, 0.95) == pytest.approx(quartiles[18])


INTERFACE = """
throughput, arrivals, cycle_time_p50_s, cycle_time_p90_s, cycle_time_p95_s, lead_time_p50_s, error_rate, sla_adherence,
cost_per_success_minor, spend_minor, savings_minor, escalation_rate, no_touch_rate, rework_rate, approval_latency_p50_s,
approval_latency_p90_s, override_rate, first_pass_yield, backlog
"""
moments = st.integers(1_450_000_000, 2_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
days = st.dates(date(2015, 1, 1), date(2035, 1, 1))
sizes = st.sampled_from([BucketSize.DAY, BucketSize.WEEK, BucketSize.MONTH])


@given(days, st.integers(0, 380), sizes, st.sampled_from(ZONES))
def test_buckets_cover_their_period_without_gap_or_overlap(
    first: date, more: int, size: BucketSize, zone: ZoneInfo
) -> None:
    period = day_period(first, first + timedelta(days=more), zone)
    buckets = buckets_of(period, size, zone)
    assert (buckets[0].start, buckets[-1].end) == (period.start, period.end)
    assert all(before.end == after.start for before, after in pairwise(buckets))
    assert len({bucket.label for bucket in buckets}) == len(buckets)


@given(days, st.integers(0, 60), st.integers(0, 24 * 3600 * 60), sizes, st.sampled_from(ZONES))
def test_an_instant_lies_in_the_bucket_of_its_local_day(
    first: date, more: int, offset_s: int, size: BucketSize, zone: ZoneInfo
) -> None:
    period = day_period(first, first + timedelta(days=more), zone)
    instant = period.start + timedelta(seconds=offset_s % int(period.length.total_seconds()))
    (bucket,) = [one for one in buckets_of(period, size, zone) if one.start <= instant < one.end]
    day = local_day(instant, zone)
    year, week, _ = day.isocalendar()
    wanted = {
        BucketSize.DAY: day.isoformat(),
        BucketSize.WEEK: f"{year}-W{week:02}",
        BucketSize.MONTH: f"{day:%Y-%m}",
    }
    assert bucket.label == wanted[size]


def test_the_days_of_the_change_of_clocks_have_23_and_25_hours() -> None:
    assert day_period(date(2026, 3, 29), date(2026, 3, 29), BERLIN).length == timedelta(hours=23)
    assert day_period(date(2026, 10, 25), date(2026, 10, 25), BERLIN).length == timedelta(hours=25)


def test_the_two_hours_at_two_in_october_stay_apart() -> None:
    day = day_period(date(2026, 10, 25), date(2026, 10, 25), BERLIN)
    labels = [bucket.label for bucket in buckets_of(day, BucketSize.HOUR, BERLIN)]
    assert len(labels) == 25
    assert "2026-10-25T02:00+02:00" in labels
    assert "2026-10-25T02:00+01:00" in labels


@given(moments, st.sampled_from(ZONES))
def test_every_named_range_ends_with_now_and_fits_a_chart(now: datetime, zone: ZoneInfo) -> None:
    for name in RangeName:
        period = named_period(name, now, zone)
        assert period.start < now < period.end
        assert fits(period, size_for(period))
        assert len(buckets_of(period, size_for(period), zone)) <= 400


@given(days, st.integers(1, 200), st.sampled_from(ZONES))
def test_the_period_before_is_as_many_local_days_and_adjoins(first: date, length: int, zone: ZoneInfo) -> None:
    period = day_period(first, first + timedelta(days=length - 1), zone)
    before = previous_period(period, zone)
    assert before.end == period.start
    assert is_whole_days(before, zone)
    assert local_day(before.end, zone) - local_day(before.start, zone) == timedelta(days=length)
    assert next_period(before, zone) == period


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "—"),
        (0, "0 s"),
        (4.24, "4.2 s"),
        (42, "42 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (725, "12 min"),
        (11520, "3 h 12 m"),
        (3599.8, "1 h"),
        (86399, "1 d"),
        (187_200, "2 d 4 h"),
        (-60, "−1 min"),
    ],
)
def test_durations_read_in_two_units(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 4e7))
def test_a_duration_is_rounded_and_never_off_by_more_than_half_its_smaller_unit(seconds: float) -> None:
    sizes = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
    parts = duration_text(seconds).replace(",", "").split(" ")
    read = sum(float(number) * sizes[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))
    assert abs(read - seconds) <= (30 if 600 <= seconds < 86400 else 1800 if seconds >= 86400 else 0.5) + 1e-6


def test_numbers_read_as_people_write_them() -> None:
    assert count_text(1284) == "1,284"
    assert count_text(14.25) == "14.2"
    assert percent_text(0.9644) == "96.4%"
    assert percent_text(None) == "—"
    assert money_text(74, "EUR") == "0.74 EUR"
    assert money_text(-3_840_000, "EUR") == "−38,400 EUR"
    assert money_text(500, "JPY") == "500 JPY"
    assert money_text(-0.2, "EUR") == "0.00 EUR"


def test_every_kpi_of_the_interface_is_defined_once() -> None:
    named = INTERFACE.replace(",", " ").split()
    assert set(named) <= set(DEFINITIONS)
    assert set(CARDS) <= set(DEFINITIONS)
    assert len(CARDS) == 7
    assert all(key == one.key and one.label and one.formula for key, one in DEFINITIONS.items())


def test_over_nothing_a_rate_is_none_and_a_sum_is_zero() -> None:
    nothing = with_totals(dict.fromkeys(ADDITIVE, 0))
    for key, definition in DEFINITIONS.items():
        value = figure_of(definition, nothing, "EUR").value
        if definition.kind == Kind.COUNT or key == "spend_minor":
            assert value == 0, key
        else:
            assert value is None, key


counts = st.integers(0, 500)


def test_peoples_time_is_divided_by_the_runs_whose_time_it_is() -> None:
    """A cancelled run took people's time, too: it is in the sum, so it is in what the sum is divided by."""
    measures = with_totals({"succeeded": 3, "failed": 0, "cancelled": 1, "human_ms": 4 * 60_000})
    figure = figure_of(DEFINITIONS["human_time_s"], measures, "EUR")
    assert (figure.value, figure.n) == (60, 4)


@given(succeeded=counts, failed=counts, cancelled=counts, cost=st.integers(0, 10**12))
def test_shares_and_costs_follow_their_formulas(succeeded: int, failed: int, cancelled: int, cost: int) -> None:
    measures = with_totals(
        dict.fromkeys(ADDITIVE, 0)
        | {"succeeded": succeeded, "failed": failed, "cancelled": cancelled, "cost_micro": cost, "wrong": failed}
    )
    error = figure_of(DEFINITIONS["error_rate"], measures, "EUR")
    assert error.n == succeeded + failed
    assert error.value == (failed / (succeeded + failed) if succeeded + failed else None)
    each = figure_of(DEFINITIONS["cost_per_success_minor"], measures, "EUR")
    assert each.value == (round(cost / 10_000 / succeeded, 4) if succeeded else None)


def test_a_percentile_of_few_values_is_not_shown() -> None:
    few = {"succeeded": 9, percentile_name("cycle", 0.9): 5000.0, percentile_name("cycle", 0.5): 1000.0}
    assert figure_of(DEFINITIONS["cycle_time_p90_s"], few, "EUR").value is None
    assert figure_of(DEFINITIONS["cycle_time_p90_s"], {**few, "succeeded": 10}, "EUR").value == 5.0
    median = figure_of(DEFINITIONS["cycle_time_p50_s"], few, "EUR")
    assert median.value == 1.0
    assert not median.enough


def test_colour_follows_good_and_bad_not_up_and_down() -> None:
    assert trend_of(Direction.DOWN, -1) == Trend.BETTER
    assert trend_of(Direction.UP, -1) == Trend.WORSE
    assert trend_of(Direction.NONE, -1) == Trend.CHANGED
    assert trend_of(Direction.UP, 0) == Trend.SAME


def value(key: str, number: float | None, n: int = 100):
    return Figure(DEFINITIONS[key], number, n, "EUR")


def test_changes_are_in_points_money_or_per_cent() -> None:
    for key, now, was, text in (
        ("error_rate", 0.018, 0.042, "−2.4 pp"),
        ("cost_per_success_minor", 74, 186, "−1.12 EUR"),
        ("throughput", 1284, 792, "+62.1%"),
    ):
        delta = delta_of(value(key, now), now, was)
        assert delta is not None
        assert delta.text == text
    assert delta_of(value("throughput", None), None, 792) is None


def test_a_change_that_may_be_chance_is_neither_better_nor_worse() -> None:
    assert differs(share(40, 1000), share(80, 1000))
    assert not differs(share(4, 100), share(6, 100))
    assert not differs(value("throughput", 100), value("throughput", 110))
    assert differs(value("throughput", 100), value("throughput", 200))
    assert not differs_from(value("throughput", 300), was=10.5, days=30)
    assert not differs_from(value("throughput", 0), was=1, days=2)  # of two expected none is chance in one of seven
    assert differs_from(value("throughput", 0), was=1, days=5)
    assert not differs(value("throughput", 20), value("throughput", 71), days=2, days_before=7)
    assert differs(value("throughput", 70), value("throughput", 70), days=3.5, days_before=7)
    assert not differs(value("spend_minor", 20_000), value("spend_minor", 70_300), days=2, days_before=7)
    assert differs(value("spend_minor", 40_000), value("spend_minor", 70_300), days=2, days_before=7)
    assert differs_from(share(4, 1000), was=0.05, days=30)
    unclear = delta_of(share(4, 100), 0.04, 0.06, clear=False)
    assert unclear is not None
    assert unclear.trend == Trend.UNCLEAR


def share(numerator: int, denominator: int, key: str = "error_rate"):
    definition = DEFINITIONS[key]
    measures = {definition.numerator: numerator, definition.denominator: denominator}
    return figure_of(definition, measures, "EUR")


def test_a_status_is_good_only_if_the_whole_interval_is() -> None:
    target = TargetSeen(workflow="", kpi="error_rate", value=0.05, direction="down")
    assert status_of(share(1, 400), 0.0025, target) == Status.GOOD
    assert status_of(share(2, 60), 2 / 60, target) == Status.STRADDLES
    assert status_of(share(200, 400), 0.5, target) == Status.BAD
    assert status_of(share(0, 5), 0.0, target) == Status.UNKNOWN


def test_a_run_meets_its_target_at_the_boundary_and_a_failed_run_never_does() -> None:
    start = NOW
    run = RunSeen(
        run_id=uuid4(),
        workflow="w",
        unit_id=None,
        created_at=start,
        started_at=start,
        finished_at=start + timedelta(seconds=60),
        state="succeeded",
        sla_ms=60_000,
    )
    assert sla_met_of(run) is True
    from dataclasses import replace

    assert sla_met_of(replace(run, finished_at=start + timedelta(seconds=60, milliseconds=1))) is False
    assert sla_met_of(replace(run, finished_at=start + timedelta(seconds=90), paused_ms=30_000)) is True
    assert sla_met_of(replace(run, state="failed")) is False
    assert sla_met_of(replace(run, state="cancelled")) is None
    assert sla_met_of(replace(run, sla_ms=None)) is None
    assert newest_by_id([run, replace(run, entry_id=2), replace(run, entry_id=1)])[0].entry_id == 2


def test_a_clock_that_runs_backwards_gives_no_negative_time() -> None:
    assert duration_ms(NOW, NOW - timedelta(seconds=5)) == 0


def test_tokens_are_priced_once_and_cached_ones_cheaper() -> None:
    price = TokenPrice(Decimal("3"), Decimal("15"), Decimal("0.3"), Decimal("3.75"))
    assert llm_cost_micro(Tokens(input=1000, output=100), price) == 4500
    assert (
        llm_cost_micro(Tokens(input=1000, output=100, cache_read=800, cache_write=100), price) == 300 + 240 + 375 + 1500
    )
    assert half_up(llm_cost_micro(Tokens(input=1, output=0), TokenPrice(*[Decimal("0.5")] * 4))) == 1


def test_an_active_quarter_of_an_hour_costs_a_quarter_of_its_rate() -> None:
    assert human_cost_micro(15 * 60_000, 60_000_000) == 15_000_000


def baseline(workflow: str, value: float, day: date, kpi: str = "cycle_time_p50_s") -> BaselineSeen:
    return BaselineSeen(workflow=workflow, kpi=kpi, value=value, valid_from=day)


def test_a_workflows_own_newest_baseline_is_in_force() -> None:
    rows = [
        baseline("", 1, date(2026, 6, 1)),
        baseline("a", 2, date(2026, 1, 1)),
        baseline("a", 3, date(2026, 5, 1)),
        baseline("a", 4, date(2026, 9, 1)),
    ]
    assert baseline_in_force(rows, "a", "cycle_time_p50_s", date(2026, 6, 2)) == rows[2]
    assert baseline_in_force(rows, "b", "cycle_time_p50_s", date(2026, 6, 2)) == rows[0]
    assert baseline_in_force(rows, "b", "error_rate", date(2026, 6, 2)) is None
    assert baseline_in_force(rows, "a", "cycle_time_p50_s", date(2025, 6, 2)) is None


def test_a_mix_of_workflows_has_a_baseline_only_where_its_workflows_have_one() -> None:
    runs = {"a": 60, "b": 40}
    assert mixed_baseline(DEFINITIONS["cycle_time_p50_s"], {"a": 10, "b": 90}, runs) == 10
    assert mixed_baseline(DEFINITIONS["cost_per_success_minor"], {"a": 10, "b": 20}, runs) == 14
    assert mixed_baseline(DEFINITIONS["throughput"], {"a": 10, "b": 20}, runs) == 30
    assert mixed_baseline(DEFINITIONS["cycle_time_p90_s"], {"a": 10, "b": 20}, runs) is None
    assert mixed_baseline(DEFINITIONS["error_rate"], {"a": 0.1, "b": None}, runs) is None


@pytest.mark.parametrize("key", DEFINITIONS)
def test_workflows_that_are_at_their_baselines_are_together_at_the_mixed_one(key: str) -> None:
    """Each workflow weighs what it does in the figure itself, whatever that divides by; failures here, SLAs there."""
    definition = DEFINITIONS[key]
    if definition.kind not in {Kind.SHARE, Kind.QUOTIENT, Kind.PART, Kind.COUNT}:
        return
    source = Random(key)
    top, scale = definition.numerator, 1 if definition.kind == Kind.SHARE else 1_000_000
    each = {
        name: {"finished": 9, definition.denominator: source.randint(100, 900), top: source.randint(1, 90) * scale}
        for name in "abc"
    }
    whole = {name: sum(row[name] for row in each.values()) for name in each["a"]}
    values = {name: figure_of(definition, row, "EUR").value for name, row in each.items()}
    together = figure_of(definition, whole, "EUR").value
    assert mixed_baseline(definition, values, mix_of(definition, each)) == pytest.approx(together, rel=1e-4)


def test_a_median_is_mixed_by_the_values_that_it_is_of() -> None:
    definition = DEFINITIONS["approval_latency_p50_s"]
    each = {"a": {"finished": 90, "decided": 1}, "b": {"finished": 10, "decided": 60}, "c": {"finished": 5}}
    mix = mix_of(definition, each)
    assert mix == {"a": 1, "b": 60, "c": 0}
    assert mixed_baseline(definition, {"a": 60, "b": 600, "c": 6}, mix) == 600


def test_a_query_asks_for_the_last_30_days_unless_it_says_otherwise() -> None:
    asked = filter_of({}, now=NOW, zone=BERLIN)
    assert asked.period == day_period(date(2026, 10, 23), date(2026, 11, 21), BERLIN)
    assert asked.simulated is False
    assert asked.size == BucketSize.DAY


@pytest.mark.parametrize(("to", "first"), [("2026-04-10", "2026-03-11"), ("2026-09-01", "2026-08-02")])
@pytest.mark.parametrize("asked_on", [datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC)])
def test_an_end_alone_asks_for_thirty_days_whatever_the_clocks_did_between(
    to: str, first: str, asked_on: datetime
) -> None:
    asked = filter_of({"to": to}, now=asked_on, zone=BERLIN)
    assert local_day(asked.period.start, BERLIN).isoformat() == first
    assert local_midnight(date.fromisoformat(to), BERLIN) == asked.period.end


def test_a_filter_says_itself_in_a_query_and_back() -> None:
    query = {
        "workflow": "w",
        "from": "2026-03-01",
        "to": "2026-04-01",
        "bucket": "week",
        "tz": "Europe/Berlin",
        "version": "2",
    }
    asked = filter_of(query, now=NOW, zone=ZoneInfo("UTC"))
    from urllib.parse import parse_qsl

    assert filter_of(dict(parse_qsl(asked.query)), now=NOW, zone=ZoneInfo("UTC")) == asked
    assert asked.period.start == local_midnight(date(2026, 3, 1), BERLIN)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-01-01", "from": "2026-02-01"}, "to"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"bucket": "minute"}, "bucket"),
        ({"bucket": "hour", "from": "2025-01-01", "to": "2026-01-01"}, "bucket"),
        ({"compare": "dreams"}, "compare"),
        ({"version": "two"}, "version"),
        ({"version": "99999999999999"}, "version"),
        ({"simulated": "yes"}, "simulated"),
        ({"range": "forever"}, "range"),
        ({"from": "0001-01-01"}, "from"),
        ({"from": "1980-01-01", "to": "2026-01-01"}, "from"),
    ],
)
def test_a_query_that_does_not_fit_names_its_field(query: dict[str, str], field: str) -> None:
    with pytest.raises(FilterProblem) as caught:
        filter_of(query, now=NOW, zone=BERLIN)
    assert caught.value.field == field


def test_sentences_never_claim_what_few_runs_cannot_carry() -> None:
    few = share(1, 12)
    assert "Too few" in finding_of(few, few, 0.1).text
    assert "Fell" in finding_of(share(40, 400), share(20, 400), None).text
    assert "Rose" in finding_of(share(20, 400), share(40, 400), None).text
    assert "Held" in finding_of(share(40, 400), share(40, 400), 0.2).text
    assert "Nothing got clearly worse" in attention_sentence([], None, 0).text


@pytest.mark.parametrize("key", DEFINITIONS)
def test_where_nothing_is_counted_there_is_a_value_or_the_reason_why_not(key: str) -> None:
    figure = figure_of(DEFINITIONS[key], with_totals(dict.fromkeys(ADDITIVE, 0)), "EUR")
    assert bool(figure.why_none) is (figure.value is None)


def test_every_sentence_can_be_said_with_its_values() -> None:
    nothing = with_totals(dict.fromkeys(ADDITIVE, 0))
    figures = {key: figure_of(one, nothing, "EUR") for key, one in DEFINITIONS.items()}
    _, why = verdict_of(figures)
    opening = value_sentence(figures["no_touch_rate"], 0, figures["savings_minor"], None)
    for sentence in (why, opening, finding_of(share(1, 400), share(300, 400), 0.5)):
        assert sentence.text % sentence.values


def test_the_first_sentence_has_one_denominator() -> None:
    counted = with_totals({**dict.fromkeys(ADDITIVE, 0), "succeeded": 5_139, "failed": 178, "no_touch": 2_877})
    figures = {key: figure_of(one, counted, "EUR") for key, one in DEFINITIONS.items()}
    said = value_sentence(figures["no_touch_rate"], figures["helped"].value, figures["savings_minor"], None)
    assert [said.values[name] for name in ("runs", "share", "helped", "failed")] == ["5,317", "54.1%", "42.5%", "3.3%"]


def test_the_same_seed_invents_the_same_history() -> None:
    traits = sample_traits(None, None)[1]
    told = [history_of(traits, seed=3, until=NOW, days=14, zone=BERLIN) for _ in range(2)]
    assert told[0].runs == told[1].runs
    assert told[0].costs == told[1].costs


def test_an_invented_quarter_looks_like_the_calibration() -> None:
    traits = sample_traits(None, None)[1]
    facts = history_of(traits, seed=7, until=NOW, days=91, zone=BERLIN)
    touched = {decision.run_id for decision in facts.decisions}
    weekdays: dict[date, int] = {}
    for run in facts.runs:
        assert run.finished_at is not None
        assert run.created_at <= run.started_at <= run.finished_at < NOW
        weekdays[run.started_at.date()] = weekdays.get(run.started_at.date(), 0) + 1
    assert sum(1 for run in facts.runs if run.started_at.astimezone(BERLIN).weekday() < 5) > 0.95 * len(facts.runs)
    busy = [n for day, n in weekdays.items() if day.weekday() < 5]
    assert statistics.variance(busy) / statistics.mean(busy) > 2
    medians, alone = [], []
    for version in (1, 2, 3):
        rows = [run for run in facts.runs if run.version == version and run.state == "succeeded"]
        medians.append(percentile([duration_ms(run.started_at, run.finished_at or NOW) for run in rows], 0.5))
        alone.append(sum(run.run_id not in touched for run in rows) / len(rows))
    assert medians == sorted(medians, reverse=True)  # type: ignore[type-var]
    assert alone == sorted(alone)


def test_every_invented_fact_belongs_to_an_invented_run() -> None:
    traits = sample_traits(None, None)[0]
    facts = history_of(traits, seed=1, until=NOW, days=30, zone=BERLIN)
    runs = {run.run_id for run in facts.runs}
    assert {row.run_id for row in (*facts.steps, *facts.decisions, *facts.costs)} <= runs
    assert len({step.step_id for step in facts.steps}) == len(facts.steps)
    assert len({(cost.kind, cost.source_id) for cost in facts.costs}) == len(facts.costs)


def test_periods_of_an_hour_are_not_whole_days() -> None:
    assert not is_whole_days(Period(NOW, NOW + timedelta(hours=1)), BERLIN)


@pytest.mark.parametrize(
    ("kpi", "text", "value"),
    [
        ("cycle_time_p50_s", "4.2 d", "362880.0"),
        ("cycle_time_p50_s", "2 d 4 h", "187200"),
        ("cycle_time_p50_s", "90", "90"),
        ("error_rate", "5 %", "0.05"),
        ("error_rate", "5", "0.05"),
        ("cost_per_success_minor", "52.00 EUR", "5200.00"),
        ("cost_per_success_minor", "1,250", "125000"),
        ("savings_minor", "−3.5", "-350.0"),
        ("throughput", "12", "12"),
    ],
)
def test_values_are_read_as_people_type_them(kpi: str, text: str, value: str) -> None:
    assert typed_value(DEFINITIONS[kpi], text, "EUR") == Decimal(value)


@pytest.mark.parametrize("text", ["", "soon", "5 x", "1,5 d", "NaN", "4 d tomorrow", "1e999999999", "٣"])
def test_what_is_no_value_is_refused(text: str) -> None:
    for kpi in ("cycle_time_p50_s", "error_rate", "cost_per_success_minor"):
        with pytest.raises(ValueError, match="no value"):
            typed_value(DEFINITIONS[kpi], text, "EUR")


@given(st.integers(0, 10**7))
def test_a_duration_reads_back_as_it_is_shown(seconds: int) -> None:
    definition = DEFINITIONS["cycle_time_p50_s"]
    shown = duration_text(seconds)
    assert duration_text(float(typed_value(definition, shown, "EUR"))) == shown
