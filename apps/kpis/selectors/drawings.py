"""What every chart is made of: its finding, its table, and links to the runs behind every point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.amounts import exponent_of
from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import Series
from apps.kpis.rules.changes import Mark
from apps.kpis.rules.definitions import DEFINITIONS, Definition, Unit
from apps.kpis.rules.figures import Figure
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, heads_of
from apps.kpis.rules.goals import BaselineSeen
from apps.kpis.rules.sentences import (
    Sentence,
    axis_of,
    finding_of,
    interval_text,
)
from apps.kpis.selectors.kpis import Answer, Point

OVERVIEW, OVERSIGHT, COST, AGENTS = "overview", "oversight", "cost", "agents"
SHOWN = 50
"""So many rows of a table stand on the page; the file has all."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a table: as people read it, raw for the CSV, where it leads, and what ``raw`` counts.

    ``bar``: its length beside the value, in percent, with a ``mark`` where its target is; ``line``: points of a drawing
    100 x 20. ``n``: of how many values it speaks, None where it is a count itself; ``few``: too few to compare it with
    anything; ``note``: what a reader has to know of it.
    """

    text: str
    raw: str | float | None
    href: str = ""
    unit: str = ""
    bar: float | None = None
    mark: float | None = None
    line: str = ""
    n: int | None = None
    few: bool = False
    note: str = ""


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
class Table:
    """Figures taken apart by one thing. ``last``: all rows together, ``says``: what a reader has to know of it."""

    slug: str
    title: str
    says: str
    columns: list[str]
    rows: list[list[Cell]]
    last: list[Cell]

    @property
    def shown(self) -> list[list[Cell]]:
        """The first rows."""
        return self.rows[:SHOWN]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its name, and what stands in it for a point."""

    name: str
    cell: Callable[[Point], Cell]


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


def drawing_of(answer: Answer, slug: str, title: str, kpi: str, finding: Sentence, **parts: Any) -> Drawing:
    """A chart with its table; bars of a bucket that is not over are hatched. ``definition``: of a KPI of one's own."""
    columns: Sequence[Column] = parts["columns"]
    return Drawing(
        slug=slug,
        title=title,
        definition=parts.get("definition") or DEFINITIONS[kpi],
        finding=said(finding),
        chart=charts.hatched(parts["chart"], [point.partial for point in answer.series]),
        columns=(_("From"), *(column.name for column in columns)),
        rows=[[label_of(point), *(column.cell(point) for column in columns)] for point in answer.series],
        href=parts.get("href") or page_of_kpi(answer.asked, kpi),
    )


def label_of(point: Point) -> Cell:
    """A bucket's name as the first cell of its row."""
    text = f"{point.bucket.label} ({_('so far')})" if point.partial else point.bucket.label
    return Cell(text, point.bucket.label)


def value_column(answer: Answer, kpi: str, name: str = "") -> Column:
    """A column of a KPI's values, each leading to what is behind it."""
    definition = DEFINITIONS[kpi]

    def cell(point: Point) -> Cell:
        figure = point.figures[kpi]
        href = page_of_kpi(answer.asked.within(point.bucket), kpi) if figure.value else ""
        return sampled_cell_of(figure, href)

    return Column(name or _(definition.label), cell)


def cell_of(figure: Figure, href: str = "") -> Cell:
    """A figure in a table, with its unit for files."""
    return Cell(figure.text, *_raw(figure, href))


def sampled_cell_of(figure: Figure, href: str = "") -> Cell:
    """A figure in a table that has no column of n: with its own, and marked where that is small."""
    is_sampled = figure.definition.sampled
    return replace(cell_of(figure, href), n=figure.n if is_sampled else None, few=is_sampled and not figure.enough)


def _raw(figure: Figure, href: str) -> tuple[float | None, str, str]:
    """As files of charts have it: money in whole units, as everything else in such a file."""
    unit, value = figure.definition.unit, figure.value
    if unit == Unit.MINOR:
        return None if value is None else value / 10 ** exponent_of(figure.currency), href, figure.currency
    return value, href, {Unit.SECONDS: "s", Unit.RATIO: "0..1"}.get(unit, "")


def count_column(name: str, measure: str) -> Column:
    """A column of counts that lead nowhere."""

    def cell(point: Point) -> Cell:
        return Cell(count_text(point.measures[measure]), point.measures[measure])

    return Column(name, cell)


