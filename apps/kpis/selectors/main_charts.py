"""The charts of a dashboard: six, and of one workflow that of its errors and those of its own figures."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from django.utils.translation import gettext as _

from apps.core.amounts import exponent_of
from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.models.measures import within
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.changes import Change, marks_of
from apps.kpis.rules.formats import duration_text, money_text
from apps.kpis.rules.sentences import autonomy_finding, cost_finding, throughput_finding
from apps.kpis.selectors.courses import Course
from apps.kpis.selectors.drawings import (
    Cell,
    Column,
    Drawing,
    count_column,
    drawing_of,
    half_finding_of,
    interval_column,
    labels_of,
    links_of,
    marked_of,
    scale_of,
    scaled_of,
    value_column,
    was_of,
)
from apps.kpis.selectors.error_classes import error_classes_for
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.own_charts import own_drawings_of

WEEK_DAYS = 7
FEW = 10
"""The interval of fewer runs than this does not stretch the axis."""


def drawings_for(
    actor: User, answer: Answer, changes: Sequence[Change] = (), own: Sequence[Course] = ()
) -> list[Drawing]:
    """The charts of a dashboard, from an answer and changes that ``actor`` was given; these are marked in each.

    ``own``: the KPIs of one's own that are drawn behind the others.
    """
    if not actor.is_active:
        return []
    drawn: list[Drawing | None] = [_cycle_time(answer), _throughput(answer), _error_rate(answer)]
    drawn += [
        error_classes_for(actor, answer),
        _sla(answer),
        cost_drawing_of(answer),
        _escalation_rate(answer),
        _autonomy(answer),
    ]
    drawn += own_drawings_of(answer, own)
    marks = marks_of([point.bucket for point in answer.series], changes)
    return [marked_of(one, marks, answer) for one in drawn if one is not None]


def _cycle_time(answer: Answer) -> Drawing:
    median, tail = "cycle_time_p50_s", "cycle_time_p90_s"
    scale, axis = scale_of(answer, median, tail)
    values, tails = scaled_of(answer, median, scale), scaled_of(answer, tail, scale)
    chart = charts.band(
        labels_of(answer),
        Series(_("Median"), values, links=links_of(answer, median)),
        low=values,
        high=tails,
        band_name=_("up to the 90th percentile"),
        y_title=axis,
        baseline=was_of(answer, median, scale, tail),
    )
    sla_ms = _sla_ms(answer)
    drawn = [value for value in (*values, *tails) if value is not None]
    if sla_ms is not None and sla_ms / 1000 / scale <= charts.FAR * max(drawn, default=0):
        chart = charts.limited(chart, labels_of(answer), Series(_("SLA"), [sla_ms / 1000 / scale], SERIES[1], "dot"))
    columns = [
        value_column(answer, median, _("Median")),
        value_column(answer, tail, _("90th percentile")),
        count_column(_("Runs"), "succeeded"),
    ]
    finding = half_finding_of(answer, median)
    told = drawing_of(answer, "cycle-time", _("Cycle time"), median, finding, chart=chart, columns=columns)
    if sla_ms is None:
        return told
    target = _("The newest of these runs had an SLA of %(sla)s.") % {"sla": duration_text(sla_ms / 1000)}
    return replace(told, finding=f"{told.finding} {target}")


def _sla_ms(answer: Answer) -> int | None:
    """The target of the newest run that ended in the period, of one workflow: several have none in common."""
    if not answer.asked.workflow:
        return None
    ended = answer.reader.runs.filter(within("finished_at", answer.asked.period)).order_by("-finished_at")
    return ended.values_list("sla_ms", flat=True).first()


def _throughput(answer: Answer) -> Drawing:
    names = {"succeeded": _("Succeeded"), "failed": _("Failed"), "cancelled": _("Cancelled")}
    kpis = {"succeeded": "throughput", "failed": "failed", "cancelled": "cancelled"}
    stacks = [
        Series(name, [point.measures[key] for point in answer.series], SERIES[at], links=links_of(answer, kpis[key]))
        for at, (key, name) in enumerate(names.items())
        if key == "succeeded" or answer.measures[key]
    ]
    daily = answer.asked.size == BucketSize.DAY
    succeeded = [None if point.partial else point.measures["succeeded"] for point in answer.series]
    mean = Series(_("7-day mean"), charts.running_mean(succeeded, WEEK_DAYS), SERIES[3], "dot") if daily else None
    chart = charts.stacked(labels_of(answer), stacks, y_title=_("runs"), mean=mean)
    columns = [value_column(answer, kpi, names[key]) for key, kpi in kpis.items()]
    counts = [answer.measures[key] or 0 for key in names]
    days = answer.asked.period.days_until(answer.as_of)
    finding = throughput_finding(counts[0], counts[1], counts[2], days)
    return drawing_of(answer, "throughput", _("Throughput"), "throughput", finding, chart=chart, columns=columns)


def _error_rate(answer: Answer) -> Drawing:
    more = [value_column(answer, "failed", _("Failed")), count_column(_("Runs"), "finished")]
    return _share(answer, "error_rate", "error-rate", _("Error rate"), more)


def _escalation_rate(answer: Answer) -> Drawing:
    more = [count_column(_("Went to people unplanned"), "escalated"), count_column(_("Runs"), "finished")]
    return _share(answer, "escalation_rate", "escalation-rate", _("Escalation rate"), more)


def _share(answer: Answer, kpi: str, slug: str, title: str, more: Sequence[Column]) -> Drawing:
    """A share of runs with its 95 % interval, and what it was before."""
    scale = 0.01
    figures = [point.figures[kpi] for point in answer.series]
    shown = [not point.partial for point in answer.series]
    was = was_of(answer, kpi, scale)
    drawn = [one for one, yes in zip(figures, shown, strict=True) if yes]
    tops = [max(one.value or 0, one.high if one.n >= FEW and one.high else 0) / scale for one in drawn]
    ends = {
        name: [
            end / scale if (end := getattr(one, name)) is not None and yes else None
            for one, yes in zip(figures, shown, strict=True)
        ]
        for name in ("low", "high")
    }
    chart = charts.band(
        labels_of(answer),
        Series(title, scaled_of(answer, kpi, scale), links=links_of(answer, kpi)),
        band_name=_("95 % interval"),
        y_title="%",
        baseline=was,
        top=max([*tops, *(value or 0 for value in (was.values if was else ()))], default=0) * 1.1 or None,
        **ends,
    )
    columns = [value_column(answer, kpi), interval_column(kpi), *more]
    return drawing_of(answer, slug, title, kpi, half_finding_of(answer, kpi), chart=chart, columns=columns)


def _sla(answer: Answer) -> Drawing:
    kpi, scale = "sla_adherence", 0.01
    lines = [Series(_("SLA adherence"), scaled_of(answer, kpi, scale), links=links_of(answer, kpi))]
    if target := answer.totals[kpi].target:
        lines.append(Series(_("Target"), [target.value / scale for _point in answer.series], SERIES[1], "dot"))
    chart = charts.line(labels_of(answer), lines, y_title="%", baseline=was_of(answer, kpi, scale), ceiling=100)
    breaches = [point.measures["late"] for point in answer.series]
    late = Series(_("Breaches"), breaches, SERIES[1], links=links_of(answer, "sla_breaches"))
    chart = charts.below(chart, labels_of(answer), late, y_title=_("runs"))
    columns = [
        value_column(answer, kpi),
        interval_column(kpi),
        count_column(_("Within the target"), "sla_met"),
        value_column(answer, "sla_breaches", _("Breaches")),
        count_column(_("Runs"), "sla_due"),
    ]
    finding = half_finding_of(answer, kpi)
    return drawing_of(answer, "sla", _("SLA adherence"), kpi, finding, chart=chart, columns=columns)


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
        Series(name, [each(point, key) for point in answer.series], SERIES[at], links=links_of(answer, kpi))
        for at, (key, name) in enumerate(names.items())
        if answer.measures[key]
    ]

    def part(key: str) -> Callable[[Point], Cell]:
        def cell(point: Point) -> Cell:
            value = each(point, key)
            minor = None if value is None else value * 10 ** exponent_of(currency)
            return Cell(money_text(minor, currency), value, unit=currency)

        return cell

    chart = charts.stacked(labels_of(answer), stacks, y_title=currency)
    columns = [value_column(answer, kpi), *(Column(name, part(key)) for key, name in names.items())]
    sums = [answer.measures[key] or 0 for key in ("human_micro", "llm_micro", "cost_micro")]
    guessed = answer.reader.costs.filter(within("incurred_at", answer.asked.period), is_estimated=True).order_by()
    finding = cost_finding(*sums, is_estimated=guessed.exists())
    return drawing_of(answer, "cost", _("Cost per workflow"), kpi, finding, chart=chart, columns=columns)


def _autonomy(answer: Answer) -> Drawing:
    kpi = "no_touch_rate"
    outcomes = (
        (_("Without a person"), "no_touch", kpi),
        (_("Approved as asked"), "as_asked", "helped_as_asked"),
        (_("Edited or sent back"), "amended", "helped_edited"),
        (_("Rejected or failed"), "given_up", "rejected_or_failed"),
    )
    stacks = [
        Series(name, [point.measures[of] for point in answer.series], SERIES[at], links=links_of(answer, behind))
        for at, (name, of, behind) in enumerate(outcomes)
    ]
    chart = charts.stacked(labels_of(answer), stacks, y_title=_("% of finished runs"), share=True)
    columns = [
        value_column(answer, kpi),
        interval_column(kpi),
        count_column(_("Without a person"), "no_touch"),
        *(value_column(answer, behind, name) for name, _of, behind in outcomes[1:]),
        count_column(_("Runs"), "finished"),
    ]
    finding = autonomy_finding(answer.totals[kpi].figure)
    return drawing_of(answer, "autonomy", _("Autonomy"), kpi, finding, chart=chart, columns=columns)
