"""How sure a percentile is: the values that enclose it, what a figure shows of them, and what differs beyond chance."""

from math import log
from random import Random

import numpy as np
import pytest
from scipy.stats import binom

from apps.kpis.rules import DEFINITIONS
from apps.kpis.rules.figures import Figure, differs, differs_from, figure_of
from apps.kpis.rules.sentences import interval_text
from apps.kpis.rules.statistics import order_ranks


def test_an_upper_limit_of_p90_does_not_exist_below_36() -> None:
    assert order_ranks(29, 0.9)[1] is None
    assert order_ranks(36, 0.9)[1] == 36
    assert order_ranks(100, 0.9) == (84, 96)
    assert order_ranks(5, 0.5) == (None, None)
    assert order_ranks(6, 0.5) == (1, 6)
    assert order_ranks(50, 0.0) == order_ranks(50, 1.0) == order_ranks(0, 0.5) == (None, None)


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [1001, 1500, 4000])
def test_ranks_of_many_values_enclose_those_that_are_counted_out(
    monkeypatch: pytest.MonkeyPatch, n: int, fraction: float
) -> None:
    low, high = order_ranks(n, fraction)
    monkeypatch.setattr("apps.kpis.rules.statistics.EXACT_N", n)
    exact = order_ranks(n, fraction)
    assert None not in (low, high, *exact)
    assert exact[0] - 2 <= low <= exact[0] < exact[1] <= high <= exact[1] + 2


@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.5, 0.9, 0.95])
def test_ranks_are_those_of_the_binomial_distribution(fraction: float) -> None:
    for n in (*range(1, 121), 300, 777, 1000):
        below = binom.cdf(np.arange(n), n, fraction)  # by another library: what it says of 0 to n - 1 values below
        low, high = np.flatnonzero(below <= 0.025), np.flatnonzero(below >= 0.975)
        expected = (int(low[-1]) + 1 if low.size else None, int(high[0]) + 1 if high.size else None)
        assert order_ranks(n, fraction) == expected, n


@pytest.mark.parametrize(("n", "fraction"), [(30, 0.5), (60, 0.9), (1200, 0.95)])
def test_an_interval_of_a_percentile_holds_it_nineteen_times_of_twenty(n: int, fraction: float) -> None:
    random, held = Random(1), 0
    low, high = order_ranks(n, fraction)
    for _ in range(400):
        ranked = sorted(random.expovariate(1) for _ in range(n))
        held += ranked[low - 1] <= -log(1 - fraction) <= ranked[high - 1]
    assert held / 400 >= 0.93


def test_a_figure_of_a_time_shows_its_interval_open_where_there_are_too_few_values() -> None:
    told = {"cycle_p90": 7_200_000.0, "cycle_p90_low": 3_600_000.0, "cycle_p90_high": None, "succeeded": 20}
    figure = figure_of(DEFINITIONS["cycle_time_p90_s"], told, "EUR")
    assert (figure.value, figure.low, figure.high, interval_text(figure)) == (7200, 3600, None, "≥ 1 h")
    both = figure_of(DEFINITIONS["cycle_time_p90_s"], {**told, "cycle_p90_high": 9_000_000.0}, "EUR")
    assert interval_text(both) == "1 h–2 h 30 m"
    few = figure_of(DEFINITIONS["cycle_time_p90_s"], {**told, "succeeded": 9}, "EUR")
    assert (few.value, few.low, few.high, interval_text(few)) == (None, None, None, "")


def test_times_differ_beyond_chance_where_their_intervals_say_so() -> None:
    def median(value: float, low: float, high: float) -> Figure:
        return Figure(DEFINITIONS["cycle_time_p50_s"], value, 100, "EUR", low=low, high=high)

    assert differs(median(100, 98, 102), median(110, 108, 112))
    assert not differs(median(100, 60, 180), median(160, 90, 240))
    assert differs_from(median(100, 98, 102), was=110, days=1)
    assert not differs_from(median(100, 60, 180), was=160, days=1)
