from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.core.differences import ABSENT, MASKED, differences, flattened, masked, masks_in, shown, unmasked

leaf = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values = st.dictionaries(
    st.text(alphabet="abc", min_size=1),
    st.recursive(leaf, lambda x: st.lists(x) | st.dictionaries(st.text(alphabet="xyz", min_size=1), x)),
)


@given(values)
def test_a_value_does_not_differ_from_itself(value: dict[str, Any]) -> None:
    assert all(row.kind == "same" for row in differences(value, value))


@given(values, values)
def test_every_path_of_both_values_is_told(before: dict[str, Any], after: dict[str, Any]) -> None:
    paths = [row.path for row in differences(before, after)]
    assert set(paths) == (set(flattened(before)) | set(flattened(after))) - {""}
    assert len(paths) == len(set(paths))


def test_added_removed_changed_and_turned_types_are_told_apart() -> None:
    rows = differences({"a": 1, "b": "2", "c": True, "d": 5}, {"a": 2, "b": 2, "e": [], "d": 5})
    assert {row.path: row.kind for row in rows} == {
        "a": "changed",
        "b": "type",
        "c": "removed",
        "d": "same",
        "e": "added",
    }
    assert next(row for row in rows if row.path == "a").note == "2×"


def test_a_text_that_looks_like_another_type_is_quoted() -> None:
    assert [shown(value) for value in ("12", "true", "", " x", "plain", 12, True, None, ABSENT)] == [
        '"12"', '"true"', '""', '" x"', "plain", "12", "true", "null", "",
    ]  # fmt: skip


def test_secrets_are_masked_on_both_sides_and_still_differ() -> None:
    row = differences({"api_key": "abc"}, {"api_key": "def"})[0]
    assert (row.kind, row.was, row.now) == ("changed", MASKED, MASKED)
    assert all(r.now == MASKED for r in differences(None, {"login": {"password": "p"}, "private-key": "k"}))


def test_long_texts_differ_word_by_word() -> None:
    before = "word " * 60 + "old end"
    row = differences({"t": before}, {"t": before.replace("old", "new")})[0]
    assert [kind for kind, _ in row.pieces] == ["same", "gone", "new", "same"]


names = st.sampled_from(["password", "secrets", "api_key", "a", "b"])
secret_values = st.dictionaries(names, st.recursive(leaf, lambda x: st.lists(x) | st.dictionaries(names, x)))


@given(secret_values)
def test_what_was_masked_comes_back_whole(value: dict[str, Any]) -> None:
    assert unmasked(masked(value), value) == value
    assert masks_in(value) == []


def test_no_secret_survives_masking_and_a_mask_without_counterpart_is_found() -> None:
    shown_to_people = masked({"logins": [{"password": "hunter2"}], "pin": 1234})
    assert "hunter2" not in str(shown_to_people)
    assert "1234" not in str(shown_to_people)
    assert masks_in(
        unmasked({"logins": [{"password": "x"}, {"password": MASKED}]}, {"logins": [{"password": "y"}]})
    ) == ["logins[1].password"]


def test_no_key_takes_the_path_of_another() -> None:
    value = {"a": {"b": 1}, "a.b": 2, "c": [3], "c[0]": 4, "": 5, " x": 6, 'a"]': 7}
    rows = differences(None, value)
    assert sorted(int(row.now) for row in rows) == [1, 2, 3, 4, 5, 6, 7]
    assert len({row.path for row in rows}) == 7
    assert differences({}, {"x.api_key": "s", "y": {"my.password": "t"}})[0].now == MASKED
    assert differences({}, {"y": {"my.password": "t"}})[0].now == MASKED


def test_a_change_far_down_in_a_long_text_is_never_cut_away() -> None:
    before = "word " * 1_000 + "old end"
    shown_there = differences({"t": before}, {"t": before.replace("old", "new")})[0]
    assert ("new", "new") in shown_there.pieces
    longer = before * 10
    row = differences({"t": longer}, {"t": f"{longer}!"})[0]
    assert (row.pieces, row.now) == ((), f"{longer}!")
