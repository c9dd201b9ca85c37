"""Canonical JSON, strict JSON, digests."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from apps.core.rules import (
    Risk,
    ValueProblem,
    canonical_json,
    check_values,
    depth_of,
    digest_of,
    highest_risk,
    strict_json,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_canonical_reads_back_the_same(value):
    assert strict_json(canonical_json(value)) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9), min_size=2))
def test_the_order_of_keys_never_changes_a_digest(value):
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=2) | st.sampled_from(Risk),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(0, 9) | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_the_quick_encoder_writes_what_the_library_writes_and_refuses_what_it_refuses(value):
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(ValueProblem):
            canonical_json(value)
        return
    assert canonical_json(value) == wanted


def test_one_and_one_point_zero_have_the_same_digest():
    assert digest_of({"a": 1.0}) == digest_of({"a": 1})


@pytest.mark.parametrize(
    "raw",
    [b'{"a":1,"a":2}', b"NaN", b"[Infinity]", b"{", b"\xff", b"", b"[" * 65 + b"]" * 65, b"[" * 200_000, b'"\\ud800'],
)
def test_what_is_not_strict_json_is_refused(raw):
    with pytest.raises(ValueProblem):
        strict_json(raw)


def test_sixty_four_levels_are_read():
    assert strict_json(b"[" * 64 + b"]" * 64)


@given(st.text())
def test_brackets_inside_text_do_not_count_as_depth(text):
    assert depth_of(json.dumps(text)) == 0


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        10**400,
        1e16,
        -1e22,
        float("nan"),
        "a\x00b",
        "\ud800",
        {"a\x00": 1},
        [[float("inf")]],
        {"x": [2**60]},
    ],
)
def test_what_systems_of_record_do_not_survive_is_refused(value):
    with pytest.raises(ValueProblem):
        check_values(value)


def test_the_highest_risk_wins_and_none_is_low():
    assert highest_risk("low", None, "critical", "high") is Risk.CRITICAL
    assert highest_risk() is Risk.LOW
