"""Charts as a printer draws them: everything within the frame, in the places that the values say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.kpis import charts
from apps.kpis.charts import Series
from apps.kpis.rules.changes import Mark
from apps.kpis.rules.plots import Plot, plot_of, ticks_of

LABELS = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
maybe = st.lists(st.none() | st.floats(-1e6, 1e9), min_size=4, max_size=4)


def lines(*values: float | None) -> Plot:
    return plot_of(charts.line(LABELS, [Series("Median", values)], y_title="hours"))


def test_a_line_goes_where_its_values_are() -> None:
    plot = lines(0, 5, None, 10)
    (stroke,) = plot.strokes
    assert stroke.places == [(0.125, 0.0), (0.375, 0.5), (0.875, 1.0)]
    assert plot.ticks == [(0.0, "0"), (0.25, "2.5"), (0.5, "5"), (0.75, "7.5"), (1.0, "10")]
    assert (plot.y_title, plot.legend) == ("hours", [("Median", "--series-1", "solid")])
    assert [label for _place, label in plot.labels] == LABELS


def test_bars_stand_on_each_other_and_side_by_side() -> None:
    rows = [Series("Succeeded", [4, 0, 2, 1]), Series("Failed", [4, 2, None, 1], "--series-2")]
    stacked = plot_of(charts.stacked(LABELS, rows, y_title="runs")).blocks
    assert [(one.bottom, one.height) for one in stacked if one.left < 0.25] == [(0.0, 0.5), (0.5, 0.5)]
    assert len(stacked) == 6, "what is nothing has no bar"
    single = plot_of(charts.bars(LABELS, rows[0], y_title="runs")).blocks
    assert [one.height for one in single] == [1.0, 0.5, 0.25]


def test_what_is_not_over_is_marked() -> None:
    chart = charts.hatched(
        charts.bars(LABELS, Series("Runs", [1, 2, 3, 4]), y_title="runs"), [False, False, False, True]
    )
    assert [one.partial for one in plot_of(chart).blocks] == [False, False, False, True]


def test_a_band_is_closed() -> None:
    middle = Series("Median", [1, 2, 3, 4])
    chart = charts.band(LABELS, middle, low=[1, 1, 1, 1], high=[2, 3, 4, 5], band_name="up to", y_title="h")
    (area,) = plot_of(chart).areas
    assert len(area.places) == 8
    assert area.places[0][0] == area.places[-1][0] == 0.125
    assert area.places[3] == (0.875, 5 / 6)


def test_an_axis_that_the_chart_fixes_stays_so() -> None:
    plot = plot_of(charts.line(LABELS, [Series("SLA", [98, 99, 97, 92])], y_title="%", ceiling=100))
    assert [text for _place, text in plot.ticks] == ["80", "90", "100"]


def test_marks_stand_where_something_changed() -> None:
    chart = charts.marked(charts.bars(LABELS, Series("Runs", [1, 2, 3, 4]), y_title="runs"), [Mark(1, LABELS[2], ())])
    assert plot_of(chart).marks == [(0.625, "1")]


def test_nothing_is_drawn_of_nothing() -> None:
    plot = lines(None, None, None, None)
    assert plot.dots == []
    assert [text for _place, text in plot.ticks] == ["0", "0.25", "0.5", "0.75", "1"]
    assert plot_of(charts.line([], [], y_title="h")).labels == []


@pytest.mark.parametrize(("low", "high", "ticks"), [(0, 9.7, [0, 2.5, 5, 7.5, 10]), (-3, 12, [-5, 0, 5, 10, 15])])
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert ticks_of(low, high) == ticks


@given(maybe, maybe, maybe)
def test_everything_stays_in_the_frame(first: list[float | None], low: list[float], high: list[float]) -> None:
    rows = [Series("a", first), Series("b", low)]
    drawn = [
        charts.line(LABELS, rows, y_title="", baseline=Series("was", [3])),
        charts.band(LABELS, rows[0], low=low, high=high, band_name="", y_title=""),
        charts.bars(LABELS, rows[0], y_title=""),
    ]
    for plot in map(plot_of, drawn):
        ends = [place for one in (*plot.strokes, *plot.areas) for place in one.places]
        ends += [place for _token, place in plot.dots] + [(one.left, one.bottom) for one in plot.blocks]
        ends += [(one.left + one.width, one.bottom + one.height) for one in plot.blocks]
        assert all(-1e-9 <= x <= 1 + 1e-9 and -1e-9 <= y <= 1 + 1e-9 for x, y in ends)
