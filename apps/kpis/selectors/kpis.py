"""The answer to a question about KPIs: what the API prints, the pages draw and the CSV lists."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from apps.audit.models import Cursor, Entry
from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact, CallHour, CostItem, IncidentFact, KpiValue, MinuteSpell, RunFact
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import DURATIONS, MEMBERS, Duration, within
from apps.kpis.rules.buckets import Bucket, buckets_of, previous_period
from apps.kpis.rules.definitions import DEFINITIONS, Behind, Definition, Kind
from apps.kpis.rules.definitions.kinds import COUNTED
from apps.kpis.rules.figures import Figures, coverage_of, figure_of, figures_of
from apps.kpis.rules.filters import Compare, KpiFilter
from apps.kpis.selectors.business import values_for
from apps.kpis.selectors.definitions import any_definition_for
from apps.kpis.selectors.fixed import add_fixed_for
from apps.kpis.selectors.goals import Goals, goals_for
from apps.kpis.selectors.live import LONGEST, OLDEST, open_incidents_for, open_runs_for
from apps.kpis.selectors.parts import require_name, require_part, within_part
from apps.kpis.selectors.pending import LONGEST as LONGEST_WAIT
from apps.kpis.selectors.pending import pending_for
from apps.kpis.selectors.reading import (
    OF_WORKFLOWS,
    VIEW,
    Reader,
    Reading,
    Row,
    actions_for,
    blank_row,
    costs_for,
    decisions_for,
    incidents_for,
    require_no_agent_version,
    runs_for,
)
from apps.kpis.selectors.releases import NEWEST, releases_for
from apps.kpis.selectors.savings import SAVINGS, compared_by
from apps.kpis.selectors.totals import Total, total_of
from apps.kpis.selectors.uptime import behind_uptime_for
from apps.oversight.models import Escalation

PROJECTION = "kpis"
_COMPARED = {one.compared: one.of for one in SAVINGS}
OF_BASELINES = _COMPARED | {name: _COMPARED[counted] for name, counted in COUNTED.items()}
"""Figures that only runs with a baseline are in, by their denominator: the column of which it is one."""


@dataclass(frozen=True, slots=True)
class Point:
    """The KPIs of one bucket. ``partial``: it is not over yet."""

    bucket: Bucket
    figures: Figures
    measures: Row
    partial: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything about one question. ``reader`` is how it was read: permission and filter applied."""

    reader: Reader
    asked: KpiFilter
    as_of: datetime
    lag_s: float
    totals: dict[str, Total]
    series: list[Point]
    measures: Row
    goals: Goals
    halves: tuple[Figures, Figures]
    workflows: dict[str, Row]
    earlier: Reading | None


def kpis_for(actor: User, asked: KpiFilter, *, durations: Sequence[Duration] = DURATIONS) -> Answer:
    """Totals and series of every KPI. Raises NotAllowedError for who may see none anywhere."""
    goals, now, currency = goals_for(actor, asked), database_now(), reporting_currency()
    reader = Reader(actor, asked, goals.costs())
    buckets = buckets_of(asked.period, asked.size, asked.zone)
    found = add_fixed_for(actor, asked, reader.read(buckets, durations), buckets, now)
    opened = reader.open_at(asked.period.start)
    _fill_backlog(found.parts, buckets, opened, now)
    whole = found.whole
    whole["backlog"] = next((row["backlog"] for row in reversed(found.parts) if row["backlog"] is not None), opened)
    earlier = _earlier(actor, reader, durations) if asked.compare == Compare.PREVIOUS else None
    before = _figures_before(earlier)
    return Answer(
        reader=reader,
        asked=asked,
        as_of=now,
        lag_s=_lag_s(now),
        totals={
            key: total_of(
                figure_of(one, whole, currency),
                asked,
                goals,
                now,
                workflows=found.workflows,
                previous=before.get(key),
                coverage=coverage_of(one, whole),
            )
            for key, one in DEFINITIONS.items()
        },
        series=[
            Point(bucket, figures_of(row, currency), row, partial=bucket.start <= now < bucket.end)
            for bucket, row in zip(buckets, found.parts, strict=True)
        ],
        measures=whole,
        goals=goals,
        halves=(figures_of(found.halves[0], currency), figures_of(found.halves[1], currency)),
        workflows=found.workflows,
        earlier=earlier,
    )


