"""Measures of a filter, bucket by bucket: from rollups where they hold, from facts where only facts tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Case, DateField, F, Func, IntegerField, Q, QuerySet, Sum, Value, When

from apps.access.models import BusinessUnit
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import ApprovalFact, CostItem, Fact, RollupDay, RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.models.measures import (
    ARRIVAL_MEASURES,
    COST_MEASURES,
    DECISION_MEASURES,
    DECISION_PERCENTILES,
    RUN_MEASURES,
    RUN_PERCENTILES,
    grouped,
)
from apps.kpis.rules.buckets import Period, local_day
from apps.kpis.rules.definitions import ADDITIVE, PERCENTILES, percentile_name, with_totals
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


def _limits(asked: KpiFilter) -> dict[str, Any]:
    limits: dict[str, Any] = {} if asked.simulated else {"simulated": False}
    if asked.workflow:
        limits["workflow"] = asked.workflow
    if asked.unit:
        limits["unit__in"] = _unit_ids_below(asked.unit)
    return limits


def _limited[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    return rows.filter(**_limits(asked))


def _of_runs[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    if asked.agent:
        rows = rows.filter(agent=asked.agent)
    if asked.version is None:
        return rows
    return rows.filter(run_id__in=RunFact.objects.filter(version=asked.version).values("run_id"))


def _unit_ids_below(slug: str) -> list[Any]:
    """The unit of this slug and every unit below it; empty if there is none."""
    children: dict[Any, list[Any]] = {}
    found: list[Any] = []
    for pk, parent, name in BusinessUnit.objects.values_list("id", "parent_id", "slug"):
        children.setdefault(parent, []).append(pk)
        if name == slug:
            found.append(pk)
    for pk in found:  # grows while it is walked: breadth first
        found.extend(children.get(pk, []))
    return found


class Reader:
    """One actor's view of one filter. Permission and filter are applied once; every figure reads through it."""

    def __init__(self, actor: User, asked: KpiFilter, costs: Sequence[BaselineCost]) -> None:
        self.asked, self.baseline_costs = asked, costs
        self.runs = runs_for(actor, asked)
        self.decisions = decisions_for(actor, asked)
        self.costs = costs_for(actor, asked)
        self.rollups: QuerySet[Any] = visible(actor, VIEW, RollupDay.objects.filter(**_limits(asked)))

    def measures(self, periods: Sequence[Period]) -> list[Row]:
        """The measures of each of these adjoining periods."""
        rows = [_blank() for _ in periods]
        for found in (self._additive(periods), self._savings(periods), self._percentiles(periods)):
            for (at,), measures in found.items():
                rows[at].update(measures)
        return [with_totals(row) for row in rows]

    def wholes(self, parts: Sequence[tuple[Period, Sequence[Row]]]) -> list[Row]:
        """The measures of adjoining periods whose parts are known: sums are added, percentiles computed anew."""
        rows = [_added(known) for _, known in parts]
        for (at,), measures in self._percentiles([period for period, _ in parts]).items():
            rows[at].update(measures)
        return [with_totals(row) for row in rows]

    def by_workflow(self, periods: Sequence[Period]) -> dict[str, list[Row]]:
        """The measures of each of these adjoining periods, workflow by workflow."""
        by = ("workflow",)
        rows: dict[str, list[Row]] = {}
        for found in (self._additive(periods, by), self._savings(periods, by), self._percentiles(periods, by)):
            for (at, workflow), measures in found.items():
                rows.setdefault(workflow, [_blank() for _ in periods])[at].update(measures)
        return {workflow: [with_totals(row) for row in parts] for workflow, parts in sorted(rows.items())}

    def by_version(self, period: Period) -> dict[int, Row]:
        """The measures of runs of each version in ``period``, newest first. Decisions and spend have no version."""
        rows: dict[int, Row] = {}
        for measures in (RUN_MEASURES, RUN_PERCENTILES):
            for (_at, version), row in grouped(self.runs, "finished_at", [period], measures, ("version",)).items():
                named = row if measures is RUN_MEASURES else _named(row)
                rows.setdefault(version, _blank()).update(named)
        return {version: with_totals(row) for version, row in sorted(rows.items(), reverse=True)}

    def _additive(self, periods: Sequence[Period], by: tuple[str, ...] = ()) -> Found:
        if answered_by_rollups(self.asked, periods, reporting_zone()):
            return self._from_rollups(periods, by)
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
            (self.runs, "finished_at", RUN_MEASURES),
            (self.runs, "started_at", ARRIVAL_MEASURES),
            (self.decisions, "decided_at", DECISION_MEASURES),
            (self.costs, "incurred_at", COST_MEASURES),
        )
        for rows, field, measures in sources:
            for key, row in grouped(rows, field, periods, measures, by).items():
                found.setdefault(key, {}).update(row)
        return found

    def _from_rollups(self, periods: Sequence[Period], by: tuple[str, ...]) -> Found:
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
        found = rows.order_by().values(*by, at=index).annotate(**sums)
        return {
            (row["at"], *(row[name] for name in by)): {name: int(row[f"sum_{name}"] or 0) for name in ADDITIVE}
            for row in found
        }

    def _percentiles(self, periods: Sequence[Period], by: tuple[str, ...] = ()) -> Found:
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
            (self.runs, "finished_at", RUN_PERCENTILES),
            (self.decisions, "decided_at", DECISION_PERCENTILES),
        )
        for rows, field, measures in sources:
            for key, row in grouped(rows, field, periods, measures, by).items():
                found.setdefault(key, {}).update(_named(row))
        return found

    def _savings(self, periods: Sequence[Period], by: tuple[str, ...] = ()) -> Found:
        """Baseline cost of each success less the cost of every run, where a baseline was in force at its start."""
        if not self.baseline_costs:
            return {}
        covered = [_valid(cost) for cost in self.baseline_costs]
        saved = Case(
            *(When(valid, then=_saved_by(cost)) for cost, valid in zip(self.baseline_costs, covered, strict=True)),
            output_field=BigIntegerField(),
        )
        any_valid = covered[0]
        for valid in covered[1:]:
            any_valid |= valid
        runs = self.runs.filter(any_valid).annotate(saved=saved)
        return grouped(runs, "finished_at", periods, {"saved_micro": Sum("saved"), "compared": Sum(Value(1))}, by)


def measures_for(actor: User, asked: KpiFilter, periods: Sequence[Period], costs: Sequence[BaselineCost]) -> list[Row]:
    """The measures of each of these adjoining periods. ``costs``: the baselines against which savings are counted."""
    return Reader(actor, asked, costs).measures(periods)


def _blank() -> Row:
    return dict.fromkeys(ADDITIVE, 0)


def _added(parts: Sequence[Row]) -> Row:
    row = _blank()
    for name in (*ADDITIVE, *SAVINGS):
        if known := [part[name] or 0 for part in parts if part.get(name) is not None]:
            row[name] = sum(known)
    return row


def _named(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        percentile_name(of, fraction): value
        for of, values in row.items()
        for fraction, value in zip(PERCENTILES[of], values or (), strict=False)
    }


def _valid(cost: BaselineCost) -> Q:
    valid = Q(started_at__gte=cost.since) & (Q(workflow=cost.workflow) if cost.workflow else Q())
    return valid if cost.until is None else valid & Q(started_at__lt=cost.until)


def _saved_by(cost: BaselineCost) -> Any:
    return Case(When(state="succeeded", then=Value(cost.micro)), default=Value(0)) - F("cost_micro")
