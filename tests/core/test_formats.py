from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.formats import (
    MISSING,
    any_of,
    brief,
    duration,
    last_day,
    money,
    percent,
    points,
    pretty_json,
    short_digest,
    short_id,
    signed,
    time_tag,
)
from apps.core.revealing import reveal


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1240000, "EUR", "12,400.00 EUR"),
        (-5, "USD", "−0.05 USD"),
        (1240000, "JPY", "1,240,000 JPY"),
        (1240000, "KWD", "1,240.000 KWD"),
        (0, "EUR", "0.00 EUR"),
        (None, "EUR", "—"),
    ],
)
def test_money_knows_the_exponent_of_its_currency(minor: int | None, currency: str, text: str) -> None:
    assert money(minor, currency) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (42, "42 s"),
        (720, "12 min"),
        (11520, "3 h 12 m"),
        (3600, "1 h"),
        (187200, "2 d 4 h"),
        (None, "—"),
        (-90, "−1 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: int | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0347, "35 ms"),
        (0.9996, "1.0 s"),
        (2.44, "2.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (75.4, "1 min"),
    ],
)
def test_what_a_program_took_is_said_in_parts_of_a_second(seconds: float, text: str) -> None:
    assert brief(seconds) == text


def test_missing_values_are_a_dash_and_never_a_zero() -> None:
    assert {percent(None), points(None), signed(None), short_id(None), short_digest("")} == {"—"}
    assert percent(0.0) == "0.0%"


def test_differences_of_shares_are_percentage_points() -> None:
    assert points(-0.024) == "−2.4 pp"
    assert points(0.006) == "+0.6 pp"


def test_a_time_tells_the_instant_in_utc_and_escapes_its_text() -> None:
    tag = time_tag(datetime(2026, 11, 21, 14, 2, tzinfo=UTC), "<now>", data_left="1")
    assert tag == (
        '<time datetime="2026-11-21T14:02:00+00:00" title="2026-11-21 14:02:00 UTC" data-left="1">&lt;now&gt;</time>'
    )


HIDDEN = (
    "\u202e\u202d\u2066\u200b\u200d\u2060\ufeff\u00ad\u00a0\u3000\u2028"
    "\u115f\u2800\x00\x1b\x7f\U000e0041\ufe01\U000e0101"
)


@pytest.mark.parametrize("char", HIDDEN)
def test_every_invisible_or_turning_character_becomes_a_token(char: str) -> None:
    shown = reveal(f"a{char}b")
    assert char not in shown
    assert f"U+{ord(char):04X}" in shown


def test_an_emoji_keeps_its_variation_and_ordinary_text_is_untouched() -> None:
    assert reveal("Größe ☂\ufe0f 東京\n\tok") == "Größe ☂\ufe0f 東京\n\tok"
    assert "U+FE0F" in reveal("pay\ufe0f")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://bank.example/pay?to=x", "https://<strong>bank.example</strong>/pay?to=x"),
        ("https://bank.example@evil.example/", "https://bank.example@<strong>evil.example</strong>/"),
        ("https://evil.example\\@bank.example", "https://<strong>evil.example</strong>\\@bank.example"),
        ("http://[::1]:80/", "http://<strong>[::1]</strong>:80/"),
        ("a.payer@bank.example", "a.payer@<strong>bank.example</strong>"),
        ("invoice.pdf of ACME Inc., 1.2.3", "invoice.pdf of ACME Inc., 1.2.3"),
        ("Prüfung.pdf", "Prüfung.pdf"),
    ],
)
def test_the_host_of_an_address_stands_out_and_nothing_else(text: str, shown: str) -> None:
    assert reveal(text) == shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://p\u0430ypal.com/", ["xn--pypal-4ve.com", "mixed alphabets"]),
        ("pay@p\u0430ypal.com", ["xn--pypal-4ve.com", "mixed alphabets"]),
        ("to p\u0430ypal.com now", ["xn--pypal-4ve.com", "mixed alphabets"]),
        ("https://xn--pypal-4ve.com/", ["looks like “p\u0430ypal.com”", "mixed alphabets"]),
        ("https://\u0430\u0440\u0440\u04cf\u0435.com/", ["xn--80ak6aa92e.com"]),
        ("https://\uff50aypal.com/", [">paypal.com<"]),
        ("https://bank\u3002example/", [">bank.example<"]),
    ],
)
def test_a_host_that_looks_like_another_says_what_it_is(text: str, words: list[str]) -> None:
    for word in words:
        assert word in reveal(text)
    assert reveal(text).count("mixed alphabets") == ("mixed alphabets" in words)


def test_stacked_marks_and_long_rows_of_hidden_characters_are_counted() -> None:
    assert "<span" not in reveal("é ộ ё नि")
    assert "296 hidden characters: U+0335 ×296" in reveal("Z" + "\u0335" * 300)
    assert len(reveal("\u200b\u200c" * 50_000)) < 200
    assert len(reveal("\u200ba" * 50_000)) < 800_000


@given(st.text())
def test_revealed_text_opens_no_tag_of_its_own(text: str) -> None:
    shown = reveal(text)
    assert shown.count("<") == sum(map(shown.count, ("<span", "</span>", "<strong>", "</strong>")))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_pretty_json_opens_no_tag_but_spans(value: object) -> None:
    shown = pretty_json(value)
    assert shown.count("<") == sum(map(shown.count, ("<span", "</span>", "<strong>", "</strong>")))


def test_long_json_says_that_it_is_cut() -> None:
    assert "more characters" in pretty_json("x" * 30_000)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["Ada"], "Ada"),
        (["Ada", "Ben"], "Ada or Ben"),
        (["Ada", "Ben", "Cleo", "Eve"], "Ada, Ben, Cleo or Eve"),
        (["Ada", "Ben", "Cleo", "Eve", "Olga"], "Ada, Ben, Cleo or 2 others"),
    ],
)
def test_names_are_joined_as_people_say_them(names, said):
    assert any_of(names) == said


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (datetime(2026, 12, 1, tzinfo=UTC), "30 Nov 2026, to its end in UTC"),
        (datetime(2026, 12, 1, 1, tzinfo=timezone(timedelta(hours=1))), "30 Nov 2026, to its end in UTC"),
        (datetime(2026, 12, 1, 9, 30, tzinfo=UTC), "1 Dec 2026, 09:30"),
    ],
)
def test_what_ends_with_a_day_says_that_day(end: datetime, said: str) -> None:
    assert f">{said}</time>" in last_day(end)
    assert last_day(None) == MISSING