def workflow_rows_for(actor: User, answer: Answer) -> dict[str, tuple[Row, Row]]:
    """The measures of the period before and of this one, workflow by workflow."""
    if not actor.is_active:
        return {}
    before = (answer.earlier or _earlier(actor, answer.reader, OF_WORKFLOWS)).workflows
    names = sorted({*before, *answer.workflows})
    return {name: (before.get(name) or blank_row(), answer.workflows.get(name) or blank_row()) for name in names}


def _earlier(actor: User, reader: Reader, durations: Sequence[Duration]) -> Reading:
    before = [previous_period(reader.asked.period, reader.asked.zone)]
    return add_fixed_for(actor, reader.asked, reader.read(before, durations), before, database_now())


def _figures_before(earlier: Reading | None) -> Figures:
    if earlier is None:
        return {}
    found = figures_of(earlier.whole, reporting_currency())
    return {key: one for key, one in found.items() if one.definition.kind != Kind.STOCK}


def _fill_backlog(rows: list[Row], buckets: list[Bucket], opened: int, now: datetime) -> None:
    """Starts less ends, added up; nothing for buckets that have not begun."""
    backlog: float = opened
    for row, bucket in zip(rows, buckets, strict=True):
        backlog += (row["arrivals"] or 0) - (row["closed"] or 0)
        row["backlog"] = backlog if bucket.start <= now else None


def lag_s_for(actor: User, now: datetime) -> float:
    """Seconds since the oldest entry that the projection has not folded; 0 when it is up to date."""
    require(actor, VIEW)
    return _lag_s(now)


def _lag_s(now: datetime) -> float:
    cursor = Cursor.objects.filter(projection=PROJECTION).first()
    unread = Entry.objects.order_by("xid", "id")
    if cursor is not None:
        unread = Entry.objects.filter(xid__gte=cursor.xid).exclude(xid=cursor.xid, id__lte=cursor.entry_id)
        unread = unread.order_by("xid", "id")
    oldest = unread.values_list("occurred_at", flat=True).first()
    return 0.0 if oldest is None else max(0.0, round((now - oldest).total_seconds(), 3))


def definition_for(actor: User, key: str) -> Definition:
    """The KPI of this name, for who may see KPIs. Raises NotFoundError."""
    return any_definition_for(actor, key)


type Rows = (
    QuerySet[RunFact]
    | QuerySet[ApprovalFact]
    | QuerySet[CostItem]
    | QuerySet[ActionFact]
    | QuerySet[IncidentFact]
    | QuerySet[KpiValue]
    | QuerySet[Escalation]
    | QuerySet[Entry]
    | QuerySet[MinuteSpell]
    | QuerySet[CallHour]
)


@dataclass(frozen=True, slots=True)
class Source:
    """Whose rows lie behind figures of a period: by which moment they count, and what tells them apart."""

    rows: Callable[[User, KpiFilter], QuerySet[Any]]
    moment: str
    key: str


SOURCES: Mapping[Behind, Source] = {
    Behind.FINISHED: Source(runs_for, "finished_at", "run_id"),
    Behind.STARTED: Source(runs_for, "started_at", "run_id"),
    Behind.DECISIONS: Source(decisions_for, "decided_at", "escalation_id"),
    Behind.COSTS: Source(costs_for, "incurred_at", "id"),
    Behind.ACTIONS: Source(actions_for, "ended_at", "action_id"),
    Behind.INCIDENTS: Source(incidents_for, "began_at", "id"),
}
ORDERS: Mapping[str, tuple[str, ...]] = {
    "cycle": ("-cycle_ms", "-run_id"),
    "lead": ("-lead_ms", "-run_id"),
    "business": ("-business_ms", "-run_id"),
    "paused_ms": ("-paused_ms", "-run_id"),
    "handovers": ("-handovers", "-run_id"),
    "cost_micro": ("-cost_micro", "-run_id"),
    "human_ms": ("-human_ms", "-run_id"),
    "saved_ms": ("-human_ms", "-run_id"),
    "touch_ms": ("-touch_ms", "-run_id"),
    "agent_ms": ("-agent_ms", "-run_id"),
    "connector_ms": ("-connector_ms", "-run_id"),
    "wait_ms": ("-wait_ms", "-run_id"),
    "flow_ms": ("-wait_ms", "-run_id"),
    "queue_ms": ("-queue_ms", "-run_id"),
    "failed_tries": ("-failed_tries", "-run_id"),
    "automated_steps": ("automated_steps", "-run_id"),
    "latency": ("-latency_ms", "-escalation_id"),
    "open_latency": ("-open_ms", "-escalation_id"),
    "failed_cycle": ("-cycle_ms", "-run_id"),
    "cancelled_cycle": ("-cycle_ms", "-run_id"),
}


