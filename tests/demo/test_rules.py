"""Declarations out of an event log."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.demo.rules import LogError, cents_of, declarations_in


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_half_a_cent_goes_up_and_less_goes_down(cents: int, hundredths: int) -> None:
    text = str(Decimal(cents) / 100 + Decimal(hundredths) / 10_000)
    assert cents_of(text, 1) == cents + (hundredths >= 50)


@pytest.mark.parametrize("text", ["", "ten", "-0.01", "NaN", "Infinity"])
def test_what_is_no_amount_names_its_line(text: str) -> None:
    with pytest.raises(LogError, match="Line 7"):
        cents_of(text, 7)


def test_a_case_counts_once_and_in_the_order_of_the_log() -> None:
    rows = [
        {"case_id": name, "case_amount": amount}
        for name, amount in [("b", "1"), ("a", "2.005"), ("b", "1"), ("c", "3")]
    ]
    found = declarations_in(rows, limit=2)
    assert [(one.case_id, one.amount_minor) for one in found] == [("b", 100), ("a", 201)]
    assert found[0].key == "declaration:b"
    assert found[0].input == {"declaration_id": "b", "amount_minor": 100, "currency": "EUR"}


def test_another_log_is_refused() -> None:
    with pytest.raises(LogError, match="case_amount"):
        declarations_in([{"case_id": "a"}], limit=1)
