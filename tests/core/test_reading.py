"""What of a large variable expressions look at: nothing else changes what they come to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import Declarations, Kind, compile_expression, joined_readings, narrowed, reading_of

DECLARED = Declarations({"a.p": Kind.MAP, "a.q": Kind.MAP, "n": Kind.INT})
READINGS = {
    "n > 1": {},
    "a.q.x == 1": {},
    "a.p.x == 1": {"x": None},
    "a.p.x.y == 1 && a.p.x.z == 2 || a.p.w": {"x": {"y": None, "z": None}, "w": None},
    "a.p.x.y == 1 && a.p.x == a.q": {"x": None},
    "a.p.x == a.q && a.p.x.y == 1": {"x": None},
    "has(a.p.x) && has(a.p.v.y)": {"x": None, "v": {"y": None}},
    "a.p == a.q": None,
    "size(a.p) > 2": None,
    "'x' in a.p": None,
    "a.p['x'] == 1": None,
    "a.p[a.q.k] == 1": None,
    "'t' in a.p.x": {"x": None},
    "a.p.x[0].y == 1": {"x": None},
    "a.p.x.all(l, l.y > 0)": {"x": {"*": {"y": None}}},
    "a.p.x.exists(l, true)": {"x": {"*": {}}},
    "a.p.x.exists(l, l == 3)": {"x": {"*": None}},
    "a.p.x.exists(l, l.y.exists(m, m.z == a.p.w))": {"x": {"*": {"y": {"*": {"z": None}}}}, "w": None},
    "a.p.x.exists(l, a.q.x.exists(l, l.z == 1) && l.y == 1)": {"x": {"*": {"y": None}}},
    "a.p.x.filter(l, l.y > 0).size() > 1": {"x": {"*": None}},
    "a.p.x.map(l, l.y).size() > 1": {"x": {"*": {"y": None}}},
    "[a.p.x, a.p.w].exists(l, l.z == 1)": {"x": None, "w": None},
    "a.p.exists(k, k == 'x')": {"*": None},
    "(n > 1 ? a.p.x : a.p.w).exists(l, l.y == 1)": {"x": None, "w": None},
    "[1].exists(a, .a.p.x == 1)": {"x": None},
}


def compiled(source: str) -> Any:
    return compile_expression(source, DECLARED)


@pytest.mark.parametrize(("source", "reading"), READINGS.items())
def test_what_an_expression_looks_at(source: str, reading: Any) -> None:
    assert reading_of(compiled(source).tree, "a.p") == reading


def test_what_several_look_at() -> None:
    assert joined_readings({"x": {"y": None}}, {"x": {"z": {}}, "w": {}}) == {"x": {"y": None, "z": {}}, "w": {}}
    assert joined_readings({"x": {"y": None}}, {"x": None}) == {"x": None}
    assert joined_readings({}, None) is None


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["x", "t", ""]), st.just(1.0))
FIELDS = st.sampled_from(["x", "y", "z", "w", "v", "k", "*"])
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(FIELDS, below, max_size=4)),
    max_leaves=12,
)
MAPS = st.dictionaries(FIELDS, VALUES, max_size=5)


@given(mine=MAPS, other=MAPS, n=st.integers(0, 3))
def test_the_rest_changes_nothing(mine: Any, other: Any, n: int) -> None:
    for source in READINGS:
        program = compiled(source)
        less = narrowed(mine, reading_of(program.tree, "a.p"))
        whole, narrow = (program.evaluate(DECLARED.activation({"a.p": p, "a.q": other, "n": n})) for p in (mine, less))
        assert repr(whole) == repr(narrow), source