def behind_for(actor: User, definition: Definition, asked: KpiFilter) -> tuple[Rows, tuple[str, ...]]:
    """The rows behind a number, and the order that shows the most telling first.

    Raises InvalidError for an agent's version where rows know none: actions alone do; for a part that they do not know,
    or of which ``actor`` sees nothing.
    """
    if definition.behind != Behind.ACTIONS:
        require_no_agent_version(asked)
    require_part(definition, asked)
    match definition.behind:
        case Behind.OPEN:
            return _open_rows(actor, asked), OLDEST
        case Behind.NOW | Behind.UNRESOLVED | Behind.PENDING:
            return _behind_now(actor, definition, asked)
        case Behind.MINUTES | Behind.CALLS:
            return behind_uptime_for(actor, definition, asked)
        case Behind.RELEASES:
            return releases_for(actor, definition, asked), NEWEST
        case Behind.VALUES:
            return values_for(actor, definition, asked), ("-finished_at", "-id")
    source = SOURCES[definition.behind]
    whole = asked if asked.part is None else replace(asked, operation="")  # as a part it is asked for below
    rows: QuerySet[Any] = source.rows(actor, whole).filter(within(source.moment, asked.period))
    order = ORDERS.get(definition.numerator, (f"-{source.moment}", f"-{source.key}"))
    rows = rows.filter(MEMBERS[definition.members], _compared(actor, definition, asked))
    found = within_part(rows, asked)
    if asked.part is not None and not found.exists():
        require_name(actor, rows, asked)
    return found, order


def _compared(actor: User, definition: Definition, asked: KpiFilter) -> Q:
    """Of a figure that is held against a baseline, the runs that had one; else all."""
    column = OF_BASELINES.get(definition.denominator)
    return compared_by(column, goals_for(actor, asked).costs()) if column else Q()


def _behind_now(actor: User, definition: Definition, asked: KpiFilter) -> tuple[Rows, tuple[str, ...]]:
    """What lies behind a figure of now."""
    match definition.behind:
        case Behind.UNRESOLVED:
            return open_incidents_for(actor, asked), LONGEST
        case Behind.PENDING:
            return pending_for(actor, definition, asked), LONGEST_WAIT
    return open_runs_for(actor, definition, asked), OLDEST


def _open_rows(actor: User, asked: KpiFilter) -> QuerySet[RunFact]:
    moment = min(asked.period.end, database_now())
    return runs_for(actor, asked).filter(started_at__lt=moment).filter(Q(finished_at=None) | Q(finished_at__gte=moment))


def unpriced_for(actor: User, answer: Answer) -> int:
    """Costs of the period that nobody could price: they are in no sum."""
    rows = answer.reader.costs.filter(within("incurred_at", answer.asked.period), priced_by="unpriced")
    return rows.count() if actor.is_active else 0


def busiest_share_for(actor: User, answer: Answer) -> tuple[float | None, int]:
    """The share of all decisions of the period that one person took, and how many there were; no name."""
    rows = answer.reader.decisions.filter(within("decided_at", answer.asked.period)).filter(MEMBERS["decided"])
    if not actor.is_active:
        return None, 0
    counts = list(
        rows.exclude(decided_by="")
        .order_by()
        .values_list("decided_by")
        .annotate(n=Count("escalation_id"))
        .order_by("-n")
    )
    total = sum(n for _, n in counts)
    return (counts[0][1] / total if total else None), total


def holds_simulated_for(actor: User, asked: KpiFilter, reader: Reader | None = None) -> bool:
    """Whether anything invented is among what is counted. ``reader``: one of this question that is there already."""
    if not (actor.is_active and asked.simulated):
        return False
    reader = reader or Reader(actor, replace(asked, agent_version=None, operation="", part=None), ())
    return reader.holds_simulated()
