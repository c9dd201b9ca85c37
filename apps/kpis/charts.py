"""Charts as plain dictionaries: traces of the basic bundle, colours as token names, at most 400 points a trace.

The browser resolves the tokens for its theme; nothing here imports plotly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.core.revealing import written_out
from apps.kpis.rules import MAX_BUCKETS
from apps.kpis.rules.changes import Mark

SERIES = ("--series-1", "--series-2", "--series-3", "--series-4")
"""At most four series; lines differ by dash too, stacks by order and name."""
BAND = "--series-band"
BASELINE = "--series-4"
MARK, GROUND = "--muted", "--surface"
INERT = str.maketrans({"<": "‹", ">": "›"})
"""The library reads tags in words, and people wrote some of these."""
SPARK_POINTS = 30
MAX_TICKS = 9
MARGIN = 10
CALM = 0.25
"""A sparkline spans at least this share of its highest value, so that small changes look small."""
FAR = 3
"""A baseline this many times above everything else would flatten the chart; it is told in words instead."""

UPPER, LOWER = 0.4, 0.25
"""Where the upper part of a chart in two parts begins, and where the lower one ends."""
ROWS, ROW_PX = 4, 14
CLOSE = 0.06
"""Marks nearer to each other than this share of the axis are written below each other, in so many rows."""

type Chart = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Series:
    """One row of values over the buckets; None leaves a gap. ``links`` lead to what is behind each point."""

    name: str
    values: Sequence[float | None]
    token: str = SERIES[0]
    dash: str = "solid"
    links: Sequence[str] = ()


def inert(text: str) -> str:
    """What people or agents wrote, as a chart may show it: no tags for the library to read, nothing hidden."""
    return written_out(text.translate(INERT))


def line(
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    y_title: str,
    baseline: Series | None = None,
    ceiling: float | None = None,
) -> Chart:
    """Lines over time; the baseline is dashed and spans the whole range.

    With a ``ceiling`` (100 per cent) the axis begins a little below the lowest value instead of at nothing.
    """
    _check(labels)
    chart = _figure([*(_line(labels, one) for one in series), *_baseline(labels, baseline)], labels, y_title)
    known = [value for one in series for value in one.values if value is not None]
    if ceiling is not None and known:
        chart["layout"]["yaxis"]["range"] = [max(0, (min(known) - MARGIN) // MARGIN * MARGIN), ceiling + MARGIN / 10]
    return chart


def band(
    labels: Sequence[str],
    middle: Series,
    *,
    low: Sequence[float | None],
    high: Sequence[float | None],
    band_name: str,
    y_title: str,
    baseline: Series | None = None,
    top: float | None = None,
) -> Chart:
    """A line within a band: an interval, or the distance from median to 90th percentile.

    Where either edge is missing the band is closed onto the line; where the line has a gap, both go straight across.
    With ``top`` the axis ends there, and a band that few values make endless is cut off.
    """
    _check(labels)
    rows = zip(labels, middle.values, low, high, strict=True)
    closed = [(label, *_edges(value, under, over)) for label, value, under, over in rows if value is not None]
    known = [label for label, _under, _over in closed]
    lower = _edge(known, [under for _label, under, _over in closed], band_name)
    upper = {**_edge(known, [over for _label, _under, over in closed], band_name), "fill": "tonexty", "fillcolor": BAND}
    upper["showlegend"] = True
    chart = _figure([lower, upper, _line(labels, middle), *_baseline(labels, baseline)], labels, y_title)
    if top is not None:
        chart["layout"]["yaxis"]["range"] = [0, top]
    return chart


def bars(labels: Sequence[str], series: Series, *, y_title: str, mean: Series | None = None) -> Chart:
    """One bar a bucket, with a running mean where given."""
    _check(labels)
    return _figure([_bar(labels, series), *([_line(labels, mean)] if mean else [])], labels, y_title)


def control(
    labels: Sequence[str],
    value: Series,
    *,
    limits: Sequence[Series],
    looks: Series,
    events: Mapping[int, str],
    y_title: str,
) -> Chart:
    """A line between its limits; ``looks`` marks what is worth one, ``events`` name what began at a place."""
    _check(labels)
    marked = {
        **_line(labels, looks),
        "mode": "markers",
        "marker": {"color": looks.token, "size": 11, "symbol": "diamond"},
    }
    shown = [marked] if any(one is not None for one in looks.values) else []
    chart = _figure([_line(labels, value), *(_line(labels, one) for one in limits), *shown], labels, y_title)
    chart["layout"]["annotations"] = [
        {"x": labels[place], "y": 1, "yref": "paper", "text": text, "showarrow": False}
        for place, text in events.items()
    ]
    return chart


def stacked(
    labels: Sequence[str], series: Sequence[Series], *, y_title: str, share: bool = False, mean: Series | None = None
) -> Chart:
    """Bars on top of each other; with ``share`` each bucket adds up to 100 %."""
    _check(labels)
    rows = _as_shares(series) if share else list(series)
    chart = _figure([_bar(labels, one) for one in rows] + ([_line(labels, mean)] if mean else []), labels, y_title)
    chart["layout"]["barmode"] = "stack"
    if share:
        chart["layout"]["yaxis"]["range"] = [0, 100]
    return chart


def limited(chart: Chart, labels: Sequence[str], limit: Series) -> Chart:
    """The chart with a level line across it: its first value, from the first label to the last."""
    if not labels:
        return chart
    ends = {"x": [labels[0], labels[-1]], "y": [limit.values[0]] * 2, "hoverinfo": "name"}
    trace = {**_line(labels, limit), "mode": "lines", **ends}
    return {**chart, "data": [*chart["data"], trace]}


def below(chart: Chart, labels: Sequence[str], series: Series, *, y_title: str) -> Chart:
    """The chart with a low panel of bars below it, over the same buckets: a scale of its own, and no second axis."""
    layout = chart["layout"]
    panel = {
        "xaxis": {**layout["xaxis"], "anchor": "y2"},
        "yaxis": {**layout["yaxis"], "domain": [UPPER, 1]},
        "yaxis2": {"title": {"text": y_title}, "domain": [0, LOWER], "nticks": 3},
    }
    return {**chart, "data": [*chart["data"], {**_bar(labels, series), "yaxis": "y2"}], "layout": {**layout, **panel}}


def hatched(chart: Chart, partial: Sequence[bool]) -> Chart:
    """The chart with the bars of buckets that are not over yet hatched: lines leave these out."""
    if not any(partial):
        return chart
    shapes = ["/" if one else "" for one in partial]

    def bar(trace: Chart) -> Chart:
        pattern = {"shape": shapes, "solidity": 0.4, "size": 6}
        return {**trace, "marker": {**trace["marker"], "pattern": pattern}} if trace["type"] == "bar" else trace

    return {**chart, "data": [bar(trace) for trace in chart["data"]]}


def spark_points(values: Sequence[float | None], baseline: float | None = None) -> dict[str, str] | None:
    """Points of a 100 x 36 sparkline: the line, the area below it, the baseline; None of fewer than two values.

    At most 30 points; a missing value is left out, the line joins its neighbours.
    """
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) <= 1:
        return None
    known = known[:: -(-len(known) // SPARK_POINTS)]
    heights = [value for _, value in known] + ([baseline] if baseline is not None else [])
    if baseline is not None and baseline > FAR * max(value for _, value in known):
        baseline, heights = None, heights[:-1]
    high = max(heights)
    spread = max(high - min(heights), abs(high) * CALM) or 1.0
    low = max(min(0.0, *heights), high - spread)
    first, last = known[0][0], known[-1][0]

    def place(index: int, value: float) -> str:
        return f"{(index - first) / ((last - first) or 1) * 100:.1f},{34 - (value - low) / spread * 32:.1f}"

    points = " ".join(place(index, value) for index, value in known)
    dashed = "" if baseline is None else " ".join(place(index, baseline) for index in (first, last))
    return {"line": points, "area": f"0.0,36 {points} 100.0,36", "baseline": dashed}


def marked(chart: Chart, marks: Sequence[Mark]) -> Chart:
    """The chart with a dotted line and a number at each mark; its words show beside the pointer.

    Numbers that would lie over each other stand in rows.
    """
    if not marks:
        return chart
    labels: list[str] = max((trace["x"] for trace in chart["data"]), key=len, default=[])
    rows = _rows_of([labels.index(mark.label) if mark.label in labels else 0 for mark in marks], len(labels))
    lines = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": mark.label,
            "x1": mark.label,
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {"color": MARK, "width": 1, "dash": "dot"},
        }
        for mark in marks
    ]
    words = [
        {
            "xref": "x",
            "yref": "paper",
            "x": mark.label,
            "y": 1,
            "yanchor": "top",
            "yshift": -ROW_PX * row,
            "text": str(mark.number),
            "bgcolor": GROUND,
            "borderpad": 0,
            "hovertext": inert(mark.words),
            "showarrow": False,
            "font": {"color": MARK, "size": 11},
        }
        for mark, row in zip(marks, rows, strict=True)
    ]
    return {**chart, "layout": {**chart["layout"], "shapes": lines, "annotations": words}}


def _rows_of(places: Sequence[int], width: int) -> list[int]:
    """For each of these places, in their order, the first row in which the one before it is far enough away."""
    ends, found = [-width] * ROWS, []
    for place in places:
        free = [row for row, end in enumerate(ends) if place - end >= CLOSE * width]
        row = free[0] if free else ends.index(min(ends))
        ends[row] = place
        found.append(row)
    return found


def running_mean(values: Sequence[float | None], width: int) -> list[float | None]:
    """The mean of each value and the ones before it; None until ``width`` are there."""
    means: list[float | None] = []
    for index in range(len(values)):
        window = [value for value in values[max(0, index + 1 - width) : index + 1] if value is not None]
        means.append(sum(window) / width if len(window) == width else None)
    return means


def _check(labels: Sequence[str]) -> None:
    if len(labels) > MAX_BUCKETS:
        raise ValueError(f"{len(labels)} points; a chart holds at most {MAX_BUCKETS}.")


def _line(labels: Sequence[str], series: Series) -> Chart:
    trace: Chart = {
        "type": "scatter",
        "mode": "lines" if sum(value is not None for value in series.values) > 1 else "markers",
        "name": series.name,
        "x": list(labels),
        "y": list(series.values),
        "line": {"color": series.token, "width": 2.25, "dash": series.dash},
        "connectgaps": True,
    }
    if trace["mode"] == "markers":
        trace["marker"] = {"color": series.token}
    return _linked(trace, series)


def _bar(labels: Sequence[str], series: Series) -> Chart:
    trace: Chart = {
        "type": "bar",
        "name": series.name,
        "x": list(labels),
        "y": list(series.values),
        "marker": {"color": series.token},
    }
    return _linked(trace, series)


def _edge(labels: Sequence[str], values: list[float], name: str) -> Chart:
    edge: Chart = {"type": "scatter", "mode": "lines", "name": name, "x": list(labels), "y": values}
    return {**edge, "line": {"color": BAND, "width": 0}, "hoverinfo": "skip", "showlegend": False}


def _edges(middle: float, low: float | None, high: float | None) -> tuple[float, float]:
    return (middle, middle) if low is None or high is None else (low, high)


def _baseline(labels: Sequence[str], baseline: Series | None) -> list[Chart]:
    known = [value for value in baseline.values if value is not None] if baseline else []
    if baseline is None or not known or not labels:
        return []
    ends = [labels[0], labels[-1]]
    trace: Chart = {"type": "scatter", "mode": "lines", "name": baseline.name, "x": ends, "y": [known[0], known[-1]]}
    return [{**trace, "line": {"color": BASELINE, "width": 1.5, "dash": "dash"}}]


def _linked(trace: Chart, series: Series) -> Chart:
    return {**trace, "customdata": list(series.links)} if series.links else trace


def _figure(traces: list[Chart], labels: Sequence[str], y_title: str) -> Chart:
    return {"data": traces, "layout": {"xaxis": _axis(labels), "yaxis": {"title": {"text": y_title}}}}


def _axis(labels: Sequence[str]) -> Chart:
    """Days and months lie on a date axis; weeks and hours are categories, or the two hours of October would be one."""
    if labels and "W" not in labels[0] and "T" not in labels[0]:
        return {"type": "date"}
    shown = labels[:: max(1, -(-len(labels) // MAX_TICKS))]
    ticks = {"tickvals": list(shown), "ticktext": [_short(label) for label in shown]}
    return {"type": "category", "categoryarray": list(labels), **ticks}  # a trace that begins later would come first


def _short(label: str) -> str:
    return label.partition("T")[2][:5] if "T" in label else label.partition("-")[2]


def _as_shares(series: Sequence[Series]) -> list[Series]:
    totals = [sum(value or 0 for value in row) for row in zip(*(one.values for one in series), strict=True)]
    return [
        Series(
            one.name,
            [
                value / total * 100 if total and value is not None else None
                for value, total in zip(one.values, totals, strict=True)
            ],
            one.token,
            one.dash,
            one.links,
        )
        for one in series
    ]
