"""Measures of a filter, bucket by bucket: from rollups where they hold, from facts where only facts tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Case, DateField, F, Func, IntegerField, Q, QuerySet, Sum, Value, When
from django.utils.translation import gettext as _

from apps.access.selectors import unit_ids_below
from apps.core.errors import InvalidError
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact, CostItem, Fact, IncidentFact, RollupDay, RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.models.measures import (
    ACTION_MEASURES,
    ARRIVAL_MEASURES,
    COST_MEASURES,
    CYCLE,
    DECISION_MEASURES,
    DURATIONS,
    INCIDENT_MEASURES,
    LATENCY,
    RUN_MEASURES,
    Duration,
    Percentiles,
    grouped,
    named_of,
    percentiles_of,
)
from apps.kpis.rules.buckets import Period, local_day
from apps.kpis.rules.definitions import ADDITIVE, with_totals
from apps.kpis.rules.filters import KpiFilter, answered_by_rollups
from apps.kpis.selectors.goals import BaselineCost

VIEW = "kpis.view_kpi"

type Row = dict[str, float | None]
type Found = Mapping[tuple[Any, ...], Mapping[str, Any]]

SAVINGS = ("saved_micro", "compared")


def runs_for(actor: User, asked: KpiFilter) -> QuerySet[RunFact]:
    """The runs that ``actor`` may count, within the filter but for its period."""
    rows = _limited(visible(actor, VIEW, RunFact.objects.filter(superseded=False)), asked)
    if asked.agent:
        rows = rows.filter(agents__contains=[asked.agent])
    return rows if asked.version is None else rows.filter(version=asked.version)


def decisions_for(actor: User, asked: KpiFilter) -> QuerySet[ApprovalFact]:
    """The decisions that ``actor`` may count, within the filter but for its period."""
    return _of_runs(_limited(visible(actor, VIEW, ApprovalFact.objects.all()), asked), asked)


def costs_for(actor: User, asked: KpiFilter) -> QuerySet[CostItem]:
    """The costs that ``actor`` may count, within the filter but for its period."""
    return _of_runs(_limited(visible(actor, VIEW, CostItem.objects.all()), asked), asked)


def actions_for(actor: User, asked: KpiFilter) -> QuerySet[ActionFact]:
    """The actions of agents that ``actor`` may count, within the filter but for its period."""
    rows = _of_runs(_limited(visible(actor, VIEW, ActionFact.objects.all()), asked), asked)
    return rows if asked.agent_version is None else rows.filter(agent_version=asked.agent_version)


def incidents_for(actor: User, asked: KpiFilter) -> QuerySet[IncidentFact]:
    """The incidents that ``actor`` may count, within the filter but for its period."""
    return _of_runs(_limited(visible(actor, VIEW, IncidentFact.objects.all()), asked), asked)


def require_no_agent_version(asked: KpiFilter) -> None:
    """Raises InvalidError where an agent's version is asked of rows that know none: actions alone do."""
    if asked.agent_version is not None:
        raise InvalidError(errors={"agent_version": [_("Only figures of actions know the agent's version.")]})


def _limits(asked: KpiFilter) -> dict[str, Any]:
    limits: dict[str, Any] = {} if asked.simulated else {"simulated": False}
    if asked.workflow:
        limits["workflow"] = asked.workflow
    if asked.unit:
        limits["unit__in"] = unit_ids_below(asked.unit)
    return limits


