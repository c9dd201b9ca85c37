"""Charts of KPIs of one's own: each bucket by bucket, with what it was and should be, as those of the plane's."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.business import Aggregate
from apps.kpis.rules.figures import Figure, value_text
from apps.kpis.rules.formats import DASH, count_text
from apps.kpis.rules.goals import BaselineSeen
from apps.kpis.rules.sentences import Sentence, axis_of, interval_text, sum_finding
from apps.kpis.selectors.courses import Course
from apps.kpis.selectors.drawings import (
    Cell,
    Column,
    Drawing,
    baseline_name,
    cell_of,
    drawing_of,
    held_finding_of,
    labels_of,
    links_of,
    page_of_kpi,
)
from apps.kpis.selectors.kpis import Answer, Point


def own_drawings_of(answer: Answer, courses: Sequence[Course]) -> list[Drawing]:
    """The charts of one's own KPIs; none of one that no run gave a value for."""
    return [_drawing(answer, course) for course in courses if course.whole.n]


def _drawing(answer: Answer, course: Course) -> Drawing:
    definition = course.definition
    baseline = course.own.total.baseline
    columns = [
        _column(answer, course, _("Value"), lambda point, figure: _value(answer, course, point, figure)),
        _column(answer, course, "n", lambda _point, figure: Cell(count_text(figure.n), figure.n)),
    ]
    if course.own.kpi.aggregate == Aggregate.SHARE:
        columns.insert(1, _column(answer, course, _("95 % interval"), lambda _point, figure: _interval(figure)))
    return drawing_of(
        answer,
        course.column,
        course.own.kpi.name,
        definition.key,
        _finding(answer, course, baseline),
        definition=definition,
        chart=_with_target(answer, course, _chart(answer, course, baseline)),
        columns=columns,
    )


def _chart(answer: Answer, course: Course, baseline: BaselineSeen | None) -> charts.Chart:
    """Bars of a sum, a line in its interval of a share, a line of all else."""
    definition, labels = course.definition, labels_of(answer)
    scale, axis = axis_of(definition, 0.0, course.whole.currency)
    axis = axis if definition.unit == "ratio" else charts.inert(course.own.kpi.unit)
    links = links_of(answer, definition.key)
    name = charts.inert(course.own.kpi.name)
    was = None
    if baseline is not None and _is_drawn(answer, course, baseline.value):
        was = Series(charts.inert(baseline_name(baseline)), [baseline.value / scale], charts.BASELINE, "dash")
    if course.own.kpi.aggregate == Aggregate.SUM:
        chart = charts.bars(labels, Series(name, [one.value for one in course.figures], links=links), y_title=axis)
        return charts.limited(chart, labels, was) if was else chart
    shown = [None if point.partial else one for point, one in zip(answer.series, course.figures, strict=True)]
    line = Series(name, [_scaled(one.value, scale) if one else None for one in shown], links=links)
    if course.own.kpi.aggregate != Aggregate.SHARE:
        return charts.line(labels, [line], y_title=axis, baseline=was)
    return charts.band(
        labels,
        line,
        low=[_scaled(one.low, scale) if one else None for one in shown],
        high=[_scaled(one.high, scale) if one else None for one in shown],
        band_name=_("95 % interval"),
        y_title=axis,
        baseline=was,
        top=100,
    )


def _with_target(answer: Answer, course: Course, chart: charts.Chart) -> charts.Chart:
    target = course.own.total.target
    if target is None or not _is_drawn(answer, course, target.value):
        return chart
    scale, _axis = axis_of(course.definition, 0.0, course.whole.currency)
    return charts.limited(chart, labels_of(answer), Series(_("Target"), [target.value / scale], SERIES[1], "dot"))


def _is_drawn(answer: Answer, course: Course, value: float) -> bool:
    """Whether a level has a place in the chart: of a day in one of days alone, and where it would not flatten all."""
    if course.definition.per_day and answer.asked.size != BucketSize.DAY:
        return False
    known = [abs(one.value) for one in course.figures if one.value]
    return abs(value) <= charts.FAR * max(known, default=abs(value))


def _finding(answer: Answer, course: Course, baseline: BaselineSeen | None) -> Sentence:
    if course.own.kpi.aggregate != Aggregate.SUM:
        return held_finding_of(*course.halves, baseline)
    daily = course.own.total.daily or 0
    was = value_text(course.definition, baseline.value, course.whole.currency) if baseline else ""
    unapproved = f" ({_('not approved')})" if baseline and not baseline.approved else ""
    return sum_finding(course.whole, value_text(course.definition, round(daily, 1), ""), f"{was}{unapproved}")


def _column(answer: Answer, course: Course, name: str, cell: Callable[[Point, Figure], Cell]) -> Column:
    told = {point.bucket.start: one for point, one in zip(answer.series, course.figures, strict=True)}
    return Column(name, lambda point: cell(point, told[point.bucket.start]))


def _value(answer: Answer, course: Course, point: Point, figure: Figure) -> Cell:
    href = page_of_kpi(answer.asked.within(point.bucket), course.definition.key) if figure.n else ""
    cell = cell_of(figure, href)
    return replace(cell, unit=cell.unit or course.own.kpi.unit)


def _interval(figure: Figure) -> Cell:
    text = interval_text(figure)
    return Cell(text or DASH, text)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else round(value / scale, 4)
