"""Control charts of a workflow: week by week, against its own first weeks since the newest version that has enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Min
from django.utils.translation import gettext as _

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import CYCLE
from apps.kpis.rules.buckets import DAY, Bucket, BucketSize, Period, buckets_of, first_day, local_day, local_midnight
from apps.kpis.rules.control import WORDS, Control, Week, Why, control_sentence, of_durations, of_shares
from apps.kpis.rules.definitions import DEFINITIONS, Definition, Kind
from apps.kpis.rules.figures import Figure, figure_of, value_text
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text
from apps.kpis.rules.sentences import axis_of
from apps.kpis.selectors.drawings import page_of_kpi, said
from apps.kpis.selectors.reading import Reader, runs_for

CHARTED = ("cycle_time_p50_s", "error_rate", "no_touch_rate", "escalation_rate")
MOST_WEEKS = 260
"""Five years; older weeks are no longer read."""


@dataclass(frozen=True, slots=True)
class WeekLine:
    """One week in words: its value, over how many runs, its limits, and what is worth a look or began in it."""

    label: str
    text: str
    n: str
    limits: str
    word: str
    event: str
    href: str
    point: "WeekPoint"


@dataclass(frozen=True, slots=True)
class WeekPoint:
    """The same as numbers: seconds, or a share 0..1. ``version``: its first whole week."""

    week: Bucket
    value: float | None
    n: int
    low: float | None
    high: float | None
    why: Why | None
    version: int | None


@dataclass(frozen=True, slots=True)
class ControlChart:
    """One figure, week by week, the newest line first. ``centre``: None while too few weeks say what is usual."""

    key: str
    title: str
    formula: str
    finding: str
    centre: float | None
    looks: int
    chart: dict[str, Any]
    lines: list[WeekLine]


def control_charts_for(actor: User, asked: KpiFilter) -> list[ControlChart]:
    """The charts of ``asked.workflow`` from its first week to the newest that is over, whatever the period.

    Nothing is charted before a week is over. Raises NotAllowedError for who may see no figures anywhere.
    """
    asked = replace(asked, version=None, size=BucketSize.WEEK)
    rows = runs_for(actor, asked).exclude(finished_at=None).order_by()
    begun = dict(rows.values_list("version").annotate(first=Min("started_at")))
    first = rows.aggregate(first=Min("finished_at"))["first"]
    today = first_day(local_day(database_now(), asked.zone), BucketSize.WEEK)
    end = local_midnight(today, asked.zone)
    if first is None or first >= end:
        return []
    earliest = first_day(local_day(first, asked.zone), BucketSize.WEEK)
    start = local_midnight(max(earliest, today - DAY * 7 * MOST_WEEKS), asked.zone)
    weeks = buckets_of(Period(start, end), BucketSize.WEEK, asked.zone)
    found = Reader(actor, asked, []).read(weeks, (CYCLE,)).parts
    later = sorted(begun.items(), key=lambda one: one[1])[1:]  # the first version changed nothing
    events = {
        place: version
        for version, moment in later
        if (place := next((at for at, week in enumerate(weeks) if week.start >= moment), 0))
    }
    figures = {key: [figure_of(DEFINITIONS[key], row, reporting_currency()) for row in found] for key in CHARTED}
    return [_chart(asked, weeks, figures[key], events) for key in CHARTED]


def weeks_csv_for(actor: User, asked: KpiFilter) -> list[list[str | float | None]]:
    """The charts' points as raw numbers below a line that says of what: seconds, or shares from 0 to 1.

    The newest week first. The filter has no period and no version: all weeks are told. Raises NotFoundError where no
    workflow is asked for.
    """
    if not asked.workflow:
        raise NotFoundError
    limits = {name: asked.described.get(name) for name in ("workflow", "unit", "agent", "simulated")}
    limited = "&".join(f"{name}={str(value).lower()}" for name, value in limits.items() if value is not None)
    rows: list[list[str | float | None]] = [
        [f"# filter: {limited}"],
        ["KPI", "week", "value", "n", "low", "high", "middle", "look", "version"],
    ]
    for chart in control_charts_for(actor, asked):
        for one in (line.point for line in chart.lines):
            told = [one.value, one.n, one.low, one.high, chart.centre, one.why, one.version]
            rows.append([chart.key, one.week.label, *told])
    return rows


def _chart(
    asked: KpiFilter, weeks: Sequence[Bucket], figures: Sequence[Figure], events: dict[int, int]
) -> ControlChart:
    definition, labels = figures[0].definition, [week.label for week in weeks]
    points = [Week(figure.value, figure.n) for figure in figures]
    of = of_durations if definition.kind == Kind.PERCENTILE else of_shares
    control = of(points, list(events))
    looks = dict(control.signals) if control else {}
    return ControlChart(
        key=definition.key,
        title=_(definition.label),
        formula=_(definition.formula),
        finding=said(control_sentence(control, labels, sum(point.counts for point in points))),
        centre=control.centre if control else None,
        looks=len(looks),
        chart=_drawn(asked, weeks, figures, control, {place: _version(one) for place, one in events.items()}),
        lines=[
            WeekLine(
                label=label,
                text=figure.text,
                n=count_text(figure.n),
                limits=_limits(definition, control, place),
                word=_(WORDS[looks[place]]) if place in looks else "",
                event=_version(events[place]) if place in events else "",
                href=page_of_kpi(asked.within(weeks[place]), definition.key) if figure.n else "",
                point=WeekPoint(
                    week=weeks[place],
                    value=figure.value,
                    n=figure.n,
                    low=control.low[place] if control else None,
                    high=control.high[place] if control else None,
                    why=looks.get(place),
                    version=events.get(place),
                ),
            )
            for place, (label, figure) in reversed(list(enumerate(zip(labels, figures, strict=True))))
        ],
    )


def _version(number: int) -> str:
    return _("v%(number)s") % {"number": number}


def _limits(definition: Definition, control: Control | None, place: int) -> str:
    low, high = (control.low[place], control.high[place]) if control else (None, None)
    if low is None or high is None:
        return DASH
    return f"{value_text(definition, low, '')} – {value_text(definition, high, '')}"


def _drawn(
    asked: KpiFilter,
    weeks: Sequence[Bucket],
    figures: Sequence[Figure],
    control: Control | None,
    events: dict[int, str],
) -> dict[str, Any]:
    definition, empty = figures[0].definition, [None] * len(figures)
    scale, axis = axis_of(definition, max((figure.value or 0 for figure in figures), default=0.0), "")
    looks = dict(control.signals) if control else dict[int, Why]()

    def scaled(values: Sequence[float | None]) -> list[float | None]:
        return [None if value is None else round(value / scale, 4) for value in values]

    values = scaled([figure.value for figure in figures])
    limits = [
        Series(_("Middle"), scaled([control.centre] * len(figures)) if control else empty, SERIES[3], "dash"),
        Series(_("Upper limit"), scaled(control.high) if control else empty, SERIES[1], "dot"),
        Series(_("Lower limit"), scaled(control.low) if control else empty, SERIES[1], "dot"),
    ]
    links = [page_of_kpi(asked.within(week), definition.key) for week in weeks]
    marked = [value if place in looks else None for place, value in enumerate(values)]
    return charts.control(
        [week.label for week in weeks],
        Series(_(definition.label), values, links=links),
        limits=limits if control else [],
        looks=Series(_("Worth a look"), marked, SERIES[2], links=links),
        events=events,
        y_title=_(axis),
    )
