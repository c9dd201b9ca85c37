"""Tiles: one figure at a glance, of the plane's and of one's own alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.kpis import charts
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import DAY, Period, local_day, previous_period
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.figures import (
    Delta,
    Figure,
    Status,
    Trend,
    comparable,
    delta_of,
    differs,
    differs_from,
    value_text,
)
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.rules.formats import count_text
from apps.kpis.rules.sentences import beside_of, interval_text
from apps.kpis.rules.statistics import SMALL_N
from apps.kpis.selectors.business import OwnTotal
from apps.kpis.selectors.courses import Course
from apps.kpis.selectors.drawings import page_of_kpi, said
from apps.kpis.selectors.goals import RESTS_ON, provenance_of
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.parts import ANY
from apps.kpis.selectors.risk import Part
from apps.kpis.selectors.tables import coverage_text, daily_text
from apps.kpis.selectors.totals import Total

MISSING = 0.2
"""Of a period that is held against another no more may be from before anything was counted."""


@dataclass(frozen=True, slots=True)
class Card:
    """One KPI at a glance. ``lacks_baseline``: why it is held against none, though it could be.

    ``uncounted``: what is not in it and might be thought to be, each with where it is listed.
    """

    key: str
    label: str
    formula: str
    text: str
    note: str
    n: str
    missing: str
    delta: Delta | None
    was: str
    was_source: str
    is_approved: bool
    interval: str
    target: str
    status: Status
    spark: dict[str, str] | None
    href: str
    coverage: str
    lacks_baseline: str
    beside: str = ""
    uncounted: tuple[Part, ...] = ()

    @property
    def change_text(self) -> str:
        """The change with its word, for where no colour says it; empty where there is none."""
        if self.delta is None:
            return ""
        words = {Trend.BETTER: _("better"), Trend.WORSE: _("worse"), Trend.UNCLEAR: _("no clear change")}
        return " ".join(one for one in (self.delta.text, words.get(self.delta.trend, "")) if one)

    @property
    def target_text(self) -> str:
        """What it should be, and whether it is; empty where nobody said."""
        words = {Status.GOOD: _("met"), Status.STRADDLES: _("cannot tell yet"), Status.BAD: _("missed")}
        return f"{self.target} {words.get(self.status, _('not enough data'))}" if self.target else ""


def card_of(answer: Answer, key: str) -> Card:
    """A KPI of an answer at a glance."""
    total = answer.totals[key]
    card = _card(answer, total, [point.figures[key] for point in answer.series])
    beside = said(beside_of(key, {name: one.figure for name, one in answer.totals.items()}))
    return replace(card, beside=beside or answer.goals.unapproved(total.figure, answer.asked.workflow))


def own_card_of(answer: Answer, course: Course) -> Card:
    """A KPI of one's own at a glance, with the runs of which no value is in it."""
    return replace(_card(answer, course.own.total, course.figures), uncounted=uncounted_of(answer.asked, course.own))


def uncounted_of(asked: KpiFilter, one: OwnTotal) -> tuple[Part, ...]:
    """The runs that succeeded and are not in a KPI of one's own, by why; those that gave a fault are listed."""
    faulty = page_of_kpi(replace(asked, part=("error", ANY)), one.definition.key)
    faults, without, missing = one.faults, one.without, one.missing
    words = (
        (faults, ngettext("%(n)s run gave nothing readable", "%(n)s runs gave nothing readable", faults), faulty),
        (without, ngettext("%(n)s run without one", "%(n)s runs without one", without), ""),
        (missing, ngettext("%(n)s run not gone through yet", "%(n)s runs not gone through yet", missing), ""),
    )
    return tuple((text % {"n": count_text(n)}, href) for n, text, href in words if n)


