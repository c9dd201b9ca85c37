"""Whether an hour is unusual: tails as scipy has them, the same hour through changes of the clock, what is told."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.kpis.rules.anomalies import (
    Hour,
    Sign,
    Unusual,
    binomial_tail,
    is_told,
    last_whole_hour,
    poisson_from,
    poisson_up_to,
    same_hours,
    signs_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
USUAL = [Hour(started=20 + at % 3, finished=40, wrong=at % 2) for at in range(8)]


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.001, 0.999))
def test_binomial_tails(k: int, n: int, share: float) -> None:
    known = float(stats.binom.sf(k - 1, n, share))
    assert binomial_tail(k, n, share) == pytest.approx(known, rel=1e-6, abs=1e-300)


@given(st.integers(0, 400), st.floats(0.01, 200))
def test_poisson_tails(k: int, mean: float) -> None:
    assert poisson_up_to(k, mean) == pytest.approx(float(stats.poisson.cdf(k, mean)), rel=1e-6, abs=1e-300)
    assert poisson_from(k, mean) == pytest.approx(float(stats.poisson.sf(k - 1, mean)), rel=1e-6, abs=1e-12)


def local(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold).astimezone(UTC)  # type: ignore[misc]


class TestTheSameHour:
    def test_by_the_clock_on_the_wall_through_a_change(self) -> None:
        """09:00 in summer is 07:00 UTC, in winter 08:00 UTC: people begin by the wall."""
        found = same_hours(local(2026, 11, 10, 9), BERLIN)
        assert found[0] == datetime(2026, 11, 3, 8, tzinfo=UTC)
        assert found[2] == datetime(2026, 10, 20, 7, tzinfo=UTC)
        assert all(one is not None and one.astimezone(BERLIN).hour == 9 for one in found)

    def test_an_hour_that_a_spring_night_skips_is_not_there(self) -> None:
        found = same_hours(local(2026, 4, 5, 2), BERLIN)
        assert found[0] is None  # 2026-03-29 02:00 was never
        assert [one is None for one in found].count(True) == 1

    def test_both_hours_of_an_autumn_night_have_the_one_of_other_weeks(self) -> None:
        first, second = local(2026, 10, 25, 2), local(2026, 10, 25, 2, fold=1)
        assert second - first == timedelta(hours=1)
        assert same_hours(first, BERLIN) == same_hours(second, BERLIN)

    def test_one_of_two_hours_is_taken_and_not_both(self) -> None:
        assert same_hours(local(2026, 11, 1, 2), BERLIN)[0] == local(2026, 10, 25, 2)

    def test_zones_of_half_hours(self) -> None:
        kolkata = ZoneInfo("Asia/Kolkata")
        start = datetime(2026, 11, 10, 3, tzinfo=UTC)
        assert same_hours(start, kolkata)[0] == start - timedelta(weeks=1)


def test_an_hour_is_judged_when_it_is_over_and_settled() -> None:
    at = datetime(2026, 11, 10, 12, 9, tzinfo=UTC)
    assert last_whole_hour(at, timedelta(minutes=10)) == datetime(2026, 11, 10, 10, tzinfo=UTC)
    assert last_whole_hour(at + timedelta(minutes=1), timedelta(minutes=10)) == datetime(2026, 11, 10, 11, tzinfo=UTC)


class TestSigns:
    def test_usual_hours_have_none(self) -> None:
        assert signs_of(Hour(22, 40, 1), USUAL) == []

    def test_failures(self) -> None:
        (sign,) = signs_of(Hour(21, 40, 12), USUAL)
        assert (sign.kind, sign.count, sign.of) == (Unusual.FAILURES, 12, 40)
        assert sign.chance == pytest.approx(float(stats.binom.sf(11, 40, 0.0125)), rel=1e-6)

    def test_four_failures_are_nothing_to_tell_however_rare(self) -> None:
        assert signs_of(Hour(20, 4, 4), [Hour(20, 400, 0)] * 8) == []

    def test_what_never_failed_may_fail_once(self) -> None:
        assert signs_of(Hour(0, 40, 5), [Hour(0, 5, 0)] * 8) == []
        assert [one.kind for one in signs_of(Hour(0, 40, 5), [Hour(0, 500, 0)] * 8)] == [Unusual.FAILURES]

    def test_many_more_and_none_at_all(self) -> None:
        assert [one.kind for one in signs_of(Hour(started=60), USUAL)] == [Unusual.MORE]
        assert [one.kind for one in signs_of(Hour(started=0), USUAL)] == [Unusual.FEWER]

    def test_bursts_that_are_usual_are_no_sign(self) -> None:
        bursts = [Hour(started=n) for n in (2, 60, 5, 40, 3, 70, 8, 50)]
        assert signs_of(Hour(started=90), bursts) == []
        assert signs_of(Hour(started=0), bursts) == []

    def test_three_weeks_say_nothing(self) -> None:
        assert signs_of(Hour(20, 40, 40), USUAL[:3]) == []

    def test_told_is_what_is_very_rare_or_lasts(self) -> None:
        rare = Sign(Unusual.FAILURES, 9, 40, 1.0, 5e-5)
        assert not is_told(rare, [])
        assert not is_told(rare, [Sign(Unusual.MORE, 60, 60, 20.0, 5e-5)])
        assert is_told(rare, [rare])
        assert is_told(Sign(Unusual.FAILURES, 20, 40, 1.0, 9e-7), [])


def test_chance_alone_is_told_of_less_than_once_in_ten_thousand_hours() -> None:
    """Poisson starts and binomial failures without any change: hardly ever told of."""
    source, told = np.random.default_rng(4), 0
    for _ in range(4_000):
        weeks = [Hour(int(source.poisson(20)), 40, int(source.binomial(40, 0.05))) for _ in range(8)]
        hours = [Hour(int(source.poisson(20)), 40, int(source.binomial(40, 0.05))) for _ in range(2)]
        before = signs_of(hours[0], weeks)
        told += sum(is_told(sign, before) for sign in signs_of(hours[1], weeks))
    assert told <= 4
