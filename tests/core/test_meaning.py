"""Expressions that look different and say the same, and those that only look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import Declarations, Kind, compile_expression, meaning_of

WORLD = Declarations({"a": Kind.MAP, "b": Kind.MAP, "each": Kind.MAP, "n": Kind.INT})
NAMES = st.sampled_from(["x", "y", "member", "each"])


def meaning(source: str) -> object:
    return meaning_of(compile_expression(source, WORLD).tree)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("n+1", " n\n +  1 // one more"),
        ("n + 1", "((n) + (1))"),
        ("a.x == 'y'", 'a.x == "y"'),
        ("a.x.y", "a['x']['y']"),
        ("a.l.exists(x, x.n > 1)", "a.l.exists(y, y.n > 1)"),
        ("a.l.map(x, x.l.map(y, x.n > y.n))", "a.l.map(y, y.l.map(x, y.n > x.n))"),
        ("n == 16", "n == 0x10"),
    ],
)
def test_what_only_looks_different_is_the_same(one: str, other: str) -> None:
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a.x", "b.x"),
        ("a.x", "a.y"),
        ("has(a.x)", "a.x"),
        ("n - 1 - 1", "n - (1 - 1)"),
        ("a.x == 1", "a.x == 1.0"),
        ("a.x == 1", "a.x == '1'"),
        ("a.x == true", "a.x == 1"),
        ("a.x || b.x", "a.x && b.x"),
        ("[1, 2]", "[2, 1]"),
        ("{'x': 1}", "{'y': 1}"),
        ("{'x': 1}", "['x', 1]"),
        ("{'x': 'y'}", "{'y': 'x'}"),
        ("a.x == a.MapOf", "a.x == {a: 1}"),
        ("a.l.all(x, x.n > 1)", "a.l.exists(x, x.n > 1)"),
        ("a.l.map(x, x.l.map(y, x.n))", "a.l.map(x, x.l.map(y, y.n))"),
        ("a.l.map(each, each.n)", "a.l.map(x, each.n)"),
        ("a.x[0]", "a.x['0']"),
    ],
)
def test_what_only_looks_alike_is_not(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)


@given(NAMES, NAMES, st.integers(0, 3), st.integers(0, 3))
def test_names_of_members_and_spaces_do_not_matter(one: str, other: str, before: int, after: int) -> None:
    said = "a.l.filter({name}, {name}.n > n).map({name}, {name}.n)"
    spaced = said.replace(" ", " " * (before + 1)).replace(",", "," + "\n" * after)
    assert meaning(said.format(name=one)) == meaning(spaced.format(name=other))
