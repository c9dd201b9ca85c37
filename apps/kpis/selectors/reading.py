"""Measures of a filter, bucket by bucket: from rollups where they hold, from facts where only facts tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import DateField, F, Func, IntegerField, Min, Q, QuerySet, Sum, Value
from django.utils.translation import gettext as _

from apps.access.selectors import unit_ids_below
from apps.core.errors import InvalidError
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import (
    ActionFact,
    ApprovalFact,
    CostItem,
    DurationDay,
    Fact,
    IncidentFact,
    RollupDay,
    RunFact,
    first_unkept_day,
)
from apps.kpis.models.claims import claims_worked
from apps.kpis.models.clock import reporting_zone
from apps.kpis.models.measures import (
    ACTION_MEASURES,
    ARRIVAL_MEASURES,
    COST_MEASURES,
    CYCLE,
    DECIDED,
    DECISION_MEASURES,
    DURATIONS,
    INCIDENT_MEASURES,
    LATENCY,
    RUN_MEASURES,
    Duration,
    Joined,
    alike,
    durations_in,
    grouped,
    named_of,
    within,
)
from apps.kpis.rules.buckets import Period, day_period, local_day, local_midnight
from apps.kpis.rules.definitions import ADDITIVE, with_totals
from apps.kpis.rules.durations import percentiles_in, piece_of
from apps.kpis.rules.filters import KpiFilter, answered_by_rollups
from apps.kpis.selectors.goals import BaselineCost
from apps.kpis.selectors.savings import SAVED, SAVINGS, Found, saved_in
from apps.workflows.models import Attempt

VIEW = "kpis.view_kpi"

type Row = dict[str, float | None]

OF_WORKFLOWS = (CYCLE, LATENCY)
CLOSED = Q(succeeded__gt=0) | Q(failed__gt=0) | Q(cancelled__gt=0)
"""The rollups of days on which a run ended."""

type Pieces = dict[tuple[int, Any], dict[str, list[Any]]]
"""Durations by (period, workflow or version), by their name, as arrays of numpy."""


def runs_for(actor: User, asked: KpiFilter) -> QuerySet[RunFact]:
    """The runs that ``actor`` may count, within the filter but for its period."""
    rows = _limited(visible(actor, VIEW, RunFact.objects.filter(superseded=False)), asked)
    return rows.filter(agents__contains=[asked.agent]) if asked.agent else rows


def decisions_for(actor: User, asked: KpiFilter) -> QuerySet[ApprovalFact]:
    """The decisions that ``actor`` may count, within the filter but for its period."""
    return _of_agent(_limited(visible(actor, VIEW, ApprovalFact.objects.all()), asked), asked)


def costs_for(actor: User, asked: KpiFilter) -> QuerySet[CostItem]:
    """The costs that ``actor`` may count, within the filter but for its period."""
    return _of_agent(_limited(visible(actor, VIEW, CostItem.objects.all()), asked), asked)


def actions_for(actor: User, asked: KpiFilter) -> QuerySet[ActionFact]:
    """The actions of agents that ``actor`` may count, within the filter but for its period."""
    rows = _of_agent(_limited(visible(actor, VIEW, ActionFact.objects.all()), asked), asked)
    rows = rows.filter(operation=asked.operation) if asked.operation else rows
    return rows if asked.agent_version is None else rows.filter(agent_version=asked.agent_version)


def claims_for(actor: User, asked: KpiFilter) -> QuerySet[Attempt]:
    """What came of tasks that versions of agents took, as far as ``actor`` may count it, but for the filter's period.

    A workflow's version and an operation limit nothing here.
    """
    limits: dict[str, Any] = {} if asked.simulated else {"run__simulated": False}
    if asked.workflow:
        limits["run__workflow__slug"] = asked.workflow
    if asked.unit:
        limits["run__unit__in"] = unit_ids_below(asked.unit)
    if asked.agent:
        limits["agent__slug"] = asked.agent
    return visible(actor, VIEW, claims_worked()).filter(**limits)


def incidents_for(actor: User, asked: KpiFilter) -> QuerySet[IncidentFact]:
    """The incidents that ``actor`` may count, within the filter but for its period."""
    return _of_agent(_limited(visible(actor, VIEW, IncidentFact.objects.all()), asked), asked)


def require_no_agent_version(asked: KpiFilter) -> None:
    """Raises InvalidError where an agent's version or an operation is asked of rows that know neither, but actions."""
    if asked.operation:
        raise InvalidError(errors={"operation": [_("Only figures of actions know the operation.")]})
    if asked.agent_version is not None:
        raise InvalidError(errors={"agent_version": [_("Only figures of actions know the agent's version.")]})


