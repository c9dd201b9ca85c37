"""Where schemas name classes, what carries them, and the marks in their place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.classification.rules import Veil, carried, classed_by, covers, marked, restored, unmarked

KNOWN = frozenset({"bank", "personal"})
IBAN = "NL91ABNA0417164300"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "iban": {"type": "string", "x-data-class": "bank"},
        "payee": {"$ref": "#/$defs/Person"},
        "lines": {"type": "array", "items": {"anyOf": [{"properties": {"to": {"x-data-class": "bank"}}}]}},
        "more": {"type": "object", "additionalProperties": {"x-data-class": "personal"}},
        "note": {"type": "string"},
    },
    "$defs": {"Person": {"properties": {"name": {"x-data-class": "personal"}}}},
}
CLASSED = {"bank": [["iban"], ["lines", "*", "to"]], "personal": [["more", "*"], ["payee", "name"]]}
VALUE = {"iban": IBAN, "payee": {"name": "Ada Visser"}, "lines": [{"to": "DE89370400440532013000"}], "note": "ok"}


def test_classes_are_found_along_references_lists_and_unnamed_properties():
    assert classed_by(SCHEMA, KNOWN) == (CLASSED, {})


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"iban": {"x-data-class": "bnak"}}}, "properties.iban.x-data-class"),
        ({"properties": {"iban": {"x-data-class": ["bank"]}}}, "properties.iban.x-data-class"),
        ({"properties": {"a b": {"x-data-class": "bank"}}}, "properties.a b.x-data-class"),
        ({"x-data-class": "bank"}, "x-data-class"),
        ({"$defs": {"Lost": {"x-data-class": "bank"}}}, "$defs.Lost.x-data-class"),
        ({"oneOf": [{}, {"properties": {"x": {"x-data-class": "no"}}}]}, "oneOf.1.properties.x.x-data-class"),
        (
            {
                "properties": {"tree": {"$ref": "#/$defs/Tree"}},
                "$defs": {"Tree": {"properties": {"name": {"x-data-class": "bank"}, "up": {"$ref": "#/$defs/Tree"}}}},
            },
            "$defs.Tree.properties.up.x-data-class",
        ),
    ],
)
def test_a_class_that_nobody_knows_or_that_cannot_be_followed_is_refused_at_its_position(schema, where):
    assert list(classed_by(schema, KNOWN)[1]) == [where]


def test_a_parameter_may_itself_be_called_like_the_keyword():
    assert classed_by({"properties": {"x-data-class": {"type": "string"}}}, KNOWN) == ({}, {})


def test_only_what_is_there_carries_a_class():
    assert carried(CLASSED, {"iban": "", "lines": [], "payee": {"name": None}}) == {}
    assert carried(CLASSED, VALUE) == {"bank": CLASSED["bank"], "personal": [["payee", "name"]]}


def test_marks_stand_at_the_paths_and_null_stays():
    shown = marked({**VALUE, "more": {"x": None, "y": 7}}, CLASSED, {"bank", "personal"})
    assert shown["iban"] == "[bank/iban hidden]"
    assert shown["lines"] == [{"to": "[bank/lines.*.to hidden]"}]
    assert shown["payee"] == {"name": "[personal/payee.name hidden]"}
    assert shown["more"] == {"x": None, "y": "[personal/more.* hidden]"}
    assert marked(VALUE, CLASSED, set()) == VALUE


@pytest.mark.parametrize(
    "text",
    [
        IBAN,
        "pay NL91 ABNA 0417 1643 00 now",
        "nl91-abna-0417-1643-00",
        f"({IBAN.lower()})",
        "to\nNL91\u00a0ABNA0417164300.",
    ],
)
def test_a_value_is_found_in_words_as_people_write_it(text):
    veiled = Veil([(CLASSED, VALUE)]).text(text)
    assert "0417" not in veiled
    assert "[bank/iban hidden]" in veiled


@pytest.mark.parametrize(
    ("value", "before"), [("AB    12345", ""), ("-- AB -- - 12345", "-- "), ("-" + "7 Cliff   -- Road," * 30, "-")]
)
def test_a_value_is_found_as_it_is_however_far_its_own_parts_stand_apart(value, before):
    veil = Veil([({"personal": [["note"]]}, {"note": value})])
    assert veil.text(f"He said: {value}.") == f"He said: {before}[personal/note hidden]."


def test_thousands_of_values_are_found_in_the_time_that_their_text_takes():
    ibans = [f"NL91ABNA{number:010d}" for number in range(20_000)]
    veil = Veil([({"bank": [["lines", "*"]]}, {"lines": ibans})])
    text = "To NL91 ABNA 0000 0199 99, not NL91ABNA1000000000. " * 200
    assert veil.text(text) == "To [bank/lines.* hidden], not NL91ABNA1000000000. " * 200


def test_short_values_hide_no_other_words():
    veil = Veil([({"personal": [["name"]]}, {"name": "Ann"})])
    assert veil.text("Ann announces; ann.") == "[personal/name hidden] announces; [personal/name hidden]."


def test_the_beginning_of_a_long_value_gives_it_away():
    long = "Lives at " + "7 Cliff Road, " * 30
    veil = Veil([({"personal": [["note"]]}, {"note": long})])
    assert "Cliff" not in veil.text(f"He said: {long}")
    assert "[personal/note hidden]" in veil.text(f"He said: {long[:160]}…")


def test_large_numbers_and_names_of_keys_are_hidden_in_json():
    veil = Veil([({"bank": [["account"]]}, {"account": 1234567})])
    assert veil.over({"1234567": [1234567, 12, True], "x": "1234567"}) == {
        "[bank/account hidden]": ["[bank/account hidden]", 12, True],
        "x": "[bank/account hidden]",
    }


def test_what_may_be_seen_stands_for_its_mark_again():
    text = "Will pay to [bank/iban hidden] of [personal/payee.name hidden], [bank/other hidden]."
    assert unmarked(text, CLASSED, VALUE, {"personal"}) == (
        f"Will pay to {IBAN} of [personal/payee.name hidden], [bank/other hidden]."
    )


def test_an_edit_keeps_what_is_hidden_and_names_what_was_given_for_it():
    shown = marked(VALUE, CLASSED, {"bank"})
    assert restored({**shown, "note": "new"}, VALUE, CLASSED, {"bank"}) == ({**VALUE, "note": "new"}, [])
    for given_, wrong in (
        ({**shown, "iban": "DE00"}, "iban"),
        ({name: each for name, each in shown.items() if name != "iban"}, "iban"),
        ({**shown, "lines": []}, "lines"),
        ({**shown, "lines": "x"}, "lines"),
        ({**shown, "iban": IBAN}, "iban"),
    ):
        assert restored(given_, VALUE, CLASSED, {"bank"})[1] == [wrong]


def test_an_amount_inside_or_around_what_is_classed_is_covered():
    assert covers({"bank": [["lines"]]}, ["lines", "0", "amount"]) == "bank"
    assert covers({"bank": [["lines", "*", "to"]]}, ["lines"]) == "bank"
    assert covers({"bank": [["iban"]]}, ["note"]) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=3), max_size=3)


@given(JSON, PATHS)
def test_marking_and_restoring_what_is_hidden_is_nothing_done(value, paths):
    classed = {"bank": paths}
    assert restored(marked(value, classed, {"bank"}), value, classed, {"bank"}) == (value, [])


@given(JSON, PATHS)
def test_what_is_marked_carries_nothing_that_was_there(value, paths):
    classed = {"bank": paths}
    shown = marked(value, classed)
    assert all(each is None or str(each).startswith("[bank/") for each in _at(shown, paths))


def _at(value, paths):
    from apps.classification.rules import values_at

    return [each for path in paths for each in values_at(value, path) if not isinstance(each, dict | list)]
