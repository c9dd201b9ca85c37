"""A chart as a printer draws it: places between 0 and 1 instead of labels and values, and ticks with round numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

TICKS = 4
"""About so many lines across."""
NAMED = 6
"""So many labels along the bottom at most."""
STEPS = (1, 2, 2.5, 5, 10)
LEAST = 1e-6
"""A smaller spread is none."""

type Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line: where it goes, from the lower left corner."""

    name: str
    token: str
    dash: str
    places: list[Place]


@dataclass(frozen=True, slots=True)
class Block:
    """A bar, or one part of a stacked one. ``partial``: its time is not over yet."""

    token: str
    left: float
    bottom: float
    width: float
    height: float
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """What lies between two lines."""

    name: str
    token: str
    places: list[Place]


@dataclass(slots=True)
class Plot:
    """Everything that is drawn. ``legend``: name, token and dash of each series, "" of what is filled."""

    y_title: str
    strokes: list[Stroke] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    dots: list[tuple[str, Place]] = field(default_factory=list)
    legend: list[tuple[str, str, str]] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)
    labels: list[tuple[float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    @property
    def drawn(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def plot_of(chart: Mapping[str, Any]) -> Plot:
    """The drawing of a chart of ``charts``. What stands on an axis of its own is left to the chart's table."""
    layout, traces = chart["layout"], [one for one in chart["data"] if one.get("yaxis", "y") == "y"]
    labels = _labels_of(traces)
    across = {label: (place + 0.5) / len(labels) for place, label in enumerate(labels)}
    (low, high), is_fixed = _ends_of(traces, layout)
    ticks = ticks_of(low, high)
    if is_fixed:
        ticks = [tick for tick in ticks if low <= tick <= high]
    else:
        low, high = ticks[0], ticks[-1]

    def up(value: float) -> float:
        return min(1.0, max(0.0, (value - low) / (high - low)))

    plot = Plot(str(layout.get("yaxis", {}).get("title", {}).get("text", "")))
    plot.ticks = [(up(tick), f"{tick:,.10g}") for tick in ticks]
    plot.labels = [(across[label], label) for label in _named(labels)]
    plot.marks = [(across[one["x"]], str(one["text"])) for one in layout.get("annotations", ()) if one["x"] in across]
    bars = [one for one in traces if one["type"] == "bar"]
    plot.blocks = _blocks_of(bars, labels, up, stacked=layout.get("barmode") == "stack")
    under: list[Place] = []
    for trace in traces:
        places = [(across[x], up(y)) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
        if trace["type"] == "bar":
            plot.legend.append((trace["name"], trace["marker"]["color"], ""))
        elif "fillcolor" in trace:
            plot.areas.append(Area(trace["name"], trace["fillcolor"], [*places, *reversed(under)]))
            plot.legend.append((trace["name"], trace["fillcolor"], ""))
        elif not trace.get("line", {}).get("width", 1):
            under = places
        elif "lines" in trace["mode"]:
            line = trace["line"]
            plot.strokes.append(Stroke(trace["name"], line["color"], line.get("dash", "solid"), places))
            plot.legend.append((trace["name"], line["color"], line.get("dash", "solid")))
        else:
            token = trace["marker"]["color"]
            plot.dots += [(token, place) for place in places]
            plot.legend.append((trace["name"], token, ""))
    return plot


def ticks_of(low: float, high: float) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, about four steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(one * power for one in STEPS if one * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def _labels_of(traces: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every label once, in the order of the longest trace."""
    found: dict[str, None] = {}
    for trace in sorted(traces, key=lambda one: -len(one["x"])):
        found |= dict.fromkeys(trace["x"])
    return list(found)


def _ends_of(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> tuple[Place, bool]:
    """From where to where the axis goes, and whether the chart says so."""
    if given := layout.get("yaxis", {}).get("range"):
        return (float(given[0]), float(given[1])), True
    sums: dict[str, float] = {}
    values = [0.0]
    for trace in traces:
        rows = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y is not None]
        values += [y for _x, y in rows]
        if trace["type"] == "bar" and layout.get("barmode") == "stack":
            for x, y in rows:
                sums[x] = sums.get(x, 0.0) + y
    values += sums.values()
    low, high = min(values), max(values)
    return (low, high if high - low > LEAST else low + 1), False


def _blocks_of(bars: Sequence[Mapping[str, Any]], labels: list[str], up: Any, *, stacked: bool) -> list[Block]:
    """Stacked on each other, or side by side."""
    blocks, tops = list[Block](), dict.fromkeys(labels, 0.0)
    place_of = {label: place for place, label in enumerate(labels)}
    room = 0.8 / len(labels) if labels else 0.0
    each = room if stacked or not bars else room / len(bars)
    for number, trace in enumerate(bars):
        shapes = trace["marker"].get("pattern", {}).get("shape") or [""] * len(trace["x"])
        for x, y, shape in zip(trace["x"], trace["y"], shapes, strict=True):
            if not y:
                continue
            base = tops[x] if stacked else 0.0
            left = place_of[x] / len(labels) + 0.1 / len(labels) + (0.0 if stacked else number * each)
            low, high = sorted((up(base), up(base + y)))
            blocks.append(Block(trace["marker"]["color"], left, low, each, high - low, bool(shape)))
            tops[x] = base + y
    return blocks


def _named(labels: list[str]) -> list[str]:
    return labels[:: max(1, -(-len(labels) // NAMED))]
