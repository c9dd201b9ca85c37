"""A figure taken apart, on the page behind it: every number leads to exactly the rows that it counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models import StepFact
from apps.kpis.models.clock import reporting_currency
from apps.kpis.models.measures import CYCLE, MEMBERS, within
from apps.kpis.rules.buckets import buckets_of
from apps.kpis.rules.definitions import Definition, percentile_name
from apps.kpis.rules.figures import figures_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, heads_of, percent_text
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.drawings import Cell, Table, cell_of, page_of_kpi
from apps.kpis.selectors.goals import goals_for
from apps.kpis.selectors.parts import (
    ERROR,
    OVERDUE,
    WENT_TO_PEOPLE,
    asking,
    keys_beside,
    part_names,
    within_part,
)
from apps.kpis.selectors.reading import Reader, actions_for, percentile_row, runs_for

HOURS, WEEKDAYS = 24, 7
BY_WORKFLOW = (
    "cycle_time_p50_s",
    "cycle_time_p90_s",
    "error_rate",
    "throughput",
    "sla_adherence",
    "cost_per_success_minor",
    "escalation_rate",
    "no_touch_rate",
)


def splits_for(actor: User, definition: Definition, asked: KpiFilter) -> list[Table]:
    """The tables above the list behind a figure; none where a part of it is asked for already."""
    if not actor.is_active or asked.part is not None:
        return []
    found: list[Table | None] = []
    if definition.key in BY_WORKFLOW and not asked.workflow:
        found.append(_by_workflow(actor, definition, asked))
    more: Mapping[str, Sequence[Callable[[User, Definition, KpiFilter], Table | None]]] = {
        "error_rate": (_by_error, _by_step),
        "failed": (_by_error, _by_step),
        "escalation_rate": (_by_reason, _by_hour),
        "actions_alone": (_by_operation,),
    }
    found += [split(actor, definition, asked) for split in more.get(definition.key, ())]
    return [one for one in found if one is not None]


def split_csv_for(
    actor: User, definition: Definition, asked: KpiFilter, table: Table
) -> list[list[str | float | None]]:
    """A split as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    head: list[list[str | float | None]] = [
        [f"# filter: {asked.query}"],
        [f"# zone: {asked.zone.key}"],
        [f"# {_(definition.label)}: {_(definition.formula)}"],
    ]
    return [*head, heads_of(table.columns, table.rows), *([cell.raw for cell in row] for row in table.rows)]


def split_words_for(actor: User, asked: KpiFilter) -> str:
    """The part that a list is limited to, in words; empty without one."""
    if asked.part is None or not actor.is_active:
        return ""
    name, value = asked.part
    words = {
        "error": _("Class of error: %(value)s"),
        "step": _("Step: %(value)s"),
        "reason": _("Reason: %(value)s"),
        "hour": _("Asked in the hour: %(value)s"),
        "operation": _("Operation: %(value)s"),
    }
    return words[name] % {"value": _hour_name(value) if name == "hour" else _part_name(value)}


def _part_name(key: str) -> str:
    names, others = part_names(), keys_beside(key)
    if others is None:
        return names.get(key, key)
    return _("all but %(names)s") % {"names": ", ".join(names.get(one, one) for one in others)}


def _weekdays() -> list[str]:
    return [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]


def _hour_name(value: str) -> str:
    weekday, _dash, hour = value.partition("-")
    return f"{_weekdays()[int(weekday) - 1]} {hour}:00"


