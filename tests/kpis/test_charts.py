"""Charts: plain traces of the basic bundle, tokens instead of colours, never more than 400 points."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kpis.charts import (
    Series,
    band,
    below,
    hatched,
    limited,
    line,
    marked,
    running_mean,
    spark_points,
    stacked,
)
from apps.kpis.rules.buckets import Bucket
from apps.kpis.rules.changes import MARKS, Change, ChangeKind, marks_of

LABELS = ["2026-01-01", "2026-01-02", "2026-01-03"]
numbers = st.one_of(st.none(), st.floats(0, 1e9))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [found for inner in value.values() for found in strings(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in strings(inner)]
    return [value] if isinstance(value, str) else []


def test_a_chart_holds_tokens_and_no_colours() -> None:
    charts = [
        line(LABELS, [Series("a", [1, 2, 3])], y_title="h", baseline=Series("was", [4])),
        band(LABELS, Series("a", [1, 2, 3]), low=[0, 1, 2], high=[2, 3, 4], band_name="b", y_title="h"),
        stacked(LABELS, [Series("a", [1, 2, 3]), Series("b", [1, 2, 3], "--series-2")], y_title="n", share=True),
    ]
    for chart in charts:
        assert {trace["type"] for trace in chart["data"]} <= {"scatter", "bar"}
        assert not [text for text in strings(chart) if text.startswith(("#", "rgb", "oklch"))]


def test_weeks_stand_in_their_order_where_the_first_has_no_value() -> None:
    weeks = ["2026-W44", "2026-W45", "2026-W46"]
    chart = band(weeks, Series("a", [None, 2, 3]), low=[None, 1, 2], high=[None, 3, 4], band_name="b", y_title="h")
    assert chart["data"][0]["x"] == weeks[1:]
    assert chart["layout"]["xaxis"]["categoryarray"] == weeks


def test_more_than_400_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 400"):
        line([str(n) for n in range(401)], [Series("a", [0] * 401)], y_title="n")


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=40))
def test_a_band_never_has_a_hole_and_never_lies_off_the_line_without_edges(rows: list[Any]) -> None:
    labels = [f"2026-01-{n:02}" for n in range(len(rows))]
    middle, low, high = zip(*rows, strict=True)
    chart = band(labels, Series("a", middle), low=low, high=high, band_name="b", y_title="n")
    lower, upper = chart["data"][0], chart["data"][1]
    assert lower["x"] == upper["x"] == [label for label, value in zip(labels, middle, strict=True) if value is not None]
    assert None not in lower["y"] + upper["y"]


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=40))
def test_shares_of_a_bucket_add_up_to_100(rows: list[tuple[int, int]]) -> None:
    labels = [f"2026-01-{n:02}" for n in range(len(rows))]
    first, second = zip(*rows, strict=True)
    chart = stacked(labels, [Series("a", first), Series("b", second)], y_title="%", share=True)
    for one, other in zip(chart["data"][0]["y"], chart["data"][1]["y"], strict=True):
        assert (one is None and other is None) or one + other == pytest.approx(100)


def test_weeks_and_hours_are_categories_with_few_ticks() -> None:
    weeks = [f"2026-W{n:02}" for n in range(1, 53)]
    axis = line(weeks, [Series("a", [1.0] * 52)], y_title="n")["layout"]["xaxis"]
    assert axis["type"] == "category"
    assert len(axis["tickvals"]) == len(axis["ticktext"]) <= 9
    hours = ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    assert line(hours, [Series("a", [1, 2])], y_title="n")["layout"]["xaxis"]["ticktext"] == ["02:00", "02:00"]
    assert line(LABELS, [Series("a", [1, 2, 3])], y_title="n")["layout"]["xaxis"]["type"] == "date"


@given(st.lists(numbers, max_size=120), st.one_of(st.none(), st.floats(0, 1e9)))
def test_a_sparkline_stays_in_its_box_with_at_most_30_points(
    values: list[float | None], baseline: float | None
) -> None:
    points = spark_points(values, baseline)
    known = [value for value in values if value is not None]
    if len(known) < 2:
        assert points is None
        return
    assert points is not None
    pairs = [tuple(map(float, pair.split(","))) for pair in points["line"].split(" ")]
    assert 2 <= len(pairs) <= 30 or len(known) < 30
    assert all(0 <= x <= 100 and 0 <= y <= 36 for x, y in pairs)


def test_a_baseline_far_above_does_not_flatten_a_sparkline() -> None:
    assert spark_points([1, 2, 3], 500) == spark_points([1, 2, 3])
    assert spark_points([1, 2, 3], 4)["baseline"] != ""  # type: ignore[index]


def test_a_running_mean_waits_for_its_width() -> None:
    assert running_mean([1, 2, None, 3, 4, 5], 3) == [None, None, None, None, None, 4]


DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
BUCKETS = [Bucket(FIRST + DAY * n, FIRST + DAY * (n + 1), label) for n, label in enumerate(LABELS)]


def change(days: float, text: str = "x") -> Change:
    return Change(kind=ChangeKind.VERSION, at=FIRST + DAY * days, text=text)


def test_marks_count_the_buckets_in_which_something_changed() -> None:
    changes = [change(-9, "before"), change(1.5, "a"), change(1.9, "b"), change(3, "after")]
    marks = marks_of(BUCKETS, changes)
    assert [(mark.number, mark.label, mark.words) for mark in marks] == [
        (1, "2026-01-01", "before"),
        (2, "2026-01-02", "a; b"),
    ]
    assert marks_of([], changes) == []


def test_only_the_newest_are_marked() -> None:
    buckets = [Bucket(FIRST + DAY * n, FIRST + DAY * (n + 1), str(n)) for n in range(50)]
    marks = marks_of(buckets, [change(n) for n in range(50)])
    assert [mark.label for mark in marks] == [str(n) for n in range(50 - MARKS, 50)]


def test_a_mark_is_a_line_and_a_number_whose_words_are_no_markup() -> None:
    chart = line(LABELS, [Series("a", [1, 2, 3])], y_title="h")
    found = marked(chart, marks_of(BUCKETS, [change(1, '<a href="https://evil.example">x</a>')]))
    assert found["data"] == chart["data"]
    assert [(one["x0"], one["x1"], one["yref"]) for one in found["layout"]["shapes"]] == [
        ("2026-01-02", "2026-01-02", "paper")
    ]
    (words,) = found["layout"]["annotations"]
    assert words["text"] == "1"
    assert words["hovertext"] == '‹a href="https://evil.example"›x‹/a›'
    assert not [text for text in strings(found) if text.startswith(("#", "rgb", "oklch"))]
    assert marked(chart, []) == chart


def test_bars_of_what_is_not_over_are_hatched_and_lines_are_not() -> None:
    mean = Series("mean", [None, 1, None])
    chart = stacked(LABELS, [Series("a", [1, 2, 3]), Series("b", [1, 2, 3])], y_title="n", mean=mean)
    first, second, dots = hatched(chart, [False, False, True])["data"]
    assert first["marker"]["pattern"]["shape"] == second["marker"]["pattern"]["shape"] == ["", "", "/"]
    assert first["marker"]["color"] == chart["data"][0]["marker"]["color"]
    assert dots == chart["data"][2]
    assert hatched(chart, [False, False, False]) == chart


def test_a_limit_is_level_over_the_whole_range() -> None:
    chart = limited(line(LABELS, [Series("a", [1, 2, 3])], y_title="h"), LABELS, Series("SLA", [4]))
    assert (chart["data"][-1]["x"], chart["data"][-1]["y"]) == ([LABELS[0], LABELS[-1]], [4, 4])
    assert chart["data"][-1]["mode"] == "lines"


def test_bars_below_a_chart_have_a_panel_of_their_own_and_no_second_axis_over_it() -> None:
    chart = below(line(LABELS, [Series("a", [1, 2, 3])], y_title="%"), LABELS, Series("b", [0, 1, 0]), y_title="n")
    upper, lower = chart["layout"]["yaxis"]["domain"], chart["layout"]["yaxis2"]["domain"]
    assert lower[0] == 0 < lower[1] < upper[0] < upper[1] == 1
    assert [trace.get("yaxis", "y") for trace in chart["data"]] == ["y", "y2"]


@given(st.lists(st.integers(0, 83), min_size=1, max_size=MARKS, unique=True))
def test_numbers_of_marks_near_each_other_stand_in_different_rows(days: list[int]) -> None:
    labels = [str(FIRST.date() + DAY * n) for n in range(84)]
    buckets = [Bucket(FIRST + DAY * n, FIRST + DAY * (n + 1), label) for n, label in enumerate(labels)]
    marks = marks_of(buckets, [change(n) for n in days])
    words = marked(line(labels, [Series("a", [1.0] * 84)], y_title="h"), marks)["layout"]["annotations"]
    for one, other in pairwise(words):
        assert one["yshift"] != other["yshift"] or labels.index(other["x"]) - labels.index(one["x"]) >= 5
