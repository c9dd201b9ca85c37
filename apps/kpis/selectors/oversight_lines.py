"""The course of oversight: how long people took to answer, and how much of what they approved was overturned."""

from collections.abc import Callable, Mapping, Sequence

from django.db.models import Count
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import Series
from apps.kpis.models.measures import MEMBERS, grouped
from apps.kpis.rules.asking import Became
from apps.kpis.rules.definitions import Behind, Direction
from apps.kpis.rules.definitions.kinds import gettext_noop, share
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.formats import DASH
from apps.kpis.rules.sentences import interval_text
from apps.kpis.selectors.asking import MEMBERS_OF, asked_href, ended_for, reasons_drawing_for
from apps.kpis.selectors.drawings import (
    Cell,
    Column,
    Drawing,
    drawing_of,
    half_finding_of,
    held_finding_of,
    labels_of,
    links_of,
    sampled_cell_of,
    scale_of,
    scaled_of,
    value_column,
    was_of,
)
from apps.kpis.selectors.kpis import Answer, Point
from apps.kpis.selectors.stacks import count_by_place

REVERSALS = share(
    "overturned",
    gettext_noop("Overturned afterwards"),
    gettext_noop(
        "decisions that approved and of which what was done was taken back, found wrong by a look afterwards, or shown "
        "otherwise by the system / decisions that approved"
    ),
    Direction.DOWN,
    "overturned",
    "approved",
    behind=Behind.DECISIONS,
)
"""By the time of the decision: what is found wrong later changes the figure of that time. In no list of KPIs."""
COUNTS = {
    "approved": Count("escalation_id", filter=MEMBERS["approved"]),
    "overturned": Count("escalation_id", filter=MEMBERS_OF[Became.OVERTURNED]),
}

type Counts = Mapping[str, int]


def oversight_drawings_for(actor: User, answer: Answer) -> list[Drawing]:
    """The charts of the page on oversight, of those that have anything to show."""
    drawn = (_review_time(answer), _reversals(actor, answer), reasons_drawing_for(actor, answer))
    return [one for one in drawn if one is not None]


def _review_time(answer: Answer) -> Drawing | None:
    """From the question to the answer; None where nobody decided anything. ``answer`` knows the percentiles of it."""
    median, tail = "approval_latency_p50_s", "approval_latency_p90_s"
    if not answer.measures["decided"]:
        return None
    scale, axis = scale_of(answer, median, tail)
    values = scaled_of(answer, median, scale)
    chart = charts.band(
        labels_of(answer),
        Series(_("Median"), values, links=links_of(answer, median)),
        low=values,
        high=scaled_of(answer, tail, scale),
        band_name=_("up to the 90th percentile"),
        y_title=axis,
        baseline=was_of(answer, median, scale, tail),
    )
    decided = {at: int(point.measures["decided"] or 0) for at, point in enumerate(answer.series)}
    columns = [
        value_column(answer, median, _("Median")),
        value_column(answer, tail, _("90th percentile")),
        count_by_place(answer, _("Decided by people"), decided, _listed(answer, Became.DECIDED)),
    ]
    finding = half_finding_of(answer, median)
    return drawing_of(answer, "review-time", _("Time to an answer"), median, finding, chart=chart, columns=columns)


def _reversals(actor: User, answer: Answer) -> Drawing | None:
    """What was approved and then found wrong; None where nobody approved anything."""
    buckets = [point.bucket for point in answer.series]
    found = grouped(ended_for(actor, answer.asked), "decided_at", buckets, COUNTS)
    rows: list[Counts] = [found.get((at,), dict.fromkeys(COUNTS, 0)) for at in range(len(buckets))]
    whole, cut = _figure(rows), len(rows) // 2
    if not whole.n:
        return None
    figures = [_figure([row]) for row in rows]
    shown = [None if point.partial else one for point, one in zip(answer.series, figures, strict=True)]
    address = _listed(answer, Became.OVERTURNED)
    chart = charts.band(
        labels_of(answer),
        Series(
            _("Overturned afterwards"),
            [_percent(one.value if one else None) for one in shown],
            links=[address(point) for point in answer.series],
        ),
        low=[_percent(one.low if one else None) for one in shown],
        high=[_percent(one.high if one else None) for one in shown],
        band_name=_("95 % interval"),
        y_title="%",
    )
    by_point = {point.bucket.start: one for point, one in zip(answer.series, figures, strict=True)}

    def value(point: Point) -> Cell:
        one = by_point[point.bucket.start]
        return sampled_cell_of(one, address(point) if one.numerator else "")

    def interval(point: Point) -> Cell:
        text = interval_text(by_point[point.bucket.start])
        return Cell(text or DASH, text)

    counts = {at: row["overturned"] for at, row in enumerate(rows)}
    return drawing_of(
        answer,
        "overturned",
        _("Overturned afterwards"),
        REVERSALS.key,
        held_finding_of(_figure(rows[:cut]), _figure(rows[cut:]), None),
        definition=REVERSALS,
        chart=chart,
        columns=[
            Column(_("Overturned afterwards"), value),
            Column(_("95 % interval"), interval),
            count_by_place(answer, _("Items"), counts, address),
        ],
        href=asked_href(answer.asked, Became.OVERTURNED),
    )


def _figure(rows: Sequence[Counts]) -> Figure:
    return figure_of(REVERSALS, {name: sum(row[name] for row in rows) for name in COUNTS}, "")


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio * 100, 4)


def _listed(answer: Answer, became: Became) -> Callable[[Point], str]:
    """Where the items of a bucket are listed."""
    return lambda point: asked_href(answer.asked.within(point.bucket), became)
