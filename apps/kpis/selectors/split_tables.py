"""A figure taken apart as tables, on the page behind it: every number leads to exactly the rows that it counts."""

from collections.abc import Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models.clock import database_now
from apps.kpis.models.measures import CYCLE
from apps.kpis.rules.buckets import buckets_of
from apps.kpis.rules.definitions import Definition, Unit, percentile_name
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, heads_of, percent_text
from apps.kpis.selectors.drawings import Cell, Table, cell_of, page_of_kpi
from apps.kpis.selectors.reading import Reader, percentile_row
from apps.kpis.selectors.splits import Split, SplitRow, splits_for, weekdays

HOURS, WEEKDAYS = 24, 7


def split_tables_for(actor: User, definition: Definition, asked: KpiFilter) -> list[Table]:
    """The tables above the list behind a figure; none where a part of it is asked for already."""
    return [_table(actor, definition, asked, split) for split in splits_for(actor, definition, asked)]


def split_csv_for(
    actor: User, definition: Definition, asked: KpiFilter, table: Table
) -> list[list[str | float | None]]:
    """A split as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    head: list[list[str | float | None]] = [
        [f"# filter: {asked.query}"],
        [f"# zone: {asked.zone.key}"],
        [f"# as of: {database_now().isoformat()}"],
        [f"# {_(definition.label)}: {_(definition.formula)}"],
    ]
    return [*head, heads_of(table.columns, table.rows), *([cell.raw for cell in row] for row in table.rows)]


def _table(actor: User, definition: Definition, asked: KpiFilter, split: Split) -> Table:
    match split.slug:
        case "by-workflow":
            lines = _lines(actor, definition, asked) if definition.numerator == CYCLE.name else {}
            return _by_workflow(definition, split, lines)
        case "by-error":
            return _by_error(definition, split)
        case "by-step":
            return _by_step(definition, split)
        case "by-hour":
            return _by_hour(definition, split)
        case "by-operation":
            return _by_operation(definition, split)
    rows = [_counted(definition, split, one) for one in split.rows]
    return _drawn(split, [_("Reason"), _("Runs")], rows)


def _drawn(split: Split, columns: list[str], rows: list[list[Cell]], last: Sequence[Cell] = ()) -> Table:
    return Table(slug=split.slug, title=split.title, says=split.says, columns=columns, rows=rows, last=list(last))


def _counted(definition: Definition, split: Split, one: SplitRow) -> list[Cell]:
    """A part and how many it has, its share of the largest as a bar, and where its list is."""
    most = max(row.count for row in split.rows)
    href, bar = page_of_kpi(one.asked, definition.key), round(one.count / most * 100, 1)
    return [Cell(one.label, one.key), Cell(count_text(one.count), one.count, href, bar=bar)]


def _by_workflow(definition: Definition, split: Split, lines: dict[str, str]) -> Table:
    """Of times a line of the whole period on one scale beside each, of all else a bar."""
    values = [one.figure.value or 0 for one in split.rows if one.figure]
    most = 1.0 if definition.unit == Unit.RATIO else max(values) or 1.0
    rows = []
    for one in split.rows:
        assert one.figure is not None
        figure, is_barred = one.figure, one.key not in lines
        cell = replace(
            cell_of(figure, page_of_kpi(one.asked, definition.key) if one.count else ""),
            bar=round((figure.value or 0) / most * 100, 1) if is_barred else None,
            mark=min(100.0, round(one.target / most * 100, 1)) if one.target is not None and is_barred else None,
            line=lines.get(one.key, ""),
        )
        wanted = Cell(DASH, None) if one.target is None else cell_of(replace(figure, value=one.target))
        rows.append([Cell(one.label, one.key), cell, wanted, Cell(count_text(figure.n), figure.n)])
    return _drawn(split, [_("Workflow"), _(definition.label), _("Target"), "n"], rows)


def _lines(actor: User, definition: Definition, asked: KpiFilter) -> dict[str, str]:
    """The course of a time in each workflow, as points of a drawing 100 wide and 20 high, all on one scale."""
    buckets = buckets_of(asked.period, asked.size, asked.zone)
    name_of = percentile_name(CYCLE.name, definition.fraction or 0)
    values: dict[str, dict[int, float]] = {}
    for (at, name), written in Reader(actor, asked, []).pieces(buckets, [CYCLE]).items():
        value = percentile_row(CYCLE, written.get(CYCLE.name, [])).get(name_of)
        if value is not None:
            values.setdefault(name, {})[at] = value
    most = max((value for row in values.values() for value in row.values()), default=0) or 1.0
    last = max(1, len(buckets) - 1)
    return {
        name: " ".join(f"{at / last * 100:.1f},{19 - value / most * 18:.1f}" for at, value in sorted(row.items()))
        for name, row in values.items()
        if len(row) > 1
    }


def _by_error(definition: Definition, split: Split) -> Table:
    whole = sum(one.count for one in split.rows)
    rows = [[*_counted(definition, split, one), _share(one.share)] for one in split.rows]
    last = [Cell(_("Together"), None), Cell(count_text(whole), whole), Cell("", None)]
    return _drawn(split, [_("Class of error"), _("Runs"), _("Share")], rows, last)


def _by_step(definition: Definition, split: Split) -> Table:
    rows = [[*_counted(definition, split, one), _share(one.running)] for one in split.rows]
    return _drawn(split, [_("Step"), _("Runs"), _("Together with those above")], rows)


def _share(share: float | None) -> Cell:
    return Cell(percent_text(share), share)


def _by_hour(definition: Definition, split: Split) -> Table:
    """The hours of a day below each other, the days of the week beside each other."""
    cells = {one.key: _counted(definition, split, one)[1] for one in split.rows}
    rows = [
        [
            Cell(f"{hour:02}:00", hour),
            *(cells.get(f"{day}-{hour:02}", Cell("", 0)) for day in range(1, WEEKDAYS + 1)),
        ]
        for hour in range(HOURS)
    ]
    return _drawn(split, [_("Hour"), *weekdays()], rows)


def _by_operation(definition: Definition, split: Split) -> Table:
    rows = []
    for one in split.rows:
        assert one.figure is not None
        share = replace(_share(one.figure.value), bar=round((one.figure.value or 0) * 100, 1))
        href = page_of_kpi(one.asked, definition.key) if one.count else ""
        alone = Cell(count_text(one.count), one.count, href)
        rows.append([Cell(one.label, one.key), share, alone, Cell(count_text(one.figure.n), one.figure.n)])
    return _drawn(split, [_("Operation"), _(definition.label), _("Without a person"), _("Actions")], rows)
