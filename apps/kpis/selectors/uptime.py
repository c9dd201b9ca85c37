"""Uptime of agents, systems and workflows: the minutes and calls of a filter, and when they were down."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Value
from django.db.models.fields import DateTimeField
from django.db.models.functions import Greatest, Least
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.selectors import unit_ids_below
from apps.agents.models import Agent
from apps.connectors.models import Connector, Operation
from apps.core.errors import NotFoundError
from apps.core.gate import holds, require, visible
from apps.core.models import User
from apps.kpis.models import CallHour, MinuteSpell
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.models.measures import within
from apps.kpis.rules.buckets import BucketSize, RangeName, named_period
from apps.kpis.rules.definitions import UPTIME, Definition
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text
from apps.kpis.rules.uptime import Condition, Thing
from apps.kpis.selectors.reading import VIEW
from apps.workflows.models import Workflow, WorkflowPermission
from apps.workflows.rules.definition import definition_of

MINUTE = timedelta(minutes=1)
OF: Mapping[str, Thing] = {"uptime_agents": Thing.AGENT, "uptime_workflows": Thing.WORKFLOW}
KINDS: Mapping[str, str] = {"agents": "uptime_agents", "systems": "uptime_connectors", "workflows": "uptime_workflows"}


type Counts = tuple[int, int, int]
"""Up, down and not observed: minutes, of systems calls."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """One figure with what it is made of: minutes, of systems calls. ``unobserved`` minutes are in no share."""

    figure: Figure
    up: int
    down: int
    unobserved: int
    href: str

    @property
    def key(self) -> str:
        """The figure's key."""
        return self.figure.definition.key

    @property
    def label(self) -> str:
        """The figure's name."""
        return _(self.figure.definition.label)

    @property
    def formula(self) -> str:
        """How it is counted."""
        return _(self.figure.definition.formula)

    @property
    def why_none(self) -> str:
        """Why it has no value; empty where it has one."""
        return _(self.figure.why_none) if self.figure.why_none else ""

    @property
    def made_of(self) -> str:
        """Its parts in words."""
        words = {"up": count_text(self.up), "down": count_text(self.down), "unknown": count_text(self.unobserved)}
        if self.key == KINDS["systems"]:
            return _("%(up)s calls answered, %(down)s in trouble") % words
        return _("%(up)s minutes up, %(down)s down, %(unknown)s not observed") % words


@dataclass(frozen=True, slots=True)
class One:
    """Of one agent, system or workflow its name, its figure, and when it was down, in their order."""

    name: str
    uptime: Uptime
    rows: QuerySet[Any]
    order: tuple[str, ...]


def uptime_for(actor: User, asked: KpiFilter) -> list[Uptime]:
    """The three figures of the filter. An agent limits those of agents alone; of a version none is told."""
    require(actor, VIEW)
    minutes = _minutes(_spells(actor, asked))
    return [_uptime(key, minutes[OF[key]] if key in OF else _answered(_calls(actor, asked)), asked) for key in UPTIME]


def uptime_csv_for(actor: User, asked: KpiFilter) -> list[list[str | float | None]]:
    """The same as raw numbers, below lines that say what they are."""
    found = uptime_for(actor, asked)
    told: list[list[str | float | None]] = [[f"# {one.key}: {one.formula}"] for one in found]
    head: list[list[str | float | None]] = [
        [f"# period: {asked.period.start.isoformat()} to {asked.period.end.isoformat()}"],
        [f"# filter: {', '.join(f'{name}={value}' for name, value in asked.described.items())}"],
        *told,
        ["figure", "value", "n", "up", "down", "unobserved"],
    ]
    return head + [[one.key, one.figure.value, one.figure.n, one.up, one.down, one.unobserved] for one in found]


def behind_uptime_for(actor: User, definition: Definition, asked: KpiFilter) -> tuple[QuerySet[Any], tuple[str, ...]]:
    """When it was down or not observed, each with what of it is ``within`` the period; of systems, the bad hours.

    And their order, the latest first.
    """
    if definition.key == KINDS["systems"]:
        return _calls(actor, asked).filter(answered__lt=F("calls")), ("-hour", "-id")
    return _spells(actor, asked, OF[definition.key]).exclude(condition=Condition.UP), ("-since", "-id")


def uptime_of_one_for(actor: User, kind: str, slug: str, asked: KpiFilter) -> One:
    """The uptime of one of them. Raises NotFoundError."""
    require(actor, VIEW)
    models: Mapping[str, Any] = {"agents": Agent, "systems": Connector, "workflows": Workflow}
    if kind not in models:
        raise NotFoundError
    found = visible(actor, VIEW, models[kind].objects.filter(slug=slug)).first()
    if found is None:
        raise NotFoundError
    key = KINDS[kind]
    if key in OF:
        counts = _minutes(_spells(actor, asked, OF[key]).filter(slug=slug))[OF[key]]
    else:
        counts = _answered(_calls(actor, asked).filter(slug=slug))
    rows, order = behind_uptime_for(actor, UPTIME[key], asked)
    return One(str(found.name), _uptime(key, counts, asked), rows.filter(slug=slug), order)