def _by_workflow(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    """One row a workflow, the largest first; of times a line of the whole period on one scale beside it."""
    reader, goals, names = Reader(actor, asked, []), goals_for(actor), workflows_for(actor)
    buckets = buckets_of(asked.period, asked.size, asked.zone)
    found = reader.read(buckets, [CYCLE]).workflows
    rows = []
    for slug, measures in found.items():
        figure = figures_of(measures, reporting_currency())[definition.key]
        if slug and figure.value is not None and figure.n:
            rows.append((slug, figure))
    if len(rows) <= 1:
        return None
    rows.sort(key=lambda one: (-(one[1].value or 0), one[0]))
    most = 1.0 if definition.unit == "ratio" else max(figure.value or 0 for _slug, figure in rows) or 1.0
    lines = _lines(reader, buckets, definition) if definition.numerator == CYCLE.name else {}
    table = []
    for slug, figure in rows:
        own = asked.of_workflow(slug)
        target = None if definition.per_day else goals.target_of(definition, own)
        is_barred = slug not in lines
        cell = replace(
            cell_of(figure, page_of_kpi(own, definition.key) if figure.value else ""),
            bar=round((figure.value or 0) / most * 100, 1) if is_barred else None,
            mark=min(100.0, round(target.value / most * 100, 1)) if target is not None and is_barred else None,
            line=lines.get(slug, ""),
        )
        wanted = Cell(DASH, None) if target is None else cell_of(replace(figure, value=target.value))
        table.append([Cell(names.get(slug, slug), slug), cell, wanted, Cell(count_text(figure.n), figure.n)])
    says = _("The largest first. Lines show the whole period, all on one scale.") if lines else _("The largest first.")
    return Table(
        slug="by-workflow",
        title=_("By workflow"),
        says=says,
        columns=[_("Workflow"), _(definition.label), _("Target"), "n"],
        rows=table,
        last=[],
    )


def _lines(reader: Reader, buckets: Sequence[Any], definition: Definition) -> dict[str, str]:
    """The course of a time in each workflow, as points of a drawing 100 wide and 20 high, all on one scale."""
    name_of = percentile_name(CYCLE.name, definition.fraction or 0)
    values: dict[str, dict[int, float]] = {}
    for (at, name), written in reader.pieces(buckets, [CYCLE]).items():
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


def _part(asked: KpiFilter, name: str, value: str) -> KpiFilter:
    return replace(asked, part=(name, value))


def _rows(definition: Definition, asked: KpiFilter, name: str, found: Sequence[tuple[str, int]]) -> list[list[Cell]]:
    """Each part with how many it has, its share of the largest as a bar, and where its list is."""
    most, names = max((n for _key, n in found), default=1) or 1, part_names()
    return [
        [
            Cell(names.get(key, key), key),
            Cell(count_text(n), n, page_of_kpi(_part(asked, name, key), definition.key), bar=round(n / most * 100, 1)),
        ]
        for key, n in found
    ]


def _ended(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[Any]:
    rows: QuerySet[Any] = runs_for(actor, asked).filter(within("finished_at", asked.period))
    return rows.filter(MEMBERS[definition.members]).order_by()


def _by_error(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    rows = _ended(actor, definition, asked).annotate(error_key=ERROR)
    found = sorted(rows.values_list("error_key").annotate(n=Count("pk")), key=lambda one: (-one[1], one[0]))
    if not found:
        return None
    whole = sum(n for _key, n in found)
    shares = [Cell(percent_text(n / whole), n / whole) for _key, n in found]
    table = [[*row, share] for row, share in zip(_rows(definition, asked, "error", found), shares, strict=True)]
    return Table(
        slug="by-error",
        title=_("By class of error"),
        says=_("Each run counts once, under the class with which it ended."),
        columns=[_("Class of error"), _("Runs"), _("Share")],
        rows=table,
        last=[Cell(_("Together"), None), Cell(count_text(whole), whole), Cell("", None)],
    )


def _by_step(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    runs = _ended(actor, definition, asked)
    steps = StepFact.objects.filter(state="failed", run_id__in=runs.values("run_id")).order_by()
    counted = steps.values_list("name").annotate(n=Count("run_id", distinct=True))
    found = sorted(counted, key=lambda one: (-one[1], one[0]))
    if not found:
        return None
    whole = sum(n for _name, n in found)
    sums = [Cell(percent_text(n / whole), n / whole) for n in accumulate(n for _name, n in found)]
    table = [[*row, share] for row, share in zip(_rows(definition, asked, "step", found), sums, strict=True)]
    return Table(
        slug="by-step",
        title=_("By step that failed"),
        says=_(
            "The steps that fail most, and how much of all failed steps these are together. A run in which two steps "
            "failed counts for both."
        ),
        columns=[_("Step"), _("Runs"), _("Together with those above")],
        rows=table,
        last=[],
    )


def _by_reason(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    runs = _ended(actor, definition, asked)
    keys = asking(asked).filter(run_id__in=runs.values("run_id")).order_by()
    counted = dict(keys.values_list("reason").annotate(n=Count("run_id", distinct=True)))
    late = within_part(definition, runs, _part(asked, "reason", OVERDUE)).count()
    counted |= {OVERDUE: late} if late else {}
    found = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    if not found:
        return None
    return Table(
        slug="by-reason",
        title=_("By reason"),
        says=_(
            "What sent runs to people: the rule that asked, or what it was. A run that was sent for two reasons counts "
            "for both."
        ),
        columns=[_("Reason"), _("Runs")],
        rows=_rows(definition, asked, "reason", found),
        last=[],
    )


def _by_hour(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    """Runs by the hour and the day of the week at which people were asked, by the clocks of the zone."""
    runs = _ended(actor, definition, asked)
    keys = asking(asked).filter(WENT_TO_PEOPLE, run_id__in=runs.values("run_id")).order_by()
    counted = {
        (weekday, hour): n
        for weekday, hour, n in keys.values_list("weekday", "hour").annotate(n=Count("run_id", distinct=True))
    }
    if not counted:
        return None
    most = max(counted.values())

    def cell(weekday: int, hour: int) -> Cell:
        if not (n := counted.get((weekday, hour), 0)):
            return Cell("", 0)
        href = page_of_kpi(_part(asked, "hour", f"{weekday}-{hour:02}"), definition.key)
        return Cell(count_text(n), n, href, bar=round(n / most * 100, 1))

    days = range(1, WEEKDAYS + 1)
    return Table(
        slug="by-hour",
        title=_("By hour and day"),
        says=_(
            "When people were asked, by the clocks of %(zone)s: runs, each once an hour. Steps past their due date "
            "were asked for at no hour."
        )
        % {"zone": asked.zone.key},
        columns=[_("Hour"), *_weekdays()],
        rows=[[Cell(f"{hour:02}:00", hour), *(cell(day, hour) for day in days)] for hour in range(HOURS)],
        last=[],
    )


def _by_operation(actor: User, definition: Definition, asked: KpiFilter) -> Table | None:
    rows = actions_for(actor, asked).filter(within("ended_at", asked.period)).order_by()
    counted = rows.values_list("operation").annotate(n=Count("pk"), alone=Count("pk", filter=MEMBERS["acted_alone"]))
    found = sorted(counted, key=lambda one: (-one[2] / one[1], -one[1], one[0]))
    if not found:
        return None
    table = []
    for operation, n, alone in found:
        href = page_of_kpi(_part(asked, "operation", operation), definition.key) if alone else ""
        share = Cell(percent_text(alone / n), alone / n, bar=round(alone / n * 100, 1))
        table.append([Cell(operation, operation), share, Cell(count_text(alone), alone, href), Cell(count_text(n), n)])
    return Table(
        slug="by-operation",
        title=_("By operation"),
        says=_("The most autonomous first."),
        columns=[_("Operation"), _(definition.label), _("Without a person"), _("Actions")],
        rows=table,
        last=[],
    )
