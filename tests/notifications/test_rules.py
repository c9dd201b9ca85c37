"""Timing, quiet hours, texts: properties."""

import unicodedata
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.rules import Risk
from apps.notifications.models import SUBJECTS
from apps.notifications.rules import (
    DELIVERY_MOVES,
    RETRY_AFTER_S,
    Channel,
    DeliveryState,
    Event,
    Timing,
    after_quiet,
    default_timing,
    digest_at,
    event_of,
    for_chat,
    one_line,
    retry_after_s,
    sources_of,
    split_webhook,
    timing_of,
    unlinked,
)
from apps.notifications.services.letters import KINDS

MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]).map(ZoneInfo)
CLOCKS = st.times().map(lambda at: at.replace(second=0, microsecond=0))


def test_grave_risks_come_at_once_and_the_others_in_digests() -> None:
    for channel in (Channel.EMAIL, Channel.CHAT):
        assert [default_timing(channel, risk) for risk in Risk] == [
            Timing.DIGEST, Timing.DIGEST, Timing.NOW, Timing.NOW,
        ]  # fmt: skip
    assert {default_timing(Channel.IN_APP, risk) for risk in Risk} == {Timing.NOW}


@given(st.sampled_from(Channel), st.sampled_from(Risk), st.sampled_from(Timing))
def test_a_wish_goes_before_the_default(channel: Channel, risk: Risk, timing: Timing) -> None:
    assert timing_of(channel, risk, {(channel, risk): timing}) == timing
    assert timing_of(channel, risk, {}) == default_timing(channel, risk)


@given(MOMENTS, st.sampled_from(Risk), ZONES)
def test_a_digest_leaves_within_the_hour_or_the_day(now: datetime, risk: Risk, zone: ZoneInfo) -> None:
    when = digest_at(now, risk, zone)
    local = when.astimezone(zone)
    assert now < when
    if risk == Risk.LOW:
        assert (local.hour, local.minute) == (7, 0)
        assert when - now <= timedelta(hours=25)
    else:
        assert local.minute == 0
        assert when - now <= timedelta(hours=1)


@given(MOMENTS, CLOCKS, CLOCKS, ZONES)
def test_quiet_hours_end_and_never_hasten(now: datetime, begins: time, ends: time, zone: ZoneInfo) -> None:
    if begins == ends:
        return
    when = after_quiet(now, begins, ends, zone)
    assert now - timedelta(hours=1) <= when <= now + timedelta(hours=25)  # an hour that a clock change repeats
    if when != now:
        assert when.astimezone(zone).time().replace(second=0, microsecond=0) == ends or _is_skipped(when, ends, zone)


def _is_skipped(when: datetime, ends: time, zone: ZoneInfo) -> bool:
    """Whether the end falls into the hour that a clock change leaves out."""
    local = datetime.combine(when.astimezone(zone).date(), ends, zone)
    return local.astimezone(UTC).astimezone(zone).time() != ends


@pytest.mark.parametrize(
    ("at", "until"),
    [("21:59", "21:59"), ("22:00", "07:00"), ("03:00", "07:00"), ("06:59", "07:00"), ("07:00", "07:00")],
)
def test_quiet_hours_pass_over_midnight_and_are_half_open(at: str, until: str) -> None:
    now = datetime.combine(datetime(2027, 3, 1, tzinfo=UTC), time.fromisoformat(at), UTC)
    when = after_quiet(now, time(22), time(7), ZoneInfo("UTC"))
    assert when.strftime("%H:%M") == until
    assert when >= now


@given(st.integers(-3, 30))
def test_attempts_end(attempts: int) -> None:
    later = retry_after_s(attempts)
    assert (later is None) == (not 1 <= attempts <= len(RETRY_AFTER_S))
    assert later is None or later == RETRY_AFTER_S[attempts - 1]


def test_what_is_over_stays_over() -> None:
    assert sources_of(DeliveryState.SENDING) == ["queued"]
    assert set(DELIVERY_MOVES) == set(DeliveryState)
    for state in ("delivered", "failed", "suppressed"):
        assert DELIVERY_MOVES[state] == frozenset()


@given(st.text(max_size=400), st.integers(10, 200))
def test_a_line_is_one_line_with_nothing_hidden(text: str, limit: int) -> None:
    found = one_line(text, limit)
    assert len(found) <= limit
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in found)


@given(st.text(max_size=200))
def test_a_chat_gets_no_link_and_no_mention(text: str) -> None:
    found = for_chat(text)
    assert "<" not in found
    assert "@" not in found
    assert "://" not in found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See https://evil.example/x", "See https:evil[.]example/x"),
        ("www.evil.example", "www[.]evil[.]example"),
        ("12,400.00 EUR. Done.", "12,400.00 EUR. Done."),
        ("ACME Corp.", "ACME Corp."),
    ],
)
def test_addresses_in_text_are_no_links(text: str, shown: str) -> None:
    assert unlinked(text) == shown


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/",
        "https://hooks.example",
        "https://hooks.example/x#y",
        "https://hooks.example/x?a b",
        "https://hooks.example/x?a=\r\nHost: evil",
        "https://hooks.example/" + "x" * 1_000,
    ],
)
def test_an_odd_webhook_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^[^?]*$") as refused:
        split_webhook(url)
    assert "hooks" not in str(refused.value)


def test_an_undone_decision_tells_nobody() -> None:
    assert event_of("escalation.pending", {}) == Event.WAITING
    assert event_of("escalation.pending", {"undone": True}) is None
    assert event_of("escalation.claimed", {}) is None


def test_whatever_a_notice_is_about_has_a_word() -> None:
    assert KINDS.keys() == {*SUBJECTS} - {"escalation"}