def recent_uptime_for(actor: User, kind: str, slug: str) -> Uptime | None:
    """The uptime of one of them in 30 days; None for whoever may not see its figures."""
    if not holds(actor, VIEW):
        return None
    zone = reporting_zone()
    period = named_period(RangeName.DAYS_30, database_now(), zone)
    try:
        return uptime_of_one_for(actor, kind, slug, KpiFilter(period=period, zone=zone, size=BucketSize.DAY)).uptime
    except NotFoundError:
        return None


def _uptime(key: str, counts: Counts, asked: KpiFilter) -> Uptime:
    definition, (up, down, unobserved) = UPTIME[key], counts
    measures = {definition.numerator: up, definition.denominator: up + down}
    figure = figure_of(definition, measures, reporting_currency())
    if key in OF:  # one minute is much like the one before: no interval holds for them
        figure = replace(figure, low=None, high=None)
    href = (
        f"{reverse('kpis:behind', args=[asked.workflow or 'overview', key])}?{asked.query}"
        if down or unobserved
        else ""
    )
    return Uptime(figure, up, down, unobserved, href)


def _minutes(rows: QuerySet[MinuteSpell]) -> dict[Thing, Counts]:
    """Minutes up, down and not observed, of agents and of workflows."""
    found: QuerySet[Any, Any] = rows.order_by().values_list("thing", "condition").annotate(took=Sum("within"))
    minutes = {(thing, condition): took // MINUTE for thing, condition, took in found}
    return {
        thing: (
            minutes.get((thing, Condition.UP), 0),
            minutes.get((thing, Condition.DOWN), 0),
            minutes.get((thing, Condition.UNOBSERVED), 0),
        )
        for thing in Thing
    }


def _answered(rows: QuerySet[CallHour]) -> Counts:
    """Calls answered and in trouble."""
    found = rows.aggregate(calls=Sum("calls"), answered=Sum("answered"))
    answered = found["answered"] or 0
    return answered, (found["calls"] or 0) - answered, 0


def _spells(actor: User, asked: KpiFilter, *things: Thing) -> QuerySet[MinuteSpell]:
    """The spells that reach into the period, of all things or of these, each with the time that lies ``within``."""
    wanted = Q()
    for thing in things or Thing:
        wanted |= Q(thing=thing) & _limits(asked, thing)
    rows = visible(actor, VIEW, MinuteSpell.objects.filter(wanted, **_overlapping(asked)))
    start, end = (Value(one, output_field=DateTimeField()) for one in (asked.period.start, asked.period.end))
    took = ExpressionWrapper(Least(F("until"), end) - Greatest(F("since"), start), output_field=DurationField())
    return rows.annotate(within=took)


def _overlapping(asked: KpiFilter) -> dict[str, datetime]:
    return {"since__lt": asked.period.end, "until__gt": asked.period.start}


def _calls(actor: User, asked: KpiFilter) -> QuerySet[CallHour]:
    rows = visible(actor, VIEW, CallHour.objects.filter(within("hour", asked.period)))
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    if asked.workflow:
        rows = rows.filter(slug__in=_systems_of(asked.workflow))
    return rows.none() if asked.agent or asked.version is not None else rows


def _limits(asked: KpiFilter, thing: Thing) -> Q:
    """Which things the filter is about: of a workflow, the agents that may take its tasks."""
    if asked.version is not None or (asked.agent and thing != Thing.AGENT):
        return Q(pk__in=[])
    limits = Q(unit__in=unit_ids_below(asked.unit)) if asked.unit else Q()
    limits &= Q(slug=asked.agent) if asked.agent else Q()
    if not asked.workflow:
        return limits
    if thing == Thing.WORKFLOW:
        return limits & Q(slug=asked.workflow)
    permitted = WorkflowPermission.objects.filter(
        WorkflowPermission.live(), content_object__slug=asked.workflow, permission__codename="work_workflow"
    )
    return limits & Q(slug__in=Agent.objects.filter(user__in=permitted.values("user")).values("slug"))


def _systems_of(workflow: str) -> QuerySet[Operation, str]:
    """The systems that the operations of a workflow's active version belong to."""
    found = Workflow.objects.filter(slug=workflow, active__isnull=False).select_related("active").first()
    names = definition_of(found.active.compiled).operations if found and found.active else frozenset()
    return Operation.objects.filter(slug__in=names).values_list("connector__slug", flat=True)
