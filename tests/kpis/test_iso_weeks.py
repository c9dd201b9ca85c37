"""ISO weeks and outages: pure rules."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kpis.rules.changes import CallHour, outages_of
from apps.kpis.rules.weeks import Week, ended_week, week_named, week_of

BERLIN = ZoneInfo("Europe/Berlin")
NINE = datetime(2026, 11, 10, 9, tzinfo=UTC)


@given(st.dates(date(2001, 1, 10), date(2090, 1, 1)))
def test_a_week_is_found_by_its_name_and_holds_its_days(day: date) -> None:
    week = week_of(day)
    assert week_named(str(week)) == week
    assert week.monday <= day <= week.sunday
    assert week.moved(1).moved(-1) == week
    assert week.period(BERLIN).end == week.moved(1).period(BERLIN).start


@given(st.integers(0, 120 * 365 * 24))
def test_the_ended_week_is_over_and_the_next_is_not(hours: int) -> None:
    instant = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    week = ended_week(instant, BERLIN)
    assert week.period(BERLIN).end <= instant < week.moved(1).period(BERLIN).end


@pytest.mark.parametrize(
    "name", ["2026-W54", "2026-W00", "2026-47", "0001-W01", "2026-W4", "2026-W470", "٢٠٢٦-W10", ""]
)
def test_what_names_no_week_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}$"):
        week_named(name)


def test_a_week_with_a_change_of_clocks_has_its_real_length() -> None:
    assert Week(date(2026, 3, 23)).period(BERLIN).length == timedelta(hours=167)
    assert Week(date(2026, 10, 19)).period(BERLIN).length == timedelta(hours=169)


def hour(system: str, at: int, calls: int, troubles: int) -> CallHour:
    return CallHour(system, NINE + timedelta(hours=at), calls, troubles)


def test_adjoining_hours_of_mostly_failed_calls_are_one_outage() -> None:
    hours = [hour("a", 0, 10, 5), hour("a", 1, 8, 8), hour("a", 2, 10, 4), hour("a", 3, 10, 9), hour("b", 4, 6, 6)]
    found = [(one.system, one.at, one.until, one.troubles, one.calls) for one in outages_of(hours)]
    assert found == [
        ("a", NINE, NINE + timedelta(hours=2), 13, 18),
        ("a", NINE + timedelta(hours=3), NINE + timedelta(hours=4), 9, 10),
        ("b", NINE + timedelta(hours=4), NINE + timedelta(hours=5), 6, 6),
    ]


def test_few_calls_are_no_outage() -> None:
    assert outages_of([hour("a", 0, 4, 4)]) == []
