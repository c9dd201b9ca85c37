"""A figure taken apart: its parts, and how many rows the list behind each of them has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.models.measures import CYCLE, MEMBERS, within
from apps.kpis.rules.buckets import buckets_of
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.goals import goals_for
from apps.kpis.selectors.kpis import behind_for
from apps.kpis.selectors.parts import keys_beside, part_names, parts_in
from apps.kpis.selectors.reading import Reader, actions_for

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """One part: ``count`` rows are in the list that ``asked`` asks for.

    ``share``: of all rows of the figure, 0..1; ``running``: with all above it, of all that the parts count. ``figure``:
    the figure of this part alone, with its ``target``, where parts have one.
    """

    key: str
    label: str
    count: int
    asked: KpiFilter
    share: float | None = None
    running: float | None = None
    figure: Figure | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A figure taken apart by one thing. ``part``: by which parameter a list is limited to one of the rows.

    ``adds_up``: each row behind the figure is in exactly one part. ``says``: what a reader has to know of it.
    """

    slug: str
    title: str
    says: str
    part: str
    adds_up: bool
    rows: list[SplitRow]


def splits_for(actor: User, definition: Definition, asked: KpiFilter) -> list[Split]:
    """The ways in which a figure is taken apart; none where a part of it is asked for already.

    Raises InvalidError as the list behind it does.
    """
    found, _order = behind_for(actor, definition, asked)
    if not actor.is_active or asked.part is not None:
        return []
    rows: QuerySet[Any] = found
    splits: list[Split] = []
    if definition.key in BY_WORKFLOW and not asked.workflow:
        splits.append(_by_workflow(actor, definition, asked))
    if definition.key == "actions_alone":
        splits.append(_by_operation(actor, definition, asked))
    more: Mapping[str, Sequence[Callable[[QuerySet[Any], KpiFilter], Split]]] = {
        "error_rate": (_by_error, _by_step),
        "failed": (_by_error, _by_step),
        "escalation_rate": (_by_reason, _by_hour),
    }
    splits += [split(rows, asked) for split in more.get(definition.key, ())]
    return [one for one in splits if one.rows]


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
        "capability": _("Capability: %(value)s"),
    }
    return words[name] % {"value": _label(name, value)}


def weekdays() -> list[str]:
    """The days of the week in short, Monday first, in the reader's language."""
    return [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]


def _label(name: str, value: str) -> str:
    if name == "hour":
        weekday, _dash, hour = value.partition("-")
        return f"{weekdays()[int(weekday) - 1]} {hour}:00"
    names, others = part_names(), keys_beside(value)
    if others is None:
        return names.get(value, value)
    return _("all but %(names)s") % {"names": ", ".join(names.get(one, one) for one in others)}


def _rows(rows: QuerySet[Any], asked: KpiFilter, name: str) -> list[SplitRow]:
    return [
        SplitRow(key=key, label=_label(name, key), count=n, asked=replace(asked, part=(name, key)))
        for key, n in parts_in(rows, asked, name)
    ]


def _by_workflow(actor: User, definition: Definition, asked: KpiFilter) -> Split:
    """One row a workflow, the largest first; none where there is but one.

    One without a value, of which nothing succeeded, say, stands last where rows of it are behind the figure.
    """
    goals, names = goals_for(actor, asked), workflows_for(actor)
    buckets = buckets_of(asked.period, asked.size, asked.zone)
    measured = Reader(actor, asked, []).read(buckets, [CYCLE]).workflows
    rows = []
    for slug, measures in measured.items():
        figure, own = figure_of(definition, measures, reporting_currency()), asked.of_workflow(slug)
        count = int(measures[definition.members] or 0)
        if slug and (count or (figure.value is not None and figure.n)):
            target = None if definition.per_day else goals.target_of(definition, own)
            one = SplitRow(
                key=slug,
                label=names.get(slug, slug),
                count=count,
                asked=own,
                figure=figure,
                target=None if target is None else target.value,
            )
            rows.append((figure.value is None, -(figure.value or 0), slug, one))
    says = _("The largest first. Lines show the whole period, all on one scale.")
    return Split(
        slug="by-workflow",
        title=_("By workflow"),
        says=says if definition.numerator == CYCLE.name else _("The largest first."),
        part="workflow",
        adds_up=True,
        rows=[row[-1] for row in sorted(rows, key=lambda row: row[:-1])] if len(rows) > 1 else [],
    )


def _by_error(rows: QuerySet[Any], asked: KpiFilter) -> Split:
    found = _rows(rows, asked, "error")
    whole = sum(one.count for one in found)
    return Split(
        slug="by-error",
        title=_("By class of error"),
        says=_("Each run counts once, under the class with which it ended."),
        part="error",
        adds_up=True,
        rows=[replace(one, share=one.count / whole) for one in found],
    )


def _by_step(rows: QuerySet[Any], asked: KpiFilter) -> Split:
    found = _rows(rows, asked, "step")
    whole, sums = sum(one.count for one in found), accumulate(one.count for one in found)
    return Split(
        slug="by-step",
        title=_("By step that failed"),
        says=_(
            "The steps that fail most, and how much of all failed steps these are together. A run in which two steps "
            "failed counts for both."
        ),
        part="step",
        adds_up=False,
        rows=[replace(one, running=n / whole) for one, n in zip(found, sums, strict=True)],
    )


def _by_reason(rows: QuerySet[Any], asked: KpiFilter) -> Split:
    return Split(
        slug="by-reason",
        title=_("By reason"),
        says=_(
            "What sent runs to people: the rule that asked, or what it was. A run that was sent for two reasons counts "
            "for both."
        ),
        part="reason",
        adds_up=False,
        rows=_rows(rows, asked, "reason"),
    )


def _by_hour(rows: QuerySet[Any], asked: KpiFilter) -> Split:
    """Runs by the hour and the day of the week at which people were asked, by the clocks of the zone."""
    says = _(
        "When people were asked, by the clocks of %(zone)s: runs, each once an hour. Steps past their due date were "
        "asked for at no hour."
    )
    return Split(
        slug="by-hour",
        title=_("By hour and day"),
        says=says % {"zone": asked.zone.key},
        part="hour",
        adds_up=False,
        rows=_rows(rows, asked, "hour"),
    )


def _by_operation(actor: User, definition: Definition, asked: KpiFilter) -> Split:
    """One row an operation, the most autonomous first; those of which all was asked for, too."""
    ended = actions_for(actor, asked).filter(within("ended_at", asked.period)).order_by()
    measures = {name: Count("pk", filter=MEMBERS[name]) for name in (definition.numerator, definition.denominator)}
    counted: QuerySet[Any, Any] = ended.values("operation").annotate(**measures)
    rows = []
    for row in counted:
        key, figure = row["operation"], figure_of(definition, row, reporting_currency())
        own = replace(asked, part=("operation", key))
        one = SplitRow(key=key, label=key, count=row[definition.numerator], asked=own, figure=figure)
        rows.append((-(figure.value or 0), -figure.n, key, one))
    return Split(
        slug="by-operation",
        title=_("By operation"),
        says=_("The most autonomous first."),
        part="operation",
        adds_up=True,
        rows=[row[-1] for row in sorted(rows, key=lambda row: row[:-1])],
    )