def _limits(asked: KpiFilter) -> dict[str, Any]:
    limits: dict[str, Any] = {} if asked.simulated else {"simulated": False}
    if asked.workflow:
        limits["workflow"] = asked.workflow
    if asked.version is not None:
        limits["version"] = asked.version
    if asked.unit:
        limits["unit__in"] = unit_ids_below(asked.unit)
    return limits


def _limited[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    return rows.filter(**_limits(asked))


def _of_agent[F_: Fact](rows: QuerySet[F_], asked: KpiFilter) -> QuerySet[F_]:
    return rows.filter(agent=asked.agent) if asked.agent else rows


@dataclass(frozen=True, slots=True)
class Reading:
    """The measures of adjoining periods: of each, of the two halves, of all, and of each workflow over all.

    A workflow's percentiles are those of its runs' cycle times and of its decisions alone.
    """

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
        self.kept: QuerySet[Any] = visible(actor, VIEW, DurationDay.objects.filter(**_limits(asked)))

    @cached_property
    def first_start(self) -> datetime | None:
        """When the first run of all started."""
        return RunFact.objects.order_by("started_at").values_list("started_at", flat=True).first()

    @cached_property
    def first_unkept(self) -> date:
        """The first day whose durations have to be read from facts."""
        return first_unkept_day()

    def read(self, periods: Sequence[Period], durations: Sequence[Duration] = DURATIONS) -> Reading:
        """Everything about these periods: sums and durations once by period and workflow, the rest follows."""
        sums, pieces = self._additive(periods), self.pieces(periods, durations)
        cut = len(periods) // 2
        parts = [added([row for (at, _), row in sums.items() if at == index]) for index in range(len(periods))]
        names = sorted({name for _, name in (*sums, *pieces)})
        workflows = {name: added([row for (_, one), row in sums.items() if one == name]) for name in names}
        halves, whole = (added(parts[:cut] if cut else parts), added(parts[cut:])), added(parts)
        for one in durations:
            by_part, by_workflow = gathered(pieces, one)
            for at, found in by_part.items():
                parts[at].update(percentile_row(one, found))
            for later, row in enumerate(halves):
                places = range(cut, len(parts)) if later or not cut else range(cut)
                row.update(percentile_row(one, _all(by_part, places)))
            whole.update(percentile_row(one, _all(by_part, range(len(parts)))))
            for name, found in by_workflow.items() if one in OF_WORKFLOWS else ():
                workflows[name].update(percentile_row(one, found))
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

    def cycle_times(self, period: Period) -> Row:
        """The percentiles of the cycle times in ``period``, without anything else."""
        by_part, _names = gathered(self.pieces([period], [CYCLE]), CYCLE)
        return percentile_row(CYCLE, _all(by_part, [0]))

    def holds_simulated(self) -> bool:
        """Whether anything invented counts in the period: runs, and what agents did and went wrong outside of them."""
        period = self.asked.period
        if answered_by_rollups(self.asked, [period], reporting_zone()):
            rows, _index = _by_day(self.rollups, [period])
            return rows.filter(simulated=True).exists()
        facts: tuple[tuple[QuerySet[Any], str], ...] = (
            (self.runs, "finished_at"),
            (self.runs, "started_at"),
            (self.decisions, "decided_at"),
            (self.costs, "incurred_at"),
            (self.actions, "ended_at"),
            (self.incidents, "began_at"),
        )
        return any(rows.filter(within(moment, period), simulated=True).exists() for rows, moment in facts)

    @cached_property
    def first_day(self) -> date | None:
        """The first local day of which anything is counted; None while nothing is."""
        zone = reporting_zone()
        if answered_by_rollups(self.asked, [self.asked.period], zone):
            return self.rollups.order_by("day").values_list("day", flat=True).first()
        first = self.runs.order_by("started_at").values_list("started_at", flat=True).first()
        return None if first is None else local_day(first, zone)

    def first_ends(self) -> dict[int, datetime]:
        """When the first run of each version ended in the period."""
        period, zone, rows = self.asked.period, reporting_zone(), self.runs
        if answered_by_rollups(self.asked, [period], zone):
            days, _index = _by_day(self.rollups.filter(CLOSED), [period])
            begun = days.order_by().values_list("version").annotate(first=Min("day"))
            wanted = Q(pk__in=[])
            for version, day in begun:
                wanted |= Q(version=version) & within("finished_at", day_period(day, day, zone))
            rows = rows.filter(wanted)
        ended = rows.filter(within("finished_at", period)).order_by()
        return dict(ended.values_list("version").annotate(first=Min("finished_at")))

    def invented_versions(self) -> dict[int, str]:
        """The versions of which invented runs ended in the period, and whether that is ``all`` of them or ``some``."""
        period = self.asked.period
        rows: QuerySet[Any] = self.runs.filter(within("finished_at", period))
        if answered_by_rollups(self.asked, [period], reporting_zone()):
            rows, _index = _by_day(self.rollups.filter(CLOSED), [period])
        found = set(rows.order_by().values_list("version", "simulated").distinct())
        return {version: "some" if (version, False) in found else "all" for version, invented in found if invented}

    def by_version(self, period: Period) -> dict[int, Row]:
        """The measures of runs of each version in ``period``, newest first. Those of decisions and spend are not."""
        _at, pieces = gathered(self.pieces([period], [CYCLE], "version"), CYCLE)
        rows = {
            version: with_totals(_blank() | {name: row.get(name, 0) for name in RUN_MEASURES})
            for (_at, version), row in self.sums([period], "version").items()
        }
        return {
            version: row | percentile_row(CYCLE, pieces.get(version, ()))
            for version, row in sorted(rows.items(), reverse=True)
            if row["closed"]
        }

    def _additive(self, periods: Sequence[Period]) -> Found:
        """Sums by (period, workflow), savings among them."""
        found = self.sums(periods, "workflow")
        for saving in SAVINGS:
            costs = [cost for cost in self.baseline_costs if cost.of == saving.of]
            for key, saved in saved_in(saving, costs, self.runs, lambda: self.first_start, periods, found).items():
                found.setdefault(key, {}).update(saved)
        return found

    def sums(self, periods: Sequence[Period], by: str) -> dict[tuple[int, Any], dict[str, Any]]:
        """Sums by (period, workflow, version or unit)."""
        if answered_by_rollups(self.asked, periods, reporting_zone()):
            return self._from_rollups(periods, by)
        found: dict[tuple[int, Any], dict[str, Any]] = {}
        sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
            (self.runs, "finished_at", RUN_MEASURES),
            (self.runs, "started_at", ARRIVAL_MEASURES),
            (self.decisions, "decided_at", DECISION_MEASURES),
            (self.costs, "incurred_at", COST_MEASURES),
            (self.actions, "ended_at", ACTION_MEASURES),
            (self.incidents, "began_at", INCIDENT_MEASURES),
        )
        for rows, field, measures in sources:
            for (at, name), row in grouped(rows, field, periods, measures, (by,)).items():
                found.setdefault((at, name), {}).update(row)
        return found

    def _from_rollups(self, periods: Sequence[Period], by: str) -> dict[tuple[int, Any], dict[str, Any]]:
        rows, index = _by_day(self.rollups, periods)
        sums = {f"sum_{name}": Sum(name) for name in ADDITIVE}
        return {
            (row["at"], row[by]): {name: int(row[f"sum_{name}"] or 0) for name in ADDITIVE}
            for row in rows.order_by().values(by, at=index).annotate(**sums)
        }

    def pieces(self, periods: Sequence[Period], durations: Sequence[Duration], by: str = "workflow") -> Pieces:
        """Durations as sums are told, by period: from what is kept of days that are over, else from facts."""
        found: Pieces = {}
        since, zone = periods[0].start, reporting_zone()
        if durations and answered_by_rollups(self.asked, periods, zone):
            first = max(self.first_unkept, local_day(since, zone))
            rows, index = _by_day(self.kept, periods)
            named = {f"d_{one.name}": Joined(one.name) for one in durations}
            kept = rows.filter(day__lt=first).order_by().values(by, at=index).annotate(**named)
            for row in kept if first > local_day(since, zone) else ():
                _keep(found, (row["at"], row[by]), {one.name: row[f"d_{one.name}"] for one in durations})
            since = local_midnight(first, zone)
        for some in alike(durations) if since < periods[-1].end else ():
            field = some[0].moment
            table: QuerySet[Any] = self.decisions if field == DECIDED else self.runs
            late = table.filter(**{f"{field}__gte": since})
            for key, written in durations_in(late, field, periods, some, (by,)).items():
                _keep(found, (key[0], key[1]), written)
        return found


