"""Measures of a filter, bucket by bucket: from rollups where they hold, from facts where only facts tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Case, DateField, F, Func, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

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
    by_period,
)
from apps.kpis.rules.buckets import Period, local_day
from apps.kpis.rules.definitions import ADDITIVE, percentile_name, with_totals
from apps.kpis.rules.filters import KpiFilter, answered_by_rollups
from apps.kpis.selectors.goals import BaselineCost

VIEW = "kpis.view_kpi"
PERCENTILES_OF = {"cycle": (0.5, 0.9, 0.95), "lead": (0.5,), "latency": (0.5, 0.9)}

type Row = dict[str, float | None]


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


def _limited[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    limits: dict[str, Any] = {} if asked.simulated else {"simulated": False}
    if asked.workflow:
        limits["workflow"] = asked.workflow
    if asked.unit:
        limits["unit__in"] = _unit_ids_below(asked.unit)
    return rows.filter(**limits)


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


def measures_for(actor: User, asked: KpiFilter, periods: Sequence[Period], costs: Sequence[BaselineCost]) -> list[Row]:
    """The measures of each of these adjoining periods. ``costs``: the baselines against which savings are counted."""
    rows: list[Row] = [dict.fromkeys(ADDITIVE, 0) for _ in periods]
    _fill(rows, _additive(actor, asked, periods))
    _fill(rows, _percentiles(actor, asked, periods))
    if costs:
        _fill(rows, _savings(actor, asked, periods, costs))
    return [with_totals(row) for row in rows]


def _fill(rows: list[Row], found: Mapping[int, Mapping[str, Any]]) -> None:
    for index, measures in found.items():
        rows[index].update(measures)


def _additive(actor: User, asked: KpiFilter, periods: Sequence[Period]) -> dict[int, dict[str, Any]]:
    if answered_by_rollups(asked, periods, reporting_zone()):
        return _from_rollups(actor, asked, periods)
    found: dict[int, dict[str, Any]] = {}
    runs = runs_for(actor, asked)
    for rows, field, measures in (
        (runs, "finished_at", RUN_MEASURES),
        (runs, "started_at", ARRIVAL_MEASURES),
        (decisions_for(actor, asked), "decided_at", DECISION_MEASURES),
        (costs_for(actor, asked), "incurred_at", COST_MEASURES),
    ):
        for index, row in by_period(rows, field, periods, measures).items():
            found.setdefault(index, {}).update(row)
    return found


def _from_rollups(actor: User, asked: KpiFilter, periods: Sequence[Period]) -> dict[int, dict[str, Any]]:
    zone = reporting_zone()
    first, last = local_day(periods[0].start, zone), local_day(periods[-1].end, zone)
    limits: dict[str, Any] = {} if asked.simulated else {"simulated": False}
    if asked.workflow:
        limits["workflow"] = asked.workflow
    if asked.unit:
        limits["unit__in"] = _unit_ids_below(asked.unit)
    rows: QuerySet[Any] = visible(actor, VIEW, RollupDay.objects.filter(day__gte=first, day__lt=last, **limits))
    starts = Value([local_day(period.start, zone) for period in periods], output_field=ArrayField(DateField()))
    index = Func(
        F("day"),
        starts,
        function="width_bucket",
        template="%(function)s(%(expressions)s) - 1",
        output_field=IntegerField(),
    )
    sums = {name: Sum(name) for name in ADDITIVE}
    found = rows.order_by().values(at=index).annotate(**{f"sum_{name}": one for name, one in sums.items()})
    return {row["at"]: {name: int(row[f"sum_{name}"] or 0) for name in ADDITIVE} for row in found}


def _percentiles(actor: User, asked: KpiFilter, periods: Sequence[Period]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for rows, field, measures in (
        (runs_for(actor, asked), "finished_at", RUN_PERCENTILES),
        (decisions_for(actor, asked), "decided_at", DECISION_PERCENTILES),
    ):
        for index, row in by_period(rows, field, periods, measures).items():
            found.setdefault(index, {}).update(_named(row))
    return found


def _named(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        percentile_name(of, fraction): value
        for of, values in row.items()
        for fraction, value in zip(PERCENTILES_OF[of], values or (), strict=False)
    }


def _savings(
    actor: User, asked: KpiFilter, periods: Sequence[Period], costs: Sequence[BaselineCost]
) -> dict[int, dict[str, Any]]:
    """Baseline cost of each success less the cost of every run, where a baseline was in force when the run started."""
    covered = [_valid(cost) for cost in costs]
    saved = Case(
        *(When(valid, then=_saved_by(cost)) for cost, valid in zip(costs, covered, strict=True)),
        output_field=BigIntegerField(),
    )
    any_valid = covered[0]
    for valid in covered[1:]:
        any_valid |= valid
    runs = runs_for(actor, asked).filter(any_valid).annotate(saved=saved)
    measures = {"saved_micro": Sum("saved"), "compared": Sum(Value(1))}
    found = by_period(runs, "finished_at", periods, measures)
    return {index: {name: row[name] for name in measures} for index, row in found.items()}


def _valid(cost: BaselineCost) -> Q:
    valid = Q(started_at__gte=cost.since) & (Q(workflow=cost.workflow) if cost.workflow else Q())
    return valid if cost.until is None else valid & Q(started_at__lt=cost.until)


def _saved_by(cost: BaselineCost) -> Any:
    return Case(When(state="succeeded", then=Value(cost.micro)), default=Value(0)) - Coalesce(F("cost_micro"), 0)
