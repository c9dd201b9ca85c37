"""Whether an hour is unusual: tails as scipy has them, the same hour through changes of the clock, what is told."""

from bisect import bisect_left
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
    beta_binomial_tail,
    binomial_tail,
    is_told,
    last_whole_hour,
    negative_binomial_from,
    negative_binomial_up_to,
    same_hours,
    signs_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
USUAL = [Hour(started=20 + at % 3, finished=40, wrong=at % 2) for at in range(8)]


@given(st.integers(0, 200), st.integers(1, 200), st.floats(0.001, 0.999))
def test_binomial_tails(k: int, n: int, share: float) -> None:
    known = float(stats.binom.sf(k - 1, n, share))
    assert binomial_tail(k, n, share) == pytest.approx(known, rel=1e-6, abs=1e-300)


@given(st.integers(0, 200), st.integers(1, 200), st.integers(1, 400), st.integers(1, 4_000))
def test_beta_binomial_tails(k: int, n: int, a: int, b: int) -> None:
    known = float(stats.betabinom.pmf(range(k, n + 1), n, a, b).sum())
    assert beta_binomial_tail(k, n, a, b) == pytest.approx(known, rel=1e-6, abs=1e-300)


@given(st.integers(0, 400), st.floats(1, 2_000), st.integers(4, 8))
def test_negative_binomial_tails(k: int, seen: float, hours: int) -> None:
    known = stats.nbinom(seen, hours / (hours + 1))
    assert negative_binomial_up_to(k, seen, hours) == pytest.approx(float(known.cdf(k)), rel=1e-6, abs=1e-300)
    assert negative_binomial_from(k, seen, hours) == pytest.approx(float(known.sf(k - 1)), rel=1e-6, abs=1e-12)


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
        assert sign.chance == pytest.approx(float(stats.betabinom.pmf(range(12, 41), 40, 5, 317).sum()), rel=1e-6)
        assert sign.expected == pytest.approx(40 * 5 / 322)

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


VERY_RARELY, RARELY = 1e-6, 1e-4


@pytest.mark.parametrize("weeks", [4, 8])
@pytest.mark.parametrize("runs", [6, 20, 40, 100])
@pytest.mark.parametrize("share", [0.0035, 0.01, 0.03, 0.1, 0.4])
def test_failures_by_chance_are_told_of_as_rarely_as_is_said(weeks: int, runs: int, share: float) -> None:
    """Counted out, no runs made: over all that the weeks may have shown, and all that the hour may show then."""
    fails = stats.binom.sf(np.arange(-1, runs + 1), runs, share)  # so many or more; never more than there are
    found = np.zeros(2)
    for wrong, likely in enumerate(stats.binom.pmf(np.arange(weeks * runs + 1), weeks * runs, share)):
        if likely > 1e-12:
            past = [Hour(finished=runs, wrong=len(range(week, wrong, weeks))) for week in range(weeks)]
            found += likely * fails[[first_of(Unusual.FAILURES, past, chance) for chance in (VERY_RARELY, RARELY)]]
    assert (found < (VERY_RARELY, RARELY)).all()


def first_of(kind: Unusual, past: list[Hour], chance: float) -> int:
    """The fewest failures of an hour such as these that are less likely than ``chance``; one more than all: none."""
    runs, low = past[0].finished, 0
    high = runs + 1
    while low < high:
        at = (low + high) // 2
        signs = signs_of(Hour(finished=runs, wrong=at), past)
        told = any(sign.kind == kind and sign.chance < chance for sign in signs)
        low, high = (low, at) if told else (at + 1, high)
    return low


@pytest.mark.parametrize("weeks", [4, 8])
@pytest.mark.parametrize("mean", [1, 3, 10, 20, 60])
def test_starts_by_chance_are_told_of_as_rarely_as_is_said(weeks: int, mean: int) -> None:
    """Histories by Poisson's distribution, and of each what may follow counted out; half more for their luck."""
    source, histories = np.random.default_rng(4), 300
    many, few = (stats.poisson.sf(np.arange(-1, 1000), mean), stats.poisson.cdf(np.arange(-1, 1000), mean))
    found = dict.fromkeys((Unusual.MORE, Unusual.FEWER), np.zeros(2))
    for _ in range(histories):
        past = [Hour(started=int(n)) for n in source.poisson(mean, weeks)]
        for place, chance in enumerate((VERY_RARELY, RARELY)):
            told = np.zeros(2)
            told[place] = 1 / histories
            most = bisect_left(range(999), True, mean, key=lambda n: is_sign(Unusual.MORE, n, past, chance))
            least = bisect_left(range(mean + 1), True, key=lambda n: not is_sign(Unusual.FEWER, n, past, chance))
            found[Unusual.MORE] = found[Unusual.MORE] + told * many[most]
            found[Unusual.FEWER] = found[Unusual.FEWER] + told * few[least]
    assert all((rates < (1.5 * VERY_RARELY, 1.5 * RARELY)).all() for rates in found.values()), found


def is_sign(kind: Unusual, started: int, past: list[Hour], chance: float) -> bool:
    """Whether an hour in which so many started is less likely than ``chance``."""
    return any(sign.kind == kind and sign.chance < chance for sign in signs_of(Hour(started=started), past))
