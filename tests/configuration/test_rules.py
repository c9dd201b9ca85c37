"""The kinds of documents: what fits, what does not, and that the page about them is complete."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.configuration.rules import KINDS, Misfit, look, moment_of, slug_of
from apps.configuration.rules.kinds import SHAPES

PAGE = (Path(__file__).parents[2] / "docs" / "documents.md").read_text()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_the_page_names_every_key(kind):
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {kind} "))
    for key in SHAPES[kind].required:
        assert f"**{key}**" in row
    for key in SHAPES[kind].optional:
        assert key in row


@given(st.sampled_from(KINDS), st.dictionaries(st.text(max_size=12), json_values, max_size=6))
def test_nothing_breaks_the_reader(kind, value):
    assert list(look(kind, {**value, "kind": kind})) or kind in {"Workflow", "Target"}
    slug_of(kind, value)


@given(st.sampled_from(sorted(SHAPES)), st.text(min_size=1, max_size=12), json_values)
def test_a_key_that_nobody_knows_is_named(kind, key, value):
    shape = SHAPES[kind]
    if key in {*shape.required, *shape.optional, "kind", "state"}:
        return
    findings = [found for found in look(kind, {"kind": kind, key: value}) if isinstance(found, Misfit)]
    assert any(found.path == (key,) and "Unknown key" in found.message for found in findings)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_day_means_its_end_and_a_time_what_it_says(text, moment):
    assert moment_of(text) == moment


@pytest.mark.parametrize("value", ["2027-02-30", "2027-01-31T12:00:00", "tomorrow", "", 20270131, None, True, ["x"]])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match="wanted"):
        moment_of(value)


def test_goals_are_named_by_what_they_are_about():
    assert slug_of("Target", {"workflow": "w", "kpi": "k"}) == "w.k"
    assert slug_of("Baseline", {"kpi": "k", "from": "2026-01-01"}) == "all.k.2026-01-01"
