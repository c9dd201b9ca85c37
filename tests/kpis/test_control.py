"""Control charts of weekly values: limits by hand, what is worth a look, and how often chance alone is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.kpis.rules.control import BASELINE, Week, Why, baseline_places, control_sentence, of_durations, of_shares


def weeks(*values: float | None, n: int = 50) -> list[Week]:
    return [Week(value, n) for value in values]


CALM = [10.0, 12.0] * (BASELINE // 2)


class TestDurations:
    def test_limits_are_the_mean_and_2_66_moving_ranges(self) -> None:
        found = of_durations(weeks(*CALM, 11.0))
        assert found is not None
        assert found.centre == 11.0
        assert found.low[0] == pytest.approx(11 - 2.66 * 2)
        assert found.high[-1] == pytest.approx(11 + 2.66 * 2)
        assert (found.first, found.last, found.signals) == (0, 23, ())

    def test_a_week_outside_is_worth_a_look(self) -> None:
        found = of_durations(weeks(*CALM, 16.4, 11.0, 5.6))
        assert found is not None
        assert found.signals == ((24, Why.ABOVE), (26, Why.BELOW))

    def test_so_are_eight_in_a_row_on_one_side_and_what_goes_on(self) -> None:
        found = of_durations(weeks(*CALM, *[10.5] * 9))
        assert found is not None
        assert found.signals == ((31, Why.RUN_BELOW), (32, Why.RUN_BELOW))

    @given(st.floats(0.001, 1e7))
    def test_what_never_changes_is_never_worth_a_look(self, value: float) -> None:
        for of in (of_durations, of_shares):
            found = of(weeks(*[value if of is of_durations else value / 1e7] * 40))
            assert found is not None
            assert found.signals == ()

    def test_no_limit_is_below_nothing(self) -> None:
        found = of_durations(weeks(*[1.0, 9.0] * 12))
        assert found is not None
        assert found.low[0] == 0.0

    def test_weeks_without_enough_runs_are_no_points_and_break_no_row(self) -> None:
        few = [Week(99.0, 4), Week(None, 0)]
        found = of_durations([*weeks(*CALM), *weeks(*[10.5] * 4), *few, *weeks(*[10.5] * 4)])
        assert found is not None
        assert found.signals == ((33, Why.RUN_BELOW),)
        assert found.low[28] is None


class TestTheBaseline:
    def test_fewer_than_24_points_say_nothing(self) -> None:
        assert of_durations(weeks(*CALM[:-1])) is None
        assert of_shares(weeks(*[0.1] * 23)) is None
        assert baseline_places([*weeks(*CALM[:-1]), Week(1.0, 4)], ()) is None

    def test_a_new_one_begins_with_a_version_once_it_is_whole(self) -> None:
        series = weeks(*CALM, *[5.0] * 23)
        assert baseline_places(series, [24]) == list(range(24))
        assert baseline_places([*series, *weeks(5.0)], [24]) == list(range(24, 48))

    def test_what_was_before_it_is_not_looked_at(self) -> None:
        found = of_durations(weeks(*[50.0] * 3, *CALM), [3])
        assert found is not None
        assert (found.first, found.signals) == (3, ())


class TestShares:
    @given(st.integers(5, 400), st.floats(0.01, 0.99), st.data())
    def test_a_week_is_out_where_its_wilson_interval_leaves_the_share_out(
        self, n: int, share: float, data: st.DataObject
    ) -> None:
        k = data.draw(st.integers(2, n - 2))
        found = of_shares([*[Week(share, 1_000)] * BASELINE, Week(k / n, n)])
        assert found is not None
        low, high = stats.binomtest(k, n).proportion_ci(1 - 2 * stats.norm.sf(3), method="wilson")
        if min(abs(share - low), abs(share - high)) > 1e-9:
            assert bool(found.signals) == (not low <= share <= high)

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_one_run_of_what_never_happened_is_not_out_of_line(self, share: float) -> None:
        always = [Week(share, 50)] * BASELINE
        once, twice = (of_shares([*always, Week(abs(share - k / 50), 50)]) for k in (1, 2))
        assert once is not None
        assert twice is not None
        assert once.signals == ()
        assert twice.signals == ((24, Why.BELOW if share else Why.ABOVE),)

    def test_few_runs_reach_further(self) -> None:
        found = of_shares([*[Week(0.04, 500)] * BASELINE, Week(0.2, 10), Week(0.2, 100)])
        assert found is not None
        assert found.signals == ((25, Why.ABOVE),)


class TestWords:
    LABELS = [f"W{place}" for place in range(40)]

    def test_which_week_and_against_which(self) -> None:
        found = control_sentence(of_durations(weeks(*CALM, 16.4, 11.0, 5.6)), self.LABELS, 27)
        assert found.text % found.values == (
            "Worth a look, against W0 to W23: 2 of the weeks, the last W26, below what is usual."
        )

    def test_nothing_and_too_little(self) -> None:
        calm, few = control_sentence(of_durations(weeks(*CALM)), self.LABELS, 24), control_sentence(None, [], 7)
        assert calm.text % calm.values == "No week is out of line with W0 to W23."
        assert few.text % few.values == "7 of 24 weeks with at least 5 runs: too few to say what is usual."


def test_chance_alone_is_as_rare_as_was_measured() -> None:
    """Weekly medians of 50 lognormal runs: about one point in seventy after a baseline of 24 (kpis.md, 2.5)."""
    drawn = random.Random(7)
    seen = outside = 0
    for _ in range(400):
        series = [sorted(drawn.lognormvariate(0, 1.1) for _ in range(50)) for _ in range(50)]
        found = of_durations([Week((run[24] + run[25]) / 2, 50) for run in series])
        assert found is not None
        seen += 26
        outside += sum(place >= BASELINE and why in {Why.ABOVE, Why.BELOW} for place, why in found.signals)
    assert 0.005 < outside / seen < 0.03
