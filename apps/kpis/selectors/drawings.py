"""The charts of a dashboard: each with its finding, its table, and links to the runs behind every point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.amounts import exponent_of
from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.changes import Change, Mark, marks_of
from apps.kpis.rules.definitions import DEFINITIONS, Definition
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, money_text
from apps.kpis.rules.goals import BaselineSeen
from apps.kpis.rules.sentences import (
    Sentence,
    autonomy_finding,
    axis_of,
    cost_finding,
    finding_of,
    interval_text,
    throughput_finding,
)
from apps.kpis.selectors.kpis import Answer, Point

OVERVIEW, OVERSIGHT, COST = "overview", "oversight", "cost"
WEEK_DAYS = 7
FEW = 10
"""The interval of fewer runs than this does not stretch the axis."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table: as people read it, raw for the CSV, and where it leads."""

    text: str
    raw: str | float | None
    href: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart with everything that says the same in words and numbers."""

    slug: str
    title: str
    definition: Definition
    finding: str
    chart: dict[str, Any]
    columns: tuple[str, ...]
    rows: list[list[Cell]]
    href: str
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table: its name, and what stands in it for a point."""

    name: str
    cell: Callable[[Point], Cell]


def drawings_for(actor: User, answer: Answer, changes: Sequence[Change] = ()) -> list[Drawing]:
    """The six charts of a dashboard, from an answer and changes that ``actor`` was given; these are marked in each."""
    if not actor.is_active:
        return []
    drawn = (_cycle_time, _throughput, _error_rate, _sla, cost_drawing_of, _autonomy)
    marks = marks_of([point.bucket for point in answer.series], changes)
    return [marked_of(draw(answer), marks, answer) for draw in drawn]


def marked_of(drawing: Drawing, marks: Sequence[Mark], answer: Answer) -> Drawing:
    """With what changed, as marks and as a last column; as it was where nothing did."""
    if not marks:
        return drawing
    words = {mark.label: mark for mark in marks}
    cells = [
        Cell(f"{mark.number}. {mark.words}", mark.words)
        if (mark := words.get(point.bucket.label))
        else Cell(DASH, None)
        for point in answer.series
    ]
    return replace(
        drawing,
        chart=charts.marked(drawing.chart, marks),
        columns=(*drawing.columns, _("What changed")),
        rows=[[*row, cell] for row, cell in zip(drawing.rows, cells, strict=True)],
        is_marked=True,
    )


def said(sentence: Sentence) -> str:
    """The sentence in the reader's language."""
    values = {**sentence.values}
    if "kpi" in values:
        values["kpi"] = _(values["kpi"])
    return _(sentence.text) % values


def page_of_kpi(asked: KpiFilter, kpi: str) -> str:
    """Where the rows behind a number of this filter are listed."""
    return f"{_address_of(asked.workflow or OVERVIEW, kpi)}?{asked.query}"


@lru_cache(maxsize=1024)
def _address_of(slug: str, kpi: str) -> str:
    """A page has a thousand of these links, to a few dozen addresses."""
    return reverse("kpis:behind", args=[slug, kpi])


def _drawing(answer: Answer, slug: str, title: str, kpi: str, finding: Sentence, **parts: Any) -> Drawing:
    columns: Sequence[_Column] = parts["columns"]
    return Drawing(
        slug=slug,
        title=title,
        definition=DEFINITIONS[kpi],
        finding=said(finding),
        chart=parts["chart"],
        columns=(_("From"), *(column.name for column in columns)),
        rows=[[label_of(point), *(column.cell(point) for column in columns)] for point in answer.series],
        href=page_of_kpi(answer.asked, kpi),
    )


def label_of(point: Point) -> Cell:
    """A bucket's name as the first cell of its row."""
    text = f"{point.bucket.label} ({_('so far')})" if point.partial else point.bucket.label
    return Cell(text, point.bucket.label)


def _value(answer: Answer, kpi: str, name: str = "") -> _Column:
    """A column of a KPI's values, each leading to what is behind it."""
    definition = DEFINITIONS[kpi]

    def cell(point: Point) -> Cell:
        figure = point.figures[kpi]
        href = page_of_kpi(answer.asked.within(point.bucket), kpi) if figure.value else ""
        return Cell(figure.text, figure.value, href)

    return _Column(name or _(definition.label), cell)


def _count(name: str, measure: str) -> _Column:
    def cell(point: Point) -> Cell:
        return Cell(count_text(point.measures[measure]), point.measures[measure])

    return _Column(name, cell)


def _interval(kpi: str) -> _Column:
    def cell(point: Point) -> Cell:
        text = interval_text(point.figures[kpi])
        return Cell(text or DASH, text)

    return _Column(_("95 % interval"), cell)


def _labels(answer: Answer) -> list[str]:
    return [point.bucket.label for point in answer.series]


def _links(answer: Answer, kpi: str) -> list[str]:
    return [page_of_kpi(answer.asked.within(point.bucket), kpi) for point in answer.series]