def interval_column(kpi: str) -> Column:
    """A column of 95 % intervals."""

    def cell(point: Point) -> Cell:
        text = interval_text(point.figures[kpi])
        return Cell(text or DASH, text)

    return Column(_("95 % interval"), cell)


def labels_of(answer: Answer) -> list[str]:
    """The names of the buckets."""
    return [point.bucket.label for point in answer.series]


def links_of(answer: Answer, kpi: str) -> list[str]:
    """Where the rows behind a KPI are listed, bucket by bucket."""
    return [page_of_kpi(answer.asked.within(point.bucket), kpi) for point in answer.series]


def scaled_of(answer: Answer, kpi: str, scale: float) -> list[float | None]:
    """A KPI's values on its axis; a bucket that is not over yet is left out of lines."""
    return [
        None if (value := point.figures[kpi].value) is None or point.partial else round(value / scale, 4)
        for point in answer.series
    ]


def was_of(answer: Answer, kpi: str, scale: float, *others: str) -> Series | None:
    """The baseline as a series; None where it would flatten everything else. The finding says it in any case."""
    baseline = answer.totals[kpi].baseline
    known = [value for one in (kpi, *others) for point in answer.series if (value := point.figures[one].value)]
    if baseline is None or baseline.value > charts.FAR * max(known, default=baseline.value):
        return None
    return Series(baseline_name(baseline), [baseline.value / scale])


def baseline_name(baseline: BaselineSeen) -> str:
    """What its line is called: of which period it is, and whether nobody approved it yet."""
    more = [baseline.period, "" if baseline.approved else _("not approved")]
    return " ".join([_("Baseline"), *(f"({one})" for one in more if one)])


def scale_of(answer: Answer, *kpis: str) -> tuple[float, str]:
    """What the values of these KPIs are divided by on a common axis, and what that axis is called."""
    known = [value for kpi in kpis for point in answer.series if (value := point.figures[kpi].value) is not None]
    figure = answer.totals[kpis[0]].figure
    scale, name = axis_of(figure.definition, max(known, default=0.0), figure.currency)
    return scale, _(name)


def half_finding_of(answer: Answer, kpi: str) -> Sentence:
    """The first half of the period against the second, in a sentence."""
    return held_finding_of(answer.halves[0][kpi], answer.halves[1][kpi], answer.totals[kpi].baseline)


def held_finding_of(first: Figure, second: Figure, baseline: BaselineSeen | None) -> Sentence:
    """One half against the other, and against what was before; it says of that if nobody approved it."""
    found = finding_of(first, second, baseline.value if baseline else None)
    if baseline is None or baseline.approved or "baseline" not in found.values:
        return found
    return replace(found, values={**found.values, "baseline": f"{found.values['baseline']} ({_('not approved')})"})


def drawing_csv_for(actor: User, answer: Answer, drawing: Drawing) -> list[list[str | float | None]]:
    """A chart's table as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    said: list[str | float | None] = [f"# {_(drawing.definition.label)}: {_(drawing.definition.formula)}"]
    return [*csv_head_of(answer), said, *_raw_rows(drawing.columns, drawing.rows)]


def csv_head_of(answer: Answer) -> list[list[str | float | None]]:
    """The lines that say of a file what it is about."""
    asked = answer.asked
    said = (
        ("filter", asked.query),
        ("zone", asked.zone.key),
        ("as of", answer.as_of.isoformat()),
        ("includes simulated history", str(asked.simulated).lower()),
        *(("not over yet", point.bucket.label) for point in answer.series if point.partial),
    )
    return [[f"# {name}: {value}"] for name, value in said]


def table_csv_for(actor: User, answer: Answer, table: Table) -> list[list[str | float | None]]:
    """A table's rows as raw numbers, and all of them together, below lines that say what they are."""
    if not actor.is_active:
        return []
    rows = [*table.rows, *([table.last] if table.last else [])]
    return [*csv_head_of(answer), *_raw_rows(table.columns, rows)]


def _raw_rows(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[list[str | float | None]]:
    """Heads and rows as raw numbers; behind a column of figures that have an n, one of that."""
    counted = [any(cell.n is not None for cell in column) for column in zip(*rows, strict=True)] or [False] * len(
        columns
    )
    heads: list[list[str | float | None]] = [
        [head, f"n: {name}"] for head, name in zip(heads_of(columns, rows), columns, strict=True)
    ]
    pairs = [heads, *([[cell.raw, cell.n] for cell in row] for row in rows)]
    return [
        [raw for pair, both in zip(row, counted, strict=True) for raw in (pair if both else pair[:1])] for row in pairs
    ]
