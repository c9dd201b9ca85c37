"""Open hours: time that counts only while somebody is there, across both changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.rules import HORIZON, WEEKDAYS, OpenHours, hours_errors, moved_on, open_hours, part_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Havana",
)
OFFICE = {name: ["09:00-12:30", "13:30-17:00"] for name in WEEKDAYS[:5]}
ALL_DAY = {name: ["00:00-24:00"] for name in WEEKDAYS}
HOUR = timedelta(hours=1)


def office(zone="Europe/Berlin", holidays=()):
    return open_hours(timezone=zone, hours=OFFICE, holidays=holidays)


def at(text, zone="Europe/Berlin"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@st.composite
def calendars(draw):
    """A week of up to three slots a day, a few holidays, some zone."""
    week = []
    for _ in WEEKDAYS:
        edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
        week.append(tuple(zip(edges[::2], edges[1::2], strict=False)))
    if not any(week):
        week[draw(st.integers(0, 6))] = ((540, 1020),)
    days = st.dates(date(2026, 3, 1), date(2026, 11, 30))
    return OpenHours(ZoneInfo(draw(st.sampled_from(ZONES))), tuple(week), frozenset(draw(st.sets(days, max_size=5))))


INSTANTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 30), timezones=st.just(UTC))  # noqa: DTZ001 - aware by its zone
SPANS = st.timedeltas(timedelta(0), timedelta(hours=60))


@given(calendars(), INSTANTS, SPANS)
def test_what_is_added_lies_between(hours, start, span):
    due = hours.add(start, span)
    assert due >= start
    if due < start + HORIZON:
        assert hours.between(start, due) == span


@given(calendars(), INSTANTS, INSTANTS, SPANS, SPANS)
def test_later_or_longer_is_never_earlier(hours, one, other, short, long):
    first, second = sorted([one, other])
    less, more = sorted([short, long])
    assert hours.add(first, less) <= hours.add(second, less)
    assert hours.add(first, less) <= hours.add(first, more)
    assert hours.between(first, second) <= second - first


@given(calendars(), INSTANTS, INSTANTS, INSTANTS)
def test_open_time_adds_up(hours, a, b, c):
    one, two, three = sorted([a, b, c])
    assert hours.between(one, two) + hours.between(two, three) == hours.between(one, three)
    assert hours.between(three, one) == timedelta(0)


@given(calendars(), INSTANTS, SPANS)
def test_ends_turned_around_within_a_slot_are_no_time(hours, start, span):
    assert hours.between(start + span, start) == timedelta(0)


@given(st.sampled_from(ZONES), INSTANTS, SPANS)
def test_around_the_clock_open_time_is_elapsed_time(zone, start, span):
    hours = open_hours(timezone=zone, hours=ALL_DAY)
    assert hours.add(start, span) == start + span
    assert hours.between(start, start + span) == span
    assert hours.is_open(start)


@given(calendars(), INSTANTS, INSTANTS, st.integers(1, 10))
def test_working_days_end_while_somebody_is_there_and_keep_their_order(hours, one, other, days):
    first, second = sorted([one, other])
    due = hours.add_days(first, days)
    assert first < due <= hours.add_days(second, days)
    slots = hours.slots_of(due.astimezone(hours.zone).date())
    previous = hours.slots_of(due.astimezone(hours.zone).date() - timedelta(days=1))  # 24:00 is the next day's 00:00
    assert any(begins <= due <= ends for begins, ends in previous + slots)


def test_lunch_nights_and_weekends_do_not_count():
    hours = office()
    assert hours.add(at("2026-11-27T12:00"), HOUR) == at("2026-11-27T14:00")
    assert hours.add(at("2026-11-27T16:30"), HOUR) == at("2026-11-30T09:30")  # Friday to Monday
    assert hours.add(at("2026-11-28T10:00"), HOUR) == at("2026-11-30T10:00")
    assert hours.between(at("2026-11-27T00:00"), at("2026-12-01T00:00")) == 14 * HOUR
    assert [hours.is_open(at(f"2026-11-27T{text}")) for text in ("09:00", "12:30", "13:30", "17:00")] == [
        True,
        False,
        True,
        False,
    ]


def test_a_holiday_does_not_count():
    hours = office(holidays=["2026-12-25"])
    assert hours.add(at("2026-12-24T16:00"), 2 * HOUR) == at("2026-12-28T10:00")


@pytest.mark.parametrize(("day", "length"), [("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)])
def test_days_are_as_long_as_the_clocks_make_them(day, length):
    hours = open_hours(timezone="Europe/Berlin", hours=ALL_DAY)
    begins = at(f"{day}T00:00")
    ends = hours.add(begins, length * HOUR)
    assert ends.astimezone(ZoneInfo("Europe/Berlin")).isoformat()[11:19] == "00:00:00"
    assert hours.slots_of(date.fromisoformat(day)) == [(begins, ends)]


@pytest.mark.parametrize(
    ("day", "slot", "length"),
    [
        ("2026-03-29", "02:00-03:00", 0),
        ("2026-03-29", "01:00-03:00", 1),
        ("2026-03-29", "02:30-04:00", 1),
        ("2026-10-25", "02:00-03:00", 2),
        ("2026-10-25", "01:00-02:30", 1.5),
        ("2026-10-25", "02:30-04:00", 2.5),
    ],
)
def test_a_time_that_is_skipped_or_comes_twice(day, slot, length):
    hours = open_hours(timezone="Europe/Berlin", hours={"sun": [slot]})
    assert hours.between(at(f"{day}T00:00"), at(f"{day}T23:00")) == length * HOUR


def test_an_open_hour_spans_both_changes_of_the_clock():
    night = open_hours(timezone="Europe/Berlin", hours={"sat": ["22:00-24:00"], "sun": ["00:00-06:00"]})
    spring = night.between(at("2026-03-28T22:00"), at("2026-03-29T06:00"))
    autumn = night.between(at("2026-10-24T22:00"), at("2026-10-25T06:00"))
    assert (spring, autumn) == (7 * HOUR, 9 * HOUR)
    assert night.add(at("2026-03-28T23:00"), 4 * HOUR) == at("2026-03-29T04:00")
    assert night.add(at("2026-10-24T23:00"), 4 * HOUR) == datetime(2026, 10, 25, 1, tzinfo=UTC)


def test_a_zone_with_a_quarter_of_an_hour():
    hours = office("Asia/Kathmandu")
    assert hours.add(datetime(2026, 11, 27, 3, 15, tzinfo=UTC), HOUR) == datetime(2026, 11, 27, 4, 15, tzinfo=UTC)
    assert not hours.is_open(datetime(2026, 11, 27, 3, 14, tzinfo=UTC))


def test_a_day_that_never_was():
    hours = open_hours(timezone="Pacific/Apia", hours=ALL_DAY)
    assert hours.slots_of(date(2011, 12, 30)) == []
    assert hours.between(at("2011-12-29T12:00", "Pacific/Apia"), at("2011-12-31T12:00", "Pacific/Apia")) == 24 * HOUR


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-11-25T10:00", 2, "2026-11-27T10:00"),
        ("2026-11-26T10:00", 2, "2026-11-30T10:00"),  # over a weekend
        ("2026-11-28T10:00", 1, "2026-12-01T09:00"),  # from a Saturday: as if it came on Monday at nine
        ("2026-11-26T18:00", 1, "2026-11-30T09:00"),  # after closing
        ("2026-11-26T06:00", 1, "2026-11-27T09:00"),
        ("2026-12-24T10:00", 1, "2026-12-28T10:00"),  # a holiday
        ("2026-10-23T10:00", 1, "2026-10-26T10:00"),  # 73 hours, and the same time of day
    ],
)
def test_a_working_day_ends_at_the_same_time_of_day(start, days, due):
    assert office(holidays=["2026-12-25"]).add_days(at(start), days) == at(due)


def test_a_week_has_as_many_working_days_as_the_calendar():
    assert office().add_weeks(at("2026-11-25T10:00"), 2) == at("2026-12-09T10:00")


def test_what_never_opens_again_is_due_in_ten_years():
    hours = OpenHours(ZoneInfo("UTC"), ((),) * 7)
    assert hours.add(at("2026-11-25T10:00"), HOUR) == at("2026-11-25T10:00").astimezone(UTC) + HORIZON
    assert hours.add_days(at("2026-11-25T10:00"), 1) == at("2026-11-25T10:00").astimezone(UTC) + HORIZON


@pytest.mark.parametrize(
    ("timezone", "hours", "path"),
    [
        ("Europe/Nowhere", OFFICE, "timezone"),
        ("UTC", {}, "hours"),
        ("UTC", {"mon": []}, "hours"),
        ("UTC", {"monday": ["09:00-17:00"]}, "hours.monday"),
        ("UTC", {"mon": ["9-17"]}, "hours.mon.0"),
        ("UTC", {"mon": ["22:00-06:00"]}, "hours.mon.0"),
        ("UTC", {"mon": ["09:00-24:01"]}, "hours.mon.0"),
        ("UTC", {"mon": ["09:00-12:00", "11:00-13:00"]}, "hours.mon.1"),
    ],
)
def test_what_is_no_calendar_is_said_where(timezone, hours, path):
    assert list(hours_errors(timezone=timezone, hours=hours)) == [path]
    assert not hours_errors(timezone="UTC", hours=OFFICE)


@pytest.mark.parametrize(
    ("region", "open_on"),
    [
        ("", {"2026-05-01", "2026-06-04", "2026-10-03"}),
        ("DE", {"2026-06-04"}),
        ("DE-BY", set()),
        ("FR", {"2026-06-04", "2026-10-03"}),
    ],
)
def test_the_public_holidays_of_a_region_are_closed(region, open_on):
    week = {name: ["09:00-17:00"] for name in WEEKDAYS}
    found = open_hours(timezone="Europe/Berlin", hours=week, region=region)
    asked = ("2026-05-01", "2026-06-04", "2026-10-03")  # Labour Day, Corpus Christi, German Unity Day
    assert {day for day in asked if found.is_open(at(f"{day}T12:00"))} == open_on


def test_time_passes_over_holidays_of_every_year_it_reaches():
    found = open_hours(timezone="Europe/Berlin", hours=OFFICE, region="DE-BE")
    assert found.add_days(at("2026-12-23T10:00"), 2) == at("2026-12-28T10:00")
    assert found.add_days(at("2027-12-30T10:00"), 2) == at("2028-01-03T10:00")


@pytest.mark.parametrize("region", ["", "DE", "DE-BY", "US-CA"])
def test_a_region_is_a_country_or_a_part_of_one(region):
    assert "region" not in hours_errors(timezone="UTC", hours=OFFICE, region=region)


@pytest.mark.parametrize("region", ["de", "DE-", "DE-XX", "XX", "DE-BY-X", "Germany", "../DE", "DEU"])
def test_anything_else_is_none(region):
    assert "region" in hours_errors(timezone="UTC", hours=OFFICE, region=region)


def test_a_region_that_is_known_no_more_has_no_holidays():
    found = open_hours(timezone="Europe/Berlin", hours=OFFICE, region="DE-GONE")
    assert found.is_open(at("2026-05-01T10:00"))


def test_a_share_of_open_time_is_taken_where_something_is_open():
    start, due = at("2026-11-27T16:00"), at("2026-11-30T10:00")  # an hour on Friday, one on Monday
    assert part_of(start, due, office(), 0.5) == at("2026-11-27T17:00")
    assert part_of(start, due, office(), 0.75) == at("2026-11-30T09:30")


def test_what_ends_before_anything_opens_is_not_halfway_over_at_once():
    start, due = at("2026-11-27T18:00"), at("2026-11-28T18:00")  # a Friday evening and a Saturday
    assert part_of(start, due, office(), 0.5) == at("2026-11-28T06:00")
    assert part_of(start, due, None, 0.5) == at("2026-11-28T06:00")


def test_a_clock_that_stood_at_night_goes_on_as_far_ahead_as_it_was():
    stopped, now, due = at("2026-11-27T18:00"), at("2026-11-27T18:05"), at("2026-11-28T18:00")
    assert moved_on(due, stopped, now, office()) == at("2026-11-28T18:05")
    assert moved_on(at("2026-11-30T10:00"), stopped, now, office()) == at("2026-11-30T10:00")  # nothing open was missed
    assert moved_on(at("2026-11-27T17:00"), stopped, now, office()) == at("2026-11-27T17:05")  # late stays as late
