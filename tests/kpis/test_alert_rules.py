"""Whether a backlog grows: its heights, its chance, and what is too little to tell."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kpis.rules.alerts import GROWTH, HEIGHT_DAYS, RARE, growth_of, more_of, open_after, still_grows

LEVEL = [(5, 5)]
counts = st.tuples(st.integers(0, 40), st.integers(0, 40))


@given(st.integers(0, 500), st.lists(counts, min_size=HEIGHT_DAYS + 1, max_size=HEIGHT_DAYS + 1))
def test_what_is_told_is_a_new_height_beyond_chance(opened: int, days: Sequence[tuple[int, int]]) -> None:
    found = growth_of(opened, days)
    ends = [opened + sum(started - ended for started, ended in days[:at]) for at in range(len(days) + 1)]
    assert open_after(opened, days) == ends[-1]
    assert still_grows(opened, days) == (ends[-1] > ends[-8])
    if found is None:
        return
    assert found.now == ends[-1] > found.highest == max(ends[:-1])
    assert found.chance < RARE
    assert max(sum(started - ended for started, ended in days[-span:]) for span in (7, 28)) >= GROWTH


@given(st.integers(0, 40), st.integers(0, 500))
def test_what_keeps_up_is_never_told(a_day: int, opened: int) -> None:
    assert growth_of(opened, [(a_day, a_day)] * (HEIGHT_DAYS + 1)) is None


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ([(9, 2)] * 7, True),
        ([(10, 0)] + LEVEL * 6, False),  # 40 of 70: not beyond chance
        (LEVEL * 6 + [(40, 4)], True),  # 70 of 104, one bad day
        (LEVEL * 5 + [(40, 4), (5, 5)], False),  # the day after, it is no new height
        ([(9, 0), (0, 0)] * 3 + [(1, 0)], True),
    ],
)
def test_the_last_days_against_a_level(last: Sequence[tuple[int, int]], told: bool) -> None:
    days = [(5, 5)] * (HEIGHT_DAYS + 1 - len(last)) + [*last]
    assert (growth_of(30, days) is not None) == told


@pytest.mark.parametrize(("growth", "told"), [(GROWTH - 1, False), (GROWTH, True)])
def test_fewer_than_ten_more_are_nothing_to_tell(growth: int, told: bool) -> None:
    days = [(0, 0)] * HEIGHT_DAYS + [(growth, 0)]
    assert (growth_of(0, days) is not None) == told
    assert more_of(0, days) == growth


def test_what_was_as_high_56_days_ago_is_no_new_height_and_57_days_ago_is() -> None:
    fell, rose = (0, 30), (30, 0)
    assert growth_of(30, [fell, *[(0, 0)] * (HEIGHT_DAYS - 1), rose]) is None
    assert growth_of(0, [(0, 0)] * HEIGHT_DAYS + [rose]) is not None
