"""Two samples held against each other: scipy and brute force say the same, and what was measured holds."""

import csv
import gzip
import math
import os
import random
import statistics
import subprocess
import sys
from datetime import datetime
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.core.statistics import difference_interval
from apps.kpis.rules import comparing
from apps.kpis.rules.comparing import (
    Share,
    Sum,
    Times,
    adjusted,
    exact_test,
    mean_difference,
    needed_for_means,
    needed_for_shares,
    needed_for_times,
    on_enough_days,
    rank_test,
    share_difference,
    shows,
    time_difference,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
VALUES = st.lists(st.integers(1, 30).map(float), min_size=1, max_size=40)


def times(values: list[float], strata: list[int] | None = None, *, per_day: int = 1) -> Times:
    return Times(values, [at // per_day for at in range(len(values))], strata or [0] * len(values))


def drawn(seed: int, n: int, scale: float = 1.0) -> list[float]:
    source = random.Random(seed)
    return [scale * 3600 * source.lognormvariate(0, 1.1) for _ in range(n)]


class TestRanks:
    @given(VALUES, VALUES)
    def test_one_stratum_is_mann_and_whitney(self, now: list[float], was: list[float]) -> None:
        if len({*now, *was}) == 1:
            assert rank_test(times(now), times(was)) == 1.0
            return
        known = stats.mannwhitneyu(now, was, use_continuity=False, method="asymptotic").pvalue
        assert rank_test(times(now), times(was)) == pytest.approx(known, rel=1e-9, abs=1e-12)

    def test_strata_are_ranked_by_themselves(self) -> None:
        """Units of other kinds of work, each slower by the same: only ranks within them show it."""
        short, long = drawn(1, 60), [value * 100 for value in drawn(2, 60)]
        slower = times([*(v * 1.8 for v in short[:30]), *(v * 1.8 for v in long[:30])], [0] * 30 + [1] * 30)
        faster = times([*short[30:], *long[30:]], [0] * 30 + [1] * 30)
        together = rank_test(times(list(slower.values)), times(list(faster.values)))
        assert rank_test(slower, faster) < together

    def test_a_stratum_of_one_side_says_nothing(self) -> None:
        now, was = drawn(3, 40), drawn(4, 40)
        with_more = Times([*now, *drawn(5, 9)], [0] * 49, [0] * 40 + [1] * 9)
        assert rank_test(with_more, times(was)) == pytest.approx(rank_test(times(now), times(was)))


class TestExactTest:
    @given(st.integers(1, 60), st.integers(1, 60), st.data())
    def test_one_stratum_is_fishers(self, first: int, second: int, data: st.DataObject) -> None:
        a, b = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
        known = stats.fisher_exact([[a, first - a], [b, second - b]]).pvalue
        assert exact_test([Share(a, first)], [Share(b, second)]) == pytest.approx(known, rel=1e-6)

    def test_two_strata_by_counting_every_way(self) -> None:
        now, was = [Share(3, 4), Share(1, 3)], [Share(1, 3), Share(0, 3)]
        ways: dict[int, int] = {}
        for first in combinations(range(7), 4):
            for second in combinations(range(6), 3):
                held = sum(one < 4 for one in first) + sum(one < 1 for one in second)
                ways[held] = ways.get(held, 0) + 1
        total, seen = sum(ways.values()), ways[4]
        assert exact_test(now, was) == pytest.approx(sum(n for n in ways.values() if n <= seen) / total)

    def test_many_units_of_many_runs_take_no_time(self) -> None:
        """By the normal distribution of the sum: without the tails of each unit it would be 10^10 products."""
        now, was = [Share(60_300, 100_000)] * 8, [Share(60_000, 100_000)] * 8
        assert exact_test(now, was) == pytest.approx(math.erfc(2_400 / 2 / math.sqrt(2 * 8 * 50_000 * 0.24)), rel=0.05)
        assert exact_test([Share(99_000, 100_000)], [Share(1_000, 100_000)]) == 0.0

    def test_many_runs(self) -> None:
        known = stats.fisher_exact([[2_400, 57_600], [2_100, 57_900]]).pvalue
        assert exact_test([Share(2_400, 60_000)], [Share(2_100, 60_000)]) == pytest.approx(known, rel=1e-5)


class TestShares:
    @given(st.integers(1, 200), st.integers(1, 200), st.data())
    def test_one_stratum_has_newcombes_interval(self, first: int, second: int, data: st.DataObject) -> None:
        a, b = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
        found = share_difference([Share(a, first)], [Share(b, second)], [1.0])
        assert (found.low, found.high) == pytest.approx(difference_interval(a, first, b, second))
        assert found.low - 1e-12 <= found.value == a / first - b / second <= found.high + 1e-12

    def test_the_same_rates_in_another_mix_are_no_difference(self) -> None:
        """The older version ran mostly where little fails, the newer where much does; each unit is as it was."""
        now, was = [Share(2, 100), Share(180, 900)], [Share(18, 900), Share(20, 100)]
        found = share_difference(now, was, [0.5, 0.5])
        assert found.value == pytest.approx(0)
        assert found.low < 0 < found.high
        assert found.p > 0.9
        assert difference_interval(182, 1_000, 38, 1_000)[0] > 0.1  # what nobody may conclude

    def test_chance_keeps_to_its_twentieth(self) -> None:
        source, missed = np.random.default_rng(11), 0
        for _ in range(1_000):
            now = [Share(int(source.binomial(150, rate)), 150) for rate in (0.1, 0.3, 0.6)]
            was = [Share(int(source.binomial(80, rate)), 80) for rate in (0.1, 0.3, 0.6)]
            found = share_difference(now, was, [0.2, 0.3, 0.5])
            missed += not found.low <= 0 <= found.high
        assert missed < 75


def weathered(source: np.random.Generator, days_of: tuple[int, ...]) -> Times:
    """Units that ended something on so many days each, the first six a day, all others sixty.

    Each day is quick or slow for all of its unit.
    """
    values, days, strata = list[float](), list[int](), list[int]()
    for stratum, n in enumerate(days_of):
        many = 60 if stratum else 6
        for day in source.permutation(max(days_of))[:n]:
            level = (stratum + 1) * math.exp(source.normal(0, 0.5))
            values += [float(level * math.exp(one)) for one in source.normal(0, 0.8, many)]
            days += [int(day)] * many
            strata += [stratum] * many
    return Times(values, days, strata)


def told_apart(days_of: tuple[int, ...], times: int = 120) -> float:
    """How often two versions that are alike are told apart."""
    source, told, sizes = np.random.default_rng(12), 0, [6 * days_of[0], *(60 * days for days in days_of[1:])]
    for _ in range(times):
        now, was = (weathered(source, days_of) for _ in range(2))
        assert on_enough_days(now.cells, was.cells) == [0, 1, 2]
        found = time_difference(now, was, [one / sum(sizes) for one in sizes])
        assert found is not None
        told += found.is_apart
    return told / times


class TestTimes:
    def test_medians_are_those_of_everybody(self) -> None:
        now, was = drawn(1, 101), drawn(2, 98)
        found = time_difference(times(now), times(was), [1.0])
        assert found is not None
        assert found.value == pytest.approx(statistics.median(now) - statistics.median(was))
        assert found.low < found.value < found.high

    def test_the_same_question_has_the_same_answer(self) -> None:
        asked = (times(drawn(1, 80), per_day=4), times(drawn(2, 80), per_day=4), [1.0])
        assert time_difference(*asked) == time_difference(*asked)

    def test_days_are_drawn_and_not_runs(self) -> None:
        """Runs that are alike within a day say less than as many of their own; by brute force, too."""
        levels = drawn(7, 30)
        values = [level * (1 + at / 1000) for level in levels for at in range(10)]
        clustered = time_difference(times(values, per_day=10), times(drawn(8, 3_000)), [1.0])
        alone = time_difference(times(values), times(drawn(8, 3_000)), [1.0])
        assert clustered is not None
        assert alone is not None
        assert clustered.high - clustered.low > 2 * (alone.high - alone.low)
        source, days = np.random.default_rng(3), np.array(values).reshape(30, 10)
        other = np.array(drawn(8, 3_000))
        tried = [
            np.median(days[source.integers(0, 30, 30)]) - np.median(other[source.integers(0, 3_000, 3_000)])
            for _ in range(2_000)
        ]
        low, high = np.quantile(tried, [0.025, 0.975])
        assert (clustered.low, clustered.high) == pytest.approx((low, high), rel=0.12)

    def test_the_same_times_in_another_mix_are_no_difference(self) -> None:
        short, long = drawn(1, 400), [value * 50 for value in drawn(2, 400)]
        now = Times([*short[:40], *long[:360]], list(range(400)), [0] * 40 + [1] * 360)
        was = Times([*short[40:], *long[360:]], list(range(400)), [0] * 360 + [1] * 40)
        found = time_difference(now, was, [0.5, 0.5])
        assert found is not None
        assert found.low < 0 < found.high
        assert found.p > 0.05
        assert statistics.median(now.values) > 10 * statistics.median(was.values)

    def test_a_unit_of_few_days_moves_no_level_where_a_draw_lacks_it(self) -> None:
        """A third of the draws lack its one day. Without it the median would be that of the other unit alone."""
        source = np.random.default_rng(9)
        often = [float(value) for value in source.normal(100, 5, 56)]
        days, strata = [*(at // 2 for at in range(56)), *[3] * 60], [0] * 56 + [1] * 60
        now, was = (Times([*(value + more for value in often), *[1_000.0] * 60], days, strata) for more in (0.0, 10.0))
        found = time_difference(now, was, [0.4, 0.6])
        assert found is not None
        assert (found.value, found.low, found.high) == (0, 0, 0)
        dropped = [np.median(often), 1_000.0]
        assert dropped[1] - dropped[0] > 800  # what either side jumped by, a third of the time

    def test_only_strata_of_several_days_on_both_sides_are_held_against_each_other(self) -> None:
        days = [(0, day) for day in range(9)] + [(1, day) for day in range(4)] + [(2, day) for day in range(5)] * 3
        assert on_enough_days(days, [(one, day + 3) for one in (0, 1, 2, 3) for day in range(6)]) == [0, 2]
        assert on_enough_days(days, [(0, 1)] * 9) == []
        whole = Times([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], [0, 1, 2, 2])
        assert whole.only([2, 0]) == Times([1.0, 3.0, 4.0], [1, 3, 4], [1, 0, 0])

    @pytest.mark.parametrize("days_of", [(14, 5, 5), (14, 14, 14), (7, 7, 7)])
    def test_chance_keeps_to_its_twentieth_or_nearly_with_units_of_few_busy_days(
        self, days_of: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(comparing, "RESAMPLES", 400)
        assert told_apart(days_of) <= 0.13

    def test_units_of_fewer_days_would_be_told_apart_far_too_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Why they are left out: of one busy day nothing says how another would have been."""
        monkeypatch.setattr(comparing, "RESAMPLES", 400)
        monkeypatch.setattr(comparing, "FEWEST_OF_STRATUM", 1)
        assert told_apart((14, 1, 1)) > 0.3

    def test_six_days_say_nothing_of_days(self) -> None:
        assert time_difference(times(drawn(1, 600), per_day=100), times(drawn(2, 600)), [1.0]) is None

    def test_pieces_of_the_work_change_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = (times(drawn(1, 50)), times(drawn(2, 60)), [1.0])
        whole = time_difference(*asked)
        monkeypatch.setattr(comparing, "CELLS", 700)
        assert time_difference(*asked) == whole


def sums(values: list[float], strata: list[int] | None = None, *, per_day: int = 4) -> list[Sum]:
    """One of something each, so many of them a day."""
    return [Sum((strata or [0] * len(values))[at], at // per_day, value, 1) for at, value in enumerate(values)]


class TestMeans:
    def test_they_are_sums_over_sums(self) -> None:
        """Failures cost, and are none of those that it is divided by."""
        now = [Sum(0, day, 300.0, 2) for day in range(10)]
        was = [Sum(0, day, 100.0 * (1 + day % 2), 1) for day in range(10)]
        found = mean_difference(now, was, [1.0])
        assert found is not None
        assert found.value == pytest.approx(150 - 150)
        assert found.low < 0 < found.high
        assert found.p > 0.9

    def test_days_are_drawn_and_not_runs(self) -> None:
        """By brute force: the interval is that of resampled days, a little wider."""
        levels = drawn(7, 30)
        now, was = [level for level in levels for _ in range(10)], drawn(8, 300)
        found = mean_difference(sums(now, per_day=10), sums(was, per_day=10), [1.0])
        assert found is not None
        source, first, second = np.random.default_rng(3), np.array(now).reshape(30, 10), np.array(was).reshape(30, 10)
        tried = [
            first[source.integers(0, 30, 30)].mean() - second[source.integers(0, 30, 30)].mean() for _ in range(4_000)
        ]
        low, high = np.quantile(tried, [0.025, 0.975])
        assert (found.high - found.low) / (high - low) == pytest.approx(math.sqrt(30 / 29), rel=0.06)

    def test_the_same_costs_in_another_mix_are_no_difference(self) -> None:
        cheap, dear = drawn(1, 400), [value * 50 for value in drawn(2, 400)]
        now = sums([*cheap[:40], *dear[:360]], [0] * 40 + [1] * 360)
        was = sums([*cheap[40:], *dear[360:]], [0] * 360 + [1] * 40)
        found = mean_difference(now, was, [0.5, 0.5])
        assert found is not None
        assert found.low < 0 < found.high

    def test_a_unit_of_one_day_moves_no_level_where_a_draw_lacks_it(self) -> None:
        source = np.random.default_rng(9)
        now, was = ([Sum(0, day, level + source.normal(0, 5), 1) for day in range(28)] for level in (150, 100))
        alone = mean_difference(now, was, [1.0])
        both = mean_difference([*now, Sum(1, 3, 4 * 5_000.0, 4)], [*was, Sum(1, 9, 4 * 5_000.0, 4)], [28 / 32, 4 / 32])
        assert alone is not None
        assert both is not None
        assert both.value == pytest.approx(alone.value * 28 / 32)
        assert both.is_apart
        assert both.high - both.low == pytest.approx((alone.high - alone.low) * 28 / 32, rel=0.05)

    @pytest.mark.parametrize(("days", "most"), [(7, 0.13), (14, 0.1), (60, 0.08)])
    def test_chance_keeps_to_its_twentieth_or_nearly(self, days: int, most: float) -> None:
        source, told = np.random.default_rng(11), 0
        for _ in range(200):
            now, was = (sums(list(source.lognormal(0, 1, days * 8)), per_day=8) for _ in range(2))
            found = mean_difference(now, was, [1.0])
            assert found is not None
            told += found.is_apart and found.p < 0.05
        assert told / 200 <= most

    def test_four_times_in_five_it_is_seen(self) -> None:
        source, spread, seen = np.random.default_rng(5), math.sqrt(math.exp(0.8**2) - 1), 0
        n, told = needed_for_means(spread), []
        for _ in range(100):
            now, was = source.lognormal(math.log(0.8), 0.8, n), source.lognormal(0, 0.8, n)
            found = mean_difference(sums(list(now), per_day=10), sums(list(was), per_day=10), [1.0])
            assert found is not None
            told.append(found.needed)
            seen += found.p < 0.05
        assert statistics.median(told) == pytest.approx(n, rel=0.25)
        assert seen / 100 > 0.65

    def test_six_days_say_nothing_of_days_and_what_costs_nothing_differs_in_nothing(self) -> None:
        assert mean_difference(sums(drawn(1, 60), per_day=10), sums(drawn(2, 60)), [1.0]) is None
        free = mean_difference(sums([0.0] * 40), sums([0.0] * 40), [1.0])
        assert free is not None
        assert (free.value, free.p, free.is_apart) == (0, 1.0, False)


class TestSeveralAtOnce:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_adjusted_as_scipy_does(self, chances: list[float]) -> None:
        assert adjusted(chances) == pytest.approx(list(stats.false_discovery_control(chances)))

    def test_nothing_asked_is_nothing_answered(self) -> None:
        assert adjusted([]) == []


class TestHowManyAreNeeded:
    def test_what_was_measured_needs_about_that_many(self) -> None:
        """A median a fifth lower at a deviation of 1.1: 400 each; 4 % to 2 %: more than 1,000."""
        assert 370 <= needed_for_times(1.1) <= 420
        assert 1_000 <= needed_for_shares(0.04) <= 1_600

    def test_four_times_in_five_it_is(self) -> None:
        source, n, seen = np.random.default_rng(5), needed_for_times(1.1), 0
        for _ in range(300):
            now, was = source.lognormal(math.log(0.8), 1.1, n), source.lognormal(0, 1.1, n)
            seen += rank_test(times(list(now)), times(list(was))) < 0.05
        assert 0.72 < seen / 300 < 0.88

    @given(st.floats(0, 1))
    def test_every_share_needs_some(self, share: float) -> None:
        assert 500 <= needed_for_shares(share) <= 3_200
        assert needed_for_shares(share) == pytest.approx(needed_for_shares(1 - share), rel=0.01)

    def test_unequal_sides_count_as_the_smaller(self) -> None:
        assert shows(400, 400, 400)
        assert not shows(10_000, 190, 400)
        assert shows(10_000, 210, 400)


@pytest.mark.skipif(not (DATA.is_dir() or os.environ.get("CI")), reason="no real logs lie beside this clone")
def test_real_declarations_of_2018_against_2017() -> None:
    zone, cases = ZoneInfo("Europe/Amsterdam"), dict[str, tuple[datetime, datetime]]()
    with gzip.open(DATA / "domestic_declarations.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            first, last = datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["complete"])
            before = cases.get(row["case_id"], (first, last))
            cases[row["case_id"]] = min(before[0], first), max(before[1], last)
    ended = [((last - first).total_seconds() / 86_400, last.astimezone(zone).date()) for first, last in cases.values()]
    now, was = (
        Times(
            [days for days, day in ended if day.year == year],
            [day.toordinal() for _, day in ended if day.year == year],
            [0] * sum(day.year == year for _, day in ended),
        )
        for year in (2018, 2017)
    )
    found = time_difference(now, was, [1.0])
    assert found is not None
    assert (statistics.median(was.values), statistics.median(now.values)) == pytest.approx((6.91, 7.35), abs=0.005)
    assert found.p == pytest.approx(1.2e-21, rel=0.02)
    assert (found.low, found.high) == pytest.approx(
        (0.21, 1.63), abs=0.03
    )  # whole days by brute force; runs: 0.28, 1.42


def test_who_compares_nothing_loads_no_numpy() -> None:
    """Every door of the plane, its commands and its worker; checked in a process of its own."""
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "import django; django.setup()\n"
        "import controlplane.urls, controlplane.reactions, controlplane.schedule, apps.kpis.tasks, apps.kpis.urls\n"
        "print(sorted({'numpy', 'scipy'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