def _card(answer: Answer, total: Total, figures: Sequence[Figure]) -> Card:
    """``figures``: bucket by bucket."""
    definition, figure = total.figure.definition, total.figure
    key = definition.key
    now, was = _pair(total, answer)
    series = [None if point.partial else one.value for point, one in zip(answer.series, figures, strict=True)]
    held_against = total.baseline is not None and answer.asked.compare == Compare.BASELINE
    held = None if total.baseline is None or definition.per_day else total.baseline.value
    return Card(
        key=key,
        label=_(definition.label),
        formula=_(definition.formula),
        text=figure.text,
        note=_("%(n)s a day") % {"n": _daily_text(total)} if definition.per_day and total.daily else "",
        n=count_text(figure.n),
        missing="" if figure.enough else _missing(figure),
        delta=delta_of(figure, now, was, clear=_is_clear(total, was, answer)) if figure.enough else None,
        was="" if was is None else _was_text(total, was, answer),
        was_source=provenance_of(total.baseline) if total.baseline and held_against else "",
        is_approved=not held_against or bool(total.baseline and total.baseline.approved),
        interval=interval_text(figure),
        target="" if total.target is None else daily_text(definition, total.target.value, figure.currency),
        status=total.status,
        spark=charts.spark_points(series, held),
        href=page_of_kpi(answer.asked, key),
        coverage=coverage_text(total.coverage),
        lacks_baseline=_lack(answer, definition) if was is None and key not in RESTS_ON else "",
    )


def _lack(answer: Answer, definition: Definition) -> str:
    """Why nothing is said of what a figure was before."""
    if answer.asked.compare == Compare.PREVIOUS:
        is_short = definition.is_amount and _begins_within(
            answer, previous_period(answer.asked.period, answer.asked.zone)
        )
        return _("The period before has figures of a part of it alone") if is_short else ""
    if answer.asked.compare == Compare.NONE:
        return ""
    there = {one.workflow for one in answer.goals.baselines if one.kpi == definition.key}
    whole, workflow = answer.goals.whole, answer.asked.workflow
    is_part = definition.is_amount and whole is not None and workflow not in whole and workflow in there
    return _("A baseline is of the whole") if is_part else _("No baseline yet")


def _begins_within(answer: Answer, period: Period) -> bool:
    """Whether so much of this period was over when the first was counted that by the day it has too few."""
    first, begun = answer.reader.first_day, local_day(period.start, reporting_zone())
    return first is not None and (first - begun) / DAY > MISSING * period.days_until(period.end)


def _daily_text(total: Total) -> str:
    return value_text(total.figure.definition, round(total.daily or 0, 1), total.figure.currency)


def _missing(figure: Figure) -> str:
    if not figure.n or not figure.definition.sampled:
        return _(figure.why_none)
    return _("Not enough data (%(n)s of %(needed)s)") % {"n": figure.n, "needed": SMALL_N}


def _pair(total: Total, answer: Answer) -> tuple[float | None, float | None]:
    """The value and what it is held against, in comparable units."""
    match answer.asked.compare:
        case Compare.BASELINE:
            return total.daily, None if total.baseline is None else total.baseline.value
        case Compare.PREVIOUS if total.previous is not None and total.previous.enough:
            earlier = previous_period(answer.asked.period, answer.asked.zone)
            if total.figure.definition.is_amount and _begins_within(answer, earlier):
                return total.daily, None
            was = total.previous.value
            days = earlier.days_until(answer.as_of)
            return total.daily, None if was is None else comparable(total.figure.definition, was, days)
    return total.daily, None


def _is_clear(total: Total, was: float | None, answer: Answer) -> bool:
    if was is None:
        return False
    days = answer.asked.period.days_until(answer.as_of)
    if answer.asked.compare == Compare.PREVIOUS and total.previous is not None:
        before = previous_period(answer.asked.period, answer.asked.zone).days_until(answer.as_of)
        return differs(total.figure, total.previous, days=days, days_before=before)
    return differs_from(total.figure, was, days)


def _was_text(total: Total, was: float, answer: Answer) -> str:
    definition = total.figure.definition
    text = value_text(definition, round(was, 1) if definition.per_day else was, total.figure.currency)
    return _("%(value)s a day") % {"value": text} if definition.per_day else text
