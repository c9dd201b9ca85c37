"""Amounts as people write them, and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.core.amounts import EXPONENTS, TooLargeError, exponent_of, minor_of, plain_number, whole_text


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("800", "EUR", 80_000),
        ("800.00", "eur", 80_000),
        (" 1,240.5 ", "EUR", 124_050),
        ("0", "EUR", 0),
        ("1,240", "JPY", 1_240),
        ("1.240", "KWD", 1_240),
    ],
)
def test_what_people_write_is_kept_in_minor_units(text: str, currency: str, minor: int) -> None:
    assert minor_of(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "ten", "-1", "1e3", "0x10", "20.000", "800.005", "1.240,50", "12,34", "1 000", "\u0661"]
)
def test_what_may_be_meant_otherwise_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"no value|more digits"):
        minor_of(text, "EUR")


@pytest.mark.parametrize("text", ["99999999999999999999.00", "9" * 17, "90,071,992,547,409.92"])
def test_what_cannot_be_kept_is_said_to_be_too_large(text: str) -> None:
    with pytest.raises(TooLargeError, match="too large"):
        minor_of(text, "EUR")


def test_a_currency_without_minor_units_takes_no_decimals() -> None:
    with pytest.raises(ValueError, match="more digits"):
        minor_of("12.0", "JPY")


@example(2**53 - 1, "JPY")
@given(st.integers(0, 2**53 - 1), st.sampled_from([*sorted(EXPONENTS), "BTC"]))
def test_a_form_begins_with_what_it_gives_back(minor: int, currency: str) -> None:
    assert minor_of(whole_text(minor, currency), currency) == minor
    assert plain_number(whole_text(minor, currency)).scaleb(exponent_of(currency)) == minor