def _limited[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    return rows.filter(**_limits(asked))


def _of_runs[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    if asked.agent:
        rows = rows.filter(agent=asked.agent)
    if asked.version is None:
        return rows
    return rows.filter(run_id__in=RunFact.objects.filter(version=asked.version).values("run_id"))


@dataclass(frozen=True, slots=True)
class Reading:
    """The measures of adjoining periods: of each, of the two halves, of all, and of each workflow over all."""

    parts: list[Row]
    halves: tuple[Row, Row]
    whole: Row
    workflows: dict[str, Row]


class Reader:
    """One actor's view of one filter. Permission and filter are applied once; every figure reads through it."""

    def __init__(self, actor: User, asked: KpiFilter, costs: Sequence[BaselineCost]) -> None:
        require_no_agent_version(asked)
        self.asked, self.baseline_costs = asked, costs
        self.runs = runs_for(actor, asked)
        self.decisions = decisions_for(actor, asked)
        self.costs = costs_for(actor, asked)
        self.actions = actions_for(actor, asked)
        self.incidents = incidents_for(actor, asked)
        self.rollups: QuerySet[Any] = visible(actor, VIEW, RollupDay.objects.filter(**_limits(asked)))

    @cached_property
    def first_start(self) -> datetime | None:
        """When the first run of all started."""
        return RunFact.objects.order_by("started_at").values_list("started_at", flat=True).first()

    def read(self, periods: Sequence[Period], durations: Sequence[Duration] = DURATIONS) -> Reading:
        """Everything about these periods: sums once by workflow and period, percentiles in one pass a table."""
        found = self._additive(periods)
        cut = len(periods) // 2
        parts = [_added([row for (at, _), row in found.items() if at == index]) for index in range(len(periods))]
        names = sorted({name for _, name in found})
        workflows = {name: _added([row for (_, one), row in found.items() if one == name]) for name in names}
        halves, whole = (_added(parts[:cut] if cut else parts), _added(parts[cut:])), _added(parts)
        for percentiles in self._percentiles(periods, durations, cut):
            for at, measures in percentiles.parts.items():
                parts[at].update(measures)
            whole.update(percentiles.whole)
            for half, row in zip((False, True), halves, strict=True):
                row.update(percentiles.halves.get(half if cut else True, {}))
        first, second = (with_totals(row) for row in halves)
        return Reading(
            [with_totals(row) for row in parts],
            (first, second),
            with_totals(whole),
            {name: with_totals(row) for name, row in workflows.items()},
        )

    def open_at(self, moment: datetime) -> int:
        """Runs that had started before ``moment`` and finished at it or later, or not at all."""
        zone = reporting_zone()
        day = local_day(moment, zone)
        if answered_by_rollups(self.asked, [Period(moment, moment)], zone):
            ends = ("succeeded", "failed", "cancelled")
            sums = self.rollups.filter(day__lt=day).aggregate(**{name: Sum(name) for name in ("arrivals", *ends)})
            return int((sums["arrivals"] or 0) - sum(sums[name] or 0 for name in ends))
        started = self.runs.filter(started_at__lt=moment)
        return started.filter(Q(finished_at=None) | Q(finished_at__gte=moment)).count()

    def by_workflow(self, periods: Sequence[Period]) -> dict[str, list[Row]]:
        """The measures of each of these adjoining periods, workflow by workflow."""
        rows: dict[str, list[Row]] = {}
        for (at, workflow), measures in self._additive(periods).items():
            rows.setdefault(workflow, [_blank() for _ in periods])[at].update(measures)
        for table, field, one in ((self.runs, "finished_at", CYCLE), (self.decisions, "decided_at", LATENCY)):
            narrow, aggregates = table.filter(one.members), {one.name: one.aggregate}
            for (at, workflow), measures in grouped(narrow, field, periods, aggregates, ("workflow",)).items():
                named = dict(named_of(one, measures[one.name]))
                rows.setdefault(workflow, [_blank() for _ in periods])[at].update(named)
        return {workflow: [with_totals(row) for row in parts] for workflow, parts in sorted(rows.items())}

    def by_version(self, period: Period) -> dict[int, Row]:
        """The measures of runs of each version in ``period``, newest first. Decisions and spend have no version."""
        rows: dict[int, Row] = {}
        for (_at, version), row in grouped(self.runs, "finished_at", [period], RUN_MEASURES, ("version",)).items():
            rows[version] = _blank() | row
        narrow, aggregates = self.runs.filter(CYCLE.members), {CYCLE.name: CYCLE.aggregate}
        for (_at, version), row in grouped(narrow, "finished_at", [period], aggregates, ("version",)).items():
            rows[version].update(named_of(CYCLE, row[CYCLE.name]))
        return {version: with_totals(row) for version, row in sorted(rows.items(), reverse=True)}

    def _additive(self, periods: Sequence[Period]) -> Found:
        """Sums by (period, workflow), savings among them."""
        found: dict[tuple[int, str], dict[str, Any]] = {}
        if answered_by_rollups(self.asked, periods, reporting_zone()):
            found |= self._from_rollups(periods)
        else:
            sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
                (self.runs, "finished_at", RUN_MEASURES),
                (self.runs, "started_at", ARRIVAL_MEASURES),
                (self.decisions, "decided_at", DECISION_MEASURES),
                (self.costs, "incurred_at", COST_MEASURES),
                (self.actions, "ended_at", ACTION_MEASURES),
                (self.incidents, "began_at", INCIDENT_MEASURES),
            )
            for rows, field, measures in sources:
                for (at, name), row in grouped(rows, field, periods, measures, ("workflow",)).items():
                    found.setdefault((at, name), {}).update(row)
        for (at, name), savings in self._savings(periods, found).items():
            found.setdefault((at, name), {}).update(savings)
        return found

    def _from_rollups(self, periods: Sequence[Period]) -> dict[tuple[int, str], dict[str, Any]]:
        zone = reporting_zone()
        days = [local_day(period.start, zone) for period in periods]
        rows = self.rollups.filter(day__gte=days[0], day__lt=local_day(periods[-1].end, zone))
        index = Func(
            F("day"),
            Value(days, output_field=ArrayField(DateField())),
            function="width_bucket",
            template="%(function)s(%(expressions)s) - 1",
            output_field=IntegerField(),
        )
        sums = {f"sum_{name}": Sum(name) for name in ADDITIVE}
        return {
            (row["at"], row["workflow"]): {name: int(row[f"sum_{name}"] or 0) for name in ADDITIVE}
            for row in rows.order_by().values("workflow", at=index).annotate(**sums)
        }

    def _percentiles(
        self, periods: Sequence[Period], durations: Sequence[Duration], cut: int
    ) -> tuple[Percentiles, Percentiles]:
        of_runs = [one for one in durations if one is not LATENCY]
        of_decisions = [one for one in durations if one is LATENCY]
        return (
            percentiles_of(self.runs, "finished_at", periods, of_runs, cut),
            percentiles_of(self.decisions, "decided_at", periods, of_decisions, cut),
        )

    def _savings(self, periods: Sequence[Period], sums: Found) -> Found:
        """Baseline cost of each success less the cost of every run, where a baseline was in force at its start.

        Where one baseline a workflow has been in force since before its first run, the sums say it already.
        """
        if not self.baseline_costs:
            return {}
        if (constant := self._constant_costs({name for _, name in sums})) is not None:
            return {
                (at, name): _saved_in(row, constant[name])
                for (at, name), row in sums.items()
                if constant.get(name) is not None
            }
        covered = [_valid(cost) for cost in self.baseline_costs]
        saved = Case(
            *(When(valid, then=_saved_by(cost)) for cost, valid in zip(self.baseline_costs, covered, strict=True)),
            output_field=BigIntegerField(),
        )
        any_valid = covered[0]
        for valid in covered[1:]:
            any_valid |= valid
        runs = self.runs.filter(any_valid).annotate(saved=saved)
        measures = {"saved_micro": Sum("saved"), "compared": Sum(Value(1))}
        return grouped(runs, "finished_at", periods, measures, ("workflow",))

    def _constant_costs(self, workflows: set[str]) -> dict[str, int | None] | None:
        """Each workflow's one baseline cost; None if any changed after the first run had started."""
        first = self.first_start
        found: dict[str, int | None] = {}
        for name in workflows:
            own = [cost for cost in self.baseline_costs if cost.workflow == name] or [
                cost for cost in self.baseline_costs if not cost.workflow
            ]
            if len(own) > 1 or (own and first is not None and own[0].since > first):
                return None
            found[name] = own[0].micro if own else None
        return found


def measures_for(actor: User, asked: KpiFilter, periods: Sequence[Period], costs: Sequence[BaselineCost]) -> list[Row]:
    """The measures of each of these adjoining periods. ``costs``: the baselines against which savings are counted."""
    return Reader(actor, asked, costs).read(periods).parts


def _blank() -> Row:
    return dict.fromkeys(ADDITIVE, 0)


def _added(parts: Sequence[Mapping[str, Any]]) -> Row:
    row = _blank()
    for name in (*ADDITIVE, *SAVINGS):
        if known := [part[name] for part in parts if part.get(name) is not None]:
            row[name] = sum(known)
    return row


def _saved_in(row: Mapping[str, Any], cost_micro: int | None) -> dict[str, Any]:
    closed = sum(row.get(name) or 0 for name in ("succeeded", "failed", "cancelled"))
    if cost_micro is None or not closed:
        return {}
    return {"saved_micro": cost_micro * (row["succeeded"] or 0) - (row["cost_micro"] or 0), "compared": closed}


def _valid(cost: BaselineCost) -> Q:
    valid = Q(started_at__gte=cost.since) & (Q(workflow=cost.workflow) if cost.workflow else Q())
    return valid if cost.until is None else valid & Q(started_at__lt=cost.until)


def _saved_by(cost: BaselineCost) -> Any:
    return Case(When(state="succeeded", then=Value(cost.micro)), default=Value(0)) - F("cost_micro")
