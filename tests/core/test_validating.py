"""Schemas that others wrote: what no text, value or schema can do to the time that checking takes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from apps.core.validating import STEPS_MAX, flaw_of_schema, schema_errors


def said(schema: Any, value: object) -> list[str]:
    return [error.message for error in schema_errors(schema, value, most=20)]


DOUBLING = {
    "$defs": {
        **{f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)},
        "d40": {"type": "string"},
    },
    "$ref": "#/$defs/d0",
}
"""A trillion looks at one value, in two kilobytes."""
CIRCLE = {"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^([a-z]+ ?)+$", "(a|aa)*$", "(x+x+)+y"])
def test_a_pattern_s_time_grows_with_the_text(pattern: str) -> None:
    assert flaw_of_schema({"pattern": pattern}) is None
    assert said({"pattern": f"{pattern}z"}, "a" * 100_000) != []


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        (DOUBLING, {}, "too long to check"),
        (CIRCLE, {"a": 1}, "never ends"),
        ({"items": {"properties": {"a": {}, "b": {}}}}, [{"a": 1, "b": 2}] * STEPS_MAX, "too long to check"),
        ({"items": {"enum": list(range(10_000))}}, list(range(1_000)), "too long to check"),
        ({"patternProperties": {f"x{n}": {} for n in range(500)}}, dict.fromkeys(map(str, range(500))), "too long"),
        ({"$ref": "#/nowhere"}, 1, "leads nowhere"),
        ({"pattern": "(?=a)"}, "a", "too long to check"),
        ({"unevaluatedProperties": False}, {"a": 1}, "not supported"),
    ],
    ids=["doubling", "circle", "many", "enum", "patterns", "nowhere", "old-pattern", "unevaluated"],
)
def test_what_cannot_be_checked_in_time_is_not_taken(schema: Any, value: object, why: str) -> None:
    (message,) = said(schema, value)
    assert why in message


@pytest.mark.parametrize(
    ("schema", "path", "why"),
    [
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, ("properties", "a", "pattern"), "known ahead"),
        ({"properties": {"a": {"pattern": "(a)\\1"}}}, ("properties", "a", "pattern"), "known ahead"),
        ({"patternProperties": {"(": {}}}, ("patternProperties",), "known ahead"),
        ({"pattern": "a" * 1_001}, ("pattern",), "at most 1000"),
        ({"items": [{"$ref": "http://evil.example/x"}]}, ("items",), "not of type"),
        ({"allOf": [{"$ref": "http://evil.example/x"}]}, ("allOf", 0, "$ref"), "only to itself"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, ("properties", "a", "$ref"), "leads nowhere"),
        ({"$ref": "#anchor"}, ("$ref",), "leads nowhere"),
        ({"allOf": [{"$ref": "#"}]}, (), "never ends"),
        (CIRCLE, (), "never ends"),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"if": {"$ref": "#/$defs/a"}}}}, (), "never ends"),
        ({"unevaluatedProperties": False}, ("unevaluatedProperties",), "not supported"),
        ({"$dynamicRef": "#a"}, ("$dynamicRef",), "not supported"),
        ({"type": "objekt"}, ("type",), "objekt"),
        (DOUBLING, (), "too long to check"),
    ],
)
def test_schemas_that_are_not_taken(schema: Any, path: tuple[Any, ...], why: str) -> None:
    flaw = flaw_of_schema(schema)
    assert flaw is not None
    assert flaw[0] == path
    assert why in flaw[1]


def test_a_tree_may_be_described() -> None:
    tree = {"$defs": {"a/b": {"properties": {"below": {"items": {"$ref": "#/$defs/a~1b"}}}}}, "$ref": "#/$defs/a~1b"}
    assert flaw_of_schema(tree) is None
    assert said(tree, {"below": [{"below": []}]}) == []


def test_a_property_may_be_called_like_a_keyword() -> None:
    assert flaw_of_schema({"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}}) is None


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([1.0, "a", "bb", ""])),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.sampled_from("abx"), below, max_size=3)),
    max_leaves=8,
)
SCHEMAS = st.recursive(
    st.sampled_from([
        {}, True, False, {"type": "string"}, {"type": ["integer", "null"]}, {"pattern": "^a"}, {"uniqueItems": True},
        {"minLength": 2}, {"enum": [1, "a", None]}, {"required": ["a"]}, {"const": 1},
    ]),
    lambda below: st.one_of(
        st.fixed_dictionaries(
            {"additionalProperties": below},
            optional={"properties": st.dictionaries(st.sampled_from("ab"), below, max_size=2),
                      "patternProperties": st.dictionaries(st.sampled_from(["^a", "x$"]), below, max_size=2)},
        ),
        st.fixed_dictionaries({"items": below}, optional={"uniqueItems": st.booleans()}),
        st.fixed_dictionaries({"anyOf": st.lists(below, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": below}),
    ),
    max_leaves=6,
)  # fmt: skip


@given(schema=SCHEMAS, value=VALUES)
def test_it_takes_what_the_library_takes(schema: Any, value: object) -> None:
    assert bool(said(schema, value)) is not Draft202012Validator(schema).is_valid(value)