def _scaled(answer: Answer, kpi: str, scale: float) -> list[float | None]:
    """A KPI's values on its axis; a bucket that is not over yet is left out of lines."""
    return [
        None if (value := point.figures[kpi].value) is None or point.partial else round(value / scale, 4)
        for point in answer.series
    ]


def _was(answer: Answer, kpi: str, scale: float, *others: str) -> Series | None:
    """The baseline as a series; None where it would flatten everything else. The finding says it in any case."""
    baseline = answer.totals[kpi].baseline
    known = [value for one in (kpi, *others) for point in answer.series if (value := point.figures[one].value)]
    if baseline is None or baseline.value > charts.FAR * max(known, default=baseline.value):
        return None
    return Series(_baseline_name(baseline), [baseline.value / scale])


def _baseline_name(baseline: BaselineSeen) -> str:
    more = [baseline.period, "" if baseline.approved else _("not approved")]
    return " ".join([_("Baseline"), *(f"({one})" for one in more if one)])


def _scale(answer: Answer, *kpis: str) -> tuple[float, str]:
    """What the values of these KPIs are divided by on a common axis, and what that axis is called."""
    known = [value for kpi in kpis for point in answer.series if (value := point.figures[kpi].value) is not None]
    figure = answer.totals[kpis[0]].figure
    scale, name = axis_of(figure.definition, max(known, default=0.0), figure.currency)
    return scale, _(name)


def _half_finding(answer: Answer, kpi: str) -> Sentence:
    baseline = answer.totals[kpi].baseline
    found = finding_of(answer.halves[0][kpi], answer.halves[1][kpi], baseline.value if baseline else None)
    if baseline is None or baseline.approved or "baseline" not in found.values:
        return found
    return replace(found, values={**found.values, "baseline": f"{found.values['baseline']} ({_('not approved')})"})


def _cycle_time(answer: Answer) -> Drawing:
    median, tail = "cycle_time_p50_s", "cycle_time_p90_s"
    scale, axis = _scale(answer, median, tail)
    values = _scaled(answer, median, scale)
    chart = charts.band(
        _labels(answer),
        Series(_("Median"), values, links=_links(answer, median)),
        low=values,
        high=_scaled(answer, tail, scale),
        band_name=_("up to the 90th percentile"),
        y_title=axis,
        baseline=_was(answer, median, scale, tail),
    )
    columns = [
        _value(answer, median, _("Median")),
        _value(answer, tail, _("90th percentile")),
        _count(_("Runs"), "succeeded"),
    ]
    finding = _half_finding(answer, median)
    return _drawing(answer, "cycle-time", _("Cycle time"), median, finding, chart=chart, columns=columns)


def _throughput(answer: Answer) -> Drawing:
    names = {"succeeded": _("Succeeded"), "failed": _("Failed"), "cancelled": _("Cancelled")}
    kpis = {"succeeded": "throughput", "failed": "failed", "cancelled": "cancelled"}
    stacks = [
        Series(name, [point.measures[key] for point in answer.series], SERIES[at], links=_links(answer, kpis[key]))
        for at, (key, name) in enumerate(names.items())
        if key == "succeeded" or answer.measures[key]
    ]
    daily = answer.asked.size == BucketSize.DAY
    succeeded = [None if point.partial else point.measures["succeeded"] for point in answer.series]
    mean = Series(_("7-day mean"), charts.running_mean(succeeded, WEEK_DAYS), SERIES[3], "dot") if daily else None
    chart = charts.stacked(_labels(answer), stacks, y_title=_("runs"), mean=mean)
    columns = [_value(answer, kpi, names[key]) for key, kpi in kpis.items()]
    counts = [answer.measures[key] or 0 for key in names]
    days = answer.asked.period.days_until(answer.as_of)
    finding = throughput_finding(counts[0], counts[1], counts[2], days)
    return _drawing(answer, "throughput", _("Throughput"), "throughput", finding, chart=chart, columns=columns)


def _error_rate(answer: Answer) -> Drawing:
    kpi, scale = "error_rate", 0.01
    figures = [point.figures[kpi] for point in answer.series]
    shown = [not point.partial for point in answer.series]
    was = _was(answer, kpi, scale)
    tops = [max(one.value or 0, one.high if one.n >= FEW and one.high else 0) / scale for one in figures]
    chart = charts.band(
        _labels(answer),
        Series(_("Error rate"), _scaled(answer, kpi, scale), links=_links(answer, kpi)),
        low=[one.low / scale if one.low is not None and yes else None for one, yes in zip(figures, shown, strict=True)],
        high=[
            one.high / scale if one.high is not None and yes else None for one, yes in zip(figures, shown, strict=True)
        ],
        band_name=_("95 % interval"),
        y_title="%",
        baseline=was,
        top=max([*tops, *(value or 0 for value in (was.values if was else ()))], default=0) * 1.1 or None,
    )
    columns = [
        _value(answer, kpi),
        _interval(kpi),
        _value(answer, "failed", _("Failed")),
        _count(_("Runs"), "finished"),
    ]
    finding = _half_finding(answer, kpi)
    return _drawing(answer, "error-rate", _("Error rate"), kpi, finding, chart=chart, columns=columns)