def measures_for(actor: User, asked: KpiFilter, periods: Sequence[Period], costs: Sequence[BaselineCost]) -> list[Row]:
    """The measures of each of these adjoining periods. ``costs``: the baselines against which savings are counted."""
    return Reader(actor, asked, costs).read(periods).parts


def _by_day(rows: QuerySet[Any], periods: Sequence[Period]) -> tuple[QuerySet[Any], Any]:
    """Rows by local day, and into which of the periods a day falls."""
    zone = reporting_zone()
    days = [local_day(period.start, zone) for period in periods]
    index = Func(
        F("day"),
        Value(days, output_field=ArrayField(DateField())),
        function="width_bucket",
        template="%(function)s(%(expressions)s) - 1",
        output_field=IntegerField(),
    )
    return rows.filter(day__gte=days[0], day__lt=local_day(periods[-1].end, zone)), index


def _keep(pieces: Pieces, key: tuple[int, Any], written: Mapping[str, Any]) -> None:
    for name, value in written.items():
        if value:
            pieces.setdefault(key, {}).setdefault(name, []).append(piece_of(value))


def gathered(pieces: Pieces, one: Duration) -> tuple[dict[int, list[Any]], dict[Any, list[Any]]]:
    """The pieces of a duration by period, and by workflow or version."""
    by_part: dict[int, list[Any]] = {}
    by_name: dict[Any, list[Any]] = {}
    for (at, name), named in pieces.items():
        for piece in named.get(one.name, ()):
            by_part.setdefault(at, []).append(piece)
            by_name.setdefault(name, []).append(piece)
    return by_part, by_name


def _all(by_part: Mapping[int, Sequence[Any]], places: Sequence[int]) -> list[Any]:
    return [piece for at in places for piece in by_part.get(at, ())]


def percentile_row(one: Duration, pieces: Sequence[Any]) -> Row:
    """A duration's percentiles, as measures."""
    return named_of(one, percentiles_in(pieces, one.fractions))


def _blank() -> Row:
    return dict.fromkeys(ADDITIVE, 0)


def blank_row() -> Row:
    """The measures where nothing happened."""
    return with_totals(_blank())


def added(parts: Sequence[Mapping[str, Any]]) -> Row:
    """Sums of sums."""
    row = _blank()
    for name in (*ADDITIVE, *SAVED):
        if known := [part[name] for part in parts if part.get(name) is not None]:
            row[name] = sum(known)
    return row
