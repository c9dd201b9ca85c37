"""Which targets a week missed, workflow by workflow: by the formula, and to the colour, of the page's own tiles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Exists, OuterRef

from apps.core.models import User
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.models.measures import DURATIONS, Duration
from apps.kpis.rules.buckets import BucketSize
from apps.kpis.rules.definitions import DEFINITIONS, Definition, Kind
from apps.kpis.rules.figures import Figure, Status, comparable, figure_of, status_of
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.rules.goals import TargetSeen, target_in_force
from apps.kpis.rules.weeks import Week
from apps.kpis.selectors.business import own_for
from apps.kpis.selectors.fixed import add_fixed_for
from apps.kpis.selectors.goals import Goals, goals_for
from apps.kpis.selectors.reading import Reader, Row, blank_row, gathered, percentile_row
from apps.workflows.models import Workflow

AT_HOME = Exists(Workflow.objects.filter(slug=OuterRef("workflow"), unit=OuterRef("unit")))
"""What is of the unit in which its workflow is: whoever may see that unit's figures may know of all of it."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A target that a workflow missed beyond chance. ``value``: what is held against it, counts and sums by the day."""

    workflow: str
    figure: Figure
    value: float
    target: TargetSeen


def week_asked(week: Week) -> KpiFilter:
    """The question about a whole week, simulated runs left out."""
    zone = reporting_zone()
    return KpiFilter(period=week.period(zone), zone=zone, size=BucketSize.WEEK, compare=Compare.NONE)


def misses_for(actor: User, week: Week, open_at_end: Mapping[Workflow, int]) -> Iterator[Miss]:
    """The targets, own or for all, that each of these workflows missed in a week that is over, by its unit's figures.

    ``open_at_end``: how many runs of each were open when the week ended.
    """
    asked = week_asked(week)
    goals = goals_for(actor, asked)
    named = {one.kpi for one in goals.targets}
    known = [DEFINITIONS[kpi] for kpi in sorted(named) if kpi in DEFINITIONS]
    if known:
        rows = _rows(actor, asked, goals, known)
        for workflow, backlog in open_at_end.items():
            row = {**rows.get(workflow.slug, blank_row()), "backlog": backlog}
            yield from _of(workflow.slug, row, known, goals, asked)
    own = {one.workflow for one in goals.targets if one.kpi not in DEFINITIONS}
    for slug, unit in ((one.slug, one.unit.slug) for one in open_at_end if one.slug in own):
        for one in own_for(actor, replace(asked, workflow=slug, unit=unit)):
            total = one.total
            if total.status == Status.BAD and total.target is not None and total.daily is not None:
                yield Miss(slug, total.figure, total.daily, total.target)


def _of(slug: str, row: Row, known: Sequence[Definition], goals: Goals, asked: KpiFilter) -> Iterator[Miss]:
    for definition in known:
        target = target_in_force(goals.targets, slug, definition.key)
        if target is None or not goals.is_held(definition, target, slug):
            continue
        figure = figure_of(definition, row, reporting_currency())
        if figure.value is None:
            continue
        value = comparable(definition, figure.value, asked.period.days_until(asked.period.end))
        if status_of(figure, value, target) == Status.BAD:
            yield Miss(slug, figure, value, target)


def _rows(actor: User, asked: KpiFilter, goals: Goals, known: Sequence[Definition]) -> dict[str, Row]:
    """The measures of each workflow in its own unit, with the percentiles that these figures need."""
    reader, periods = Reader(actor, asked, goals.costs()), [asked.period]
    for name in ("runs", "decisions", "costs", "actions", "incidents", "rollups", "kept"):
        setattr(reader, name, getattr(reader, name).filter(AT_HOME))
    found = add_fixed_for(actor, asked, reader.read(periods, ()), periods, database_now()).workflows
    needed = _durations(known)
    pieces = reader.pieces(periods, needed)
    for one in needed:
        for slug, some in gathered(pieces, one)[1].items():
            if slug in found:
                found[slug].update(percentile_row(one, some))
    return found


def _durations(known: Sequence[Definition]) -> list[Duration]:
    names = {one.numerator for one in known if one.kind == Kind.PERCENTILE}
    return [one for one in DURATIONS if one.name in names]