def _sla(answer: Answer) -> Drawing:
    kpi, scale = "sla_adherence", 0.01
    lines = [Series(_("SLA adherence"), _scaled(answer, kpi, scale), links=_links(answer, kpi))]
    if target := answer.totals[kpi].target:
        lines.append(Series(_("Target"), [target.value / scale for _point in answer.series], SERIES[1], "dot"))
    chart = charts.line(_labels(answer), lines, y_title="%", baseline=_was(answer, kpi, scale), ceiling=100)
    columns = [
        _value(answer, kpi),
        _interval(kpi),
        _count(_("Within the target"), "sla_met"),
        _count(_("Runs"), "sla_due"),
    ]
    finding = _half_finding(answer, kpi)
    return _drawing(answer, "sla", _("SLA adherence"), kpi, finding, chart=chart, columns=columns)


def cost_drawing_of(answer: Answer) -> Drawing:
    """What a run that succeeded cost, bucket by bucket."""
    kpi = "cost_per_success_minor"
    currency = answer.totals[kpi].figure.currency
    names = {
        "human_micro": _("People's time"),
        "llm_micro": _("Models"),
        "connector_micro": _("Connectors"),
        "agent_micro": _("Agents"),
    }

    def each(point: Point, measure: str) -> float | None:
        runs, micro = point.measures["succeeded"], point.measures[measure] or 0
        return round(micro / runs / 10**6, 4) if runs else None

    stacks = [
        Series(name, [each(point, key) for point in answer.series], SERIES[at], links=_links(answer, kpi))
        for at, (key, name) in enumerate(names.items())
        if answer.measures[key]
    ]

    def part(key: str) -> Callable[[Point], Cell]:
        def cell(point: Point) -> Cell:
            value = each(point, key)
            minor = None if value is None else value * 10 ** exponent_of(currency)
            return Cell(money_text(minor, currency), value)

        return cell

    chart = charts.stacked(_labels(answer), stacks, y_title=currency)
    columns = [_value(answer, kpi), *(_Column(name, part(key)) for key, name in names.items())]
    sums = [answer.measures[key] or 0 for key in ("human_micro", "llm_micro", "cost_micro")]
    finding = cost_finding(sums[0], sums[1], sums[2], estimated=True)
    return _drawing(answer, "cost", _("Cost per workflow"), kpi, finding, chart=chart, columns=columns)


def _autonomy(answer: Answer) -> Drawing:
    kpi = "no_touch_rate"
    alone = [point.measures["no_touch"] for point in answer.series]
    helped = [point.measures["helped"] for point in answer.series]
    failed = [point.measures["failed"] for point in answer.series]
    stacks = [
        Series(_("Without a person"), alone, SERIES[0], links=_links(answer, kpi)),
        Series(_("With a person"), helped, SERIES[1], links=_links(answer, "helped")),
        Series(_("Failed"), failed, SERIES[2], links=_links(answer, "failed")),
    ]
    chart = charts.stacked(_labels(answer), stacks, y_title=_("% of finished runs"), share=True)
    columns = [
        _value(answer, kpi),
        _interval(kpi),
        _count(_("Without a person"), "no_touch"),
        _value(answer, "helped", _("With a person")),
        _value(answer, "failed", _("Failed")),
        _count(_("Runs"), "finished"),
    ]
    finding = autonomy_finding(answer.totals[kpi].figure)
    return _drawing(answer, "autonomy", _("Autonomy"), kpi, finding, chart=chart, columns=columns)


def csv_rows_for(actor: User, answer: Answer, drawing: Drawing | None) -> list[list[str | float | None]]:
    """A chart's table, or every KPI by bucket, as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    asked, head = answer.asked, csv_head_of(answer)
    if drawing is not None:
        head.append([f"# {_(drawing.definition.label)}: {_(drawing.definition.formula)}"])
        return [*head, list(drawing.columns), *([cell.raw for cell in row] for row in drawing.rows)]
    head += [[f"# {key}: {_(one.formula)}"] for key, one in DEFINITIONS.items()]
    total: list[str | float | None] = ["total", asked.period.start.isoformat(), asked.period.end.isoformat()]
    total += [answer.totals[key].figure.value for key in DEFINITIONS]
    points: list[list[str | float | None]] = [
        [
            point.bucket.label,
            point.bucket.start.isoformat(),
            point.bucket.end.isoformat(),
            *(point.figures[key].value for key in DEFINITIONS),
        ]
        for point in answer.series
    ]
    return [*head, ["bucket", "start", "end", *DEFINITIONS], total, *points]


def csv_head_of(answer: Answer) -> list[list[str | float | None]]:
    """The lines that say of a file what it is about."""
    asked = answer.asked
    said = (
        ("filter", asked.query),
        ("zone", asked.zone.key),
        ("as of", answer.as_of.isoformat()),
        ("includes simulated history", str(asked.simulated).lower()),
    )
    return [[f"# {name}: {value}"] for name, value in said]
