"""Drills, as far as they ask nobody: exactly one fault is planted, and what it takes to catch it."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.rules import MAX_INTEGER
from apps.oversight.rules import (
    WEEK,
    DrillOutcome,
    Fault,
    Planted,
    VoteVerdict,
    faults_for,
    gap_for,
    outcome_of,
    value_at,
)
from apps.oversight.rules.drills import other_target

PAYMENT = {"pay": {"amount_minor": 250_000, "iban": "DE0017"}, "currency": "EUR"}
PATHS = {"target": "pay.iban", "amount": "pay.amount_minor"}

payments = st.fixed_dictionaries(
    {
        "pay": st.fixed_dictionaries(
            {"amount_minor": st.integers() | st.booleans() | st.text(), "iban": st.text() | st.none()}
        ),
        "note": st.text(),
    }
)


@given(payments, st.booleans())
def test_each_fault_changes_its_own_value_and_nothing_else(payment, evidence):
    before = deepcopy(payment)
    for planted in faults_for(payment, **PATHS, evidence=evidence):
        changed = planted.applied(payment)
        assert payment == before
        if planted.fault == Fault.DOCUMENTS:
            assert evidence
            assert changed == payment
            continue
        assert value_at(changed, planted.path) == planted.value != value_at(payment, planted.path)
        assert Planted(planted.fault, planted.path, value_at(payment, planted.path)).applied(changed) == payment


@given(st.text())
def test_another_target_is_as_long_and_differs_in_one_sign(said):
    other = other_target(said)
    if any(one.isascii() and one.isalnum() for one in said):
        assert len(other) == len(said)
        assert sum(left != right for left, right in zip(said, other, strict=True)) == 1
    else:
        assert other == ""


@given(st.integers(max_value=0) | st.integers(min_value=MAX_INTEGER // 10 + 1) | st.booleans() | st.text())
def test_what_is_no_amount_or_would_be_none_is_not_multiplied(amount):
    found = faults_for({"amount": amount}, target="", amount="amount", evidence=False)
    assert found == []


def test_ten_times_is_ten_times():
    target, amount, documents = faults_for(PAYMENT, **PATHS, evidence=True)
    assert target == Planted(Fault.TARGET, "pay.iban", "DE0018")
    assert amount == Planted(Fault.AMOUNT, "pay.amount_minor", 2_500_000)
    assert documents == Planted(Fault.DOCUMENTS)
    assert faults_for({}, **PATHS, evidence=False) == []
    assert amount.applied({"pay": "gone"}) == {"pay": "gone"}


@pytest.mark.parametrize(
    ("verdict", "edited", "outcome"),
    [
        ("reject", None, DrillOutcome.CAUGHT),
        ("request_changes", None, DrillOutcome.CAUGHT),
        ("approve", None, DrillOutcome.MISSED),
        ("approve", {"pay": {"amount_minor": 250_000}}, DrillOutcome.CAUGHT),
        ("approve", {"pay": {"amount_minor": 2_500_000, "iban": "DE0099"}}, DrillOutcome.MISSED),
    ],
)
def test_it_is_caught_unless_the_wrong_value_is_approved(verdict, edited, outcome):
    assert outcome_of(VoteVerdict(verdict), Planted(Fault.AMOUNT, "pay.amount_minor", 2_500_000), edited) == outcome


def test_approving_without_documents_misses_it_whatever_else_is_edited():
    assert outcome_of(VoteVerdict.APPROVE, Planted(Fault.DOCUMENTS), {"pay": 1}) == DrillOutcome.MISSED


@given(st.integers(1, 10), st.floats(0, 1))
def test_the_next_one_comes_around_its_share_of_a_week(per_week, chance):
    assert WEEK / per_week / 2 <= gap_for(per_week, chance) <= WEEK / per_week * 1.5
