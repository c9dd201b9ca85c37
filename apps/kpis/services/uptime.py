"""Looking at agents and workflows once a minute, and counting calls to systems by the hour."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import TruncHour

from apps.access.selectors import open_hours_of_unit, unit_ids_below
from apps.agents.models import Agent, AgentCredential
from apps.agents.rules import WORKING, AgentState, Environment
from apps.connectors.models import ConnectorCall, Operation
from apps.connectors.rules import ConnectorState
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.kpis.models import CallHour, MinutesLooked, MinuteSpell
from apps.kpis.models.clock import database_now
from apps.kpis.rules.changes import OUTAGE_CALLS, OUTAGE_SHARE
from apps.kpis.rules.uptime import (
    HOUR,
    MINUTE,
    NOTED_AFTER,
    Cause,
    Condition,
    Looked,
    Thing,
    is_outage,
    is_service,
    minute_before,
    service_times,
)
from apps.kpis.services.locks import is_alone
from apps.workflows.models import Task, Workflow, WorkflowPermission
from apps.workflows.rules.definition import Definition, definition_of
from apps.workflows.rules.states import Kind, TaskState

LOCK = "minutes:kpis"
KEEP = timedelta(days=731)
"""Two years of minutes and hours are kept."""


@transaction.atomic
def look_at_minutes(*, now: datetime | None = None) -> int:
    """Look at the minute that ended last, unless somebody did; how many things were in service in it.

    Minutes since the look before that nobody looked at are written down as not observed. Whoever comes second while
    another one looks does nothing.
    """
    if not is_alone(LOCK):
        return 0
    now = now or database_now()
    minute = minute_before(now)
    looked = MinutesLooked.objects.first()
    if looked is not None and looked.until > minute:
        return 0
    seen = _Sight(minute)
    found = [*seen.agents(), *seen.workflows()]
    if looked is not None:
        _skip(found, looked.until, minute)
    in_service = [one for one in found if is_service(one.hours, minute)]
    _write(in_service, minute)
    _count_calls(min(looked.until, now) if looked else None, now)
    MinutesLooked.objects.update_or_create(pk=looked.pk if looked else 1, defaults={"until": minute + MINUTE})
    return len(in_service)


@transaction.atomic
def forget_minutes() -> int:
    """Delete what ended more than ``KEEP`` ago; how many rows."""
    since = database_now() - KEEP
    return MinuteSpell.objects.filter(until__lt=since).delete()[0] + CallHour.objects.filter(hour__lt=since).delete()[0]


def _write(seen: list[Looked], minute: datetime) -> None:
    """A minute that is as the one before makes its spell longer; any other begins a new one."""
    rows = MinuteSpell.objects.filter(until=minute).exclude(condition=Condition.UNOBSERVED)
    before = {(row.thing, row.slug): row for row in rows}
    longer, fresh = [], []
    for one in seen:
        last = before.get((one.thing, one.slug))
        if last is not None and (last.unit, last.condition, last.cause) == (one.unit, one.condition, one.cause):
            longer.append(last.pk)
        else:
            fresh.append(_spell(one, one.condition, one.cause, minute, minute + MINUTE))
    MinuteSpell.objects.filter(pk__in=longer).update(until=minute + MINUTE)
    MinuteSpell.objects.bulk_create(fresh)


def _skip(seen: list[Looked], start: datetime, end: datetime) -> None:
    """Service minutes from ``start`` to ``end`` that nobody looked at, of what was there by then."""
    spells = [
        _spell(one, Condition.UNOBSERVED, Cause.PLANE, since, until)
        for one in seen
        for since, until in service_times(one.hours, max(start, one.since), end)
    ]
    MinuteSpell.objects.bulk_create(spells, batch_size=1000)


def _spell(one: Looked, condition: Condition, cause: Cause, since: datetime, until: datetime) -> MinuteSpell:
    return MinuteSpell(
        thing=one.thing, slug=one.slug, unit=one.unit, condition=condition, cause=cause, since=since, until=until
    )


def _count_calls(since: datetime | None, now: datetime) -> None:
    """Count the hours that may have got calls since, all that are kept without ``since``; again, it changes nothing."""
    rows: QuerySet[Any] = ConnectorCall.objects.filter(environment=Environment.LIVE)
    if since is not None:
        rows = rows.filter(created_at__gte=min(since, now).replace(minute=0, second=0, microsecond=0) - HOUR)
    counted = (
        rows.order_by()
        .annotate(in_hour=TruncHour("created_at"))
        .values("connector__slug", "connector__unit", "in_hour")
        .annotate(n=Count("pk"), good=Count("pk", filter=Q(in_trouble=False)))
    )
    CallHour.objects.bulk_create(
        [
            CallHour(
                slug=row["connector__slug"],
                unit=row["connector__unit"],
                hour=row["in_hour"],
                calls=row["n"],
                answered=row["good"],
            )
            for row in counted
        ],
        batch_size=1000,
        update_conflicts=True,
        unique_fields=["slug", "hour"],
        update_fields=["unit", "calls", "answered"],
    )


class _Sight:
    """Everything that says how agents and workflows were in one minute, each read once."""

    def __init__(self, minute: datetime) -> None:
        self.minute, self.end = minute, minute + MINUTE
        self.hours: dict[UUID, Any] = {}

    def agents(self) -> Iterator[Looked]:
        """Every agent that is to be at work, or was until somebody suspended it."""
        for agent, cause in self._agents:
            yield self._looked(Thing.AGENT, agent.slug, agent.unit_id, agent.created_at, cause)

    def workflows(self) -> Iterator[Looked]:
        """Every workflow that has a published version and is not retired."""
        rows = Workflow.objects.filter(retired_at=None, versions__published_at__isnull=False).distinct()
        for row in rows.select_related("active"):
            yield self._looked(Thing.WORKFLOW, row.slug, row.unit_id, row.created_at, self._cause_of(row))

    def _looked(self, thing: Thing, slug: str, unit: UUID, since: datetime, cause: Cause) -> Looked:
        if unit not in self.hours:
            self.hours[unit] = open_hours_of_unit(unit)
        begun = since.replace(second=0, microsecond=0) + MINUTE
        return Looked(thing, slug, unit, begun, self.hours[unit], cause)

    @cached_property
    def _agents(self) -> list[tuple[Any, Cause]]:
        noted = AgentCredential.objects.filter(
            agent=OuterRef("pk"),
            environment=Environment.LIVE,
            last_used_at__gte=self.minute - NOTED_AFTER,
        )
        held = Task.objects.filter(
            agent=OuterRef("pk"), state=TaskState.CLAIMED, claimed_at__lt=self.end, lease_until__gt=self.minute
        )
        rows: QuerySet[Any] = Agent.objects.filter(state__in=[*WORKING, AgentState.SUSPENDED]).select_related("version")
        rows = rows.filter(created_at__lt=self.end)
        return [(row, self._of_agent(row)) for row in rows.annotate(is_alive=Exists(noted) | Exists(held))]

    def _of_agent(self, agent: Any) -> Cause:
        if agent.state == AgentState.SUSPENDED:
            return Cause.SUSPENDED
        if self._is_halted(agent.unit_id, (HaltScope.AGENT, agent.slug), (HaltScope.VERSION, agent.acts_as)):
            return Cause.HALTED
        return Cause.NONE if agent.is_alive else Cause.SILENT

    def _is_halted(self, unit: UUID | None, *names: tuple[str, str]) -> bool:
        targets, units = self._halts
        return (HaltScope.EVERYTHING, "") in targets or unit in units or any(name in targets for name in names)

    @cached_property
    def _halts(self) -> tuple[set[tuple[str, str]], set[UUID]]:
        """What is stopped by name, and the units that are, with all below them."""
        targets = set(Halt.objects.filter(lifted_at=None).values_list("scope", "target"))
        units = {pk for scope, name in targets if scope == HaltScope.UNIT for pk in unit_ids_below(name)}
        return targets, units

    def _cause_of(self, workflow: Workflow) -> Cause:
        if workflow.active is None:
            return Cause.NO_VERSION
        if self._is_halted(workflow.unit_id, (HaltScope.WORKFLOW, workflow.slug)):
            return Cause.HALTED
        definition = definition_of(workflow.active.compiled)
        if not self._has_agents(workflow, definition):
            return Cause.NO_AGENT
        causes = {self._operations.get(name, Cause.DISABLED) for name in definition.operations}
        order = (Cause.HALTED, Cause.DISABLED, Cause.OUTAGE)
        return next((cause for cause in order if cause in causes), Cause.NONE)

    def _has_agents(self, workflow: Workflow, definition: Definition) -> bool:
        """Whether each step of an agent has one that is at work, may do it and is not stopped; silent ones count."""
        wanted = {step.target for step in definition.steps.values() if step.kind is Kind.AGENT}
        can = {
            name
            for agent, cause in self._agents
            if cause in {Cause.NONE, Cause.SILENT} and agent.user_id in self._permitted.get(workflow.pk, ())
            for name in agent.capabilities
        }
        return wanted <= can

    @cached_property
    def _permitted(self) -> Mapping[UUID, set[UUID]]:
        rows = WorkflowPermission.objects.filter(WorkflowPermission.live(), permission__codename="work_workflow")
        found: dict[UUID, set[UUID]] = {}
        for workflow, user in rows.values_list("content_object", "user"):
            found.setdefault(workflow, set()).add(user)
        return found

    @cached_property
    def _operations(self) -> dict[str, Cause]:
        """Why an operation could not be used; empty where it could."""
        found = {}
        for row in Operation.objects.exclude(state=ConnectorState.RETIRED).select_related("connector"):
            names = ((HaltScope.OPERATION, row.slug), (HaltScope.CONNECTOR, row.connector.slug))
            if self._is_halted(row.connector.unit_id, *names):
                found[row.slug] = Cause.HALTED
            elif row.state != ConnectorState.ACTIVE or row.connector.state != ConnectorState.ACTIVE:
                found[row.slug] = Cause.DISABLED
            else:
                found[row.slug] = Cause.OUTAGE if row.connector_id in self._in_outage else Cause.NONE
        return found

    @cached_property
    def _in_outage(self) -> set[UUID]:
        """Systems of which most calls of the hour up to this minute's end were in trouble."""
        rows = ConnectorCall.objects.filter(environment=Environment.LIVE, created_at__lt=self.end)
        rows = rows.filter(created_at__gte=self.end - HOUR).order_by()
        counted = rows.values_list("connector").annotate(n=Count("pk"), bad=Count("pk", filter=Q(in_trouble=True)))
        return {pk for pk, n, bad in counted if is_outage(n, bad, least=OUTAGE_CALLS, share=OUTAGE_SHARE)}
