"""Rollups: touched buckets recomputed from facts, whole; the nightly reconcile."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import TruncDate

from apps.core.models import ClockTimestamp
from apps.kpis.models import ActionFact, ApprovalFact, CostItem, IncidentFact, Reconciliation, RollupDay, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import (
    ACTION_MEASURES,
    ARRIVAL_MEASURES,
    COST_MEASURES,
    DECISION_MEASURES,
    INCIDENT_MEASURES,
    RUN_MEASURES,
)
from apps.kpis.rules.buckets import day_period
from apps.kpis.rules.costs import MOST
from apps.kpis.rules.definitions import ADDITIVE
from apps.kpis.services.durations import recompute_durations, wrong_durations
from apps.kpis.services.locks import hold_projection

log = structlog.get_logger(__name__)

type Touched = set[tuple[str, date]]
"""Buckets as (workflow, local day)."""
type Key = tuple[date, str, int, Any, bool]

RECONCILED_DAYS = 35
KEPT_DAYS = 400
BATCH = 1000


@transaction.atomic
def recompute_rollups(*, touched: Touched) -> int:
    """Recompute these buckets from facts, and the durations kept of them; how many rollup rows they have now."""
    if not touched:
        return 0
    workflows, days = sorted({name for name, _ in touched}), sorted({day for _, day in touched})
    found = computed_rollups(workflows, days)
    kept = RollupDay.objects.filter(workflow__in=workflows, day__in=days)
    kept.exclude(pk__in=[pk for key, pk in _keys(kept) if key in found]).delete()
    _upsert([_row(key, measures) for key, measures in found.items()])
    recompute_durations(workflows=workflows, days=days)
    return len(found)


def computed_rollups(workflows: Sequence[str], days: Sequence[date]) -> dict[Key, dict[str, int]]:
    """What the facts say of these workflows on these days, bucket by bucket."""
    runs = RunFact.objects.filter(superseded=False)
    found: dict[Key, dict[str, int]] = defaultdict(dict)
    sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
        (runs, "finished_at", RUN_MEASURES),
        (runs, "started_at", ARRIVAL_MEASURES),
        (ApprovalFact.objects.all(), "decided_at", DECISION_MEASURES),
        (CostItem.objects.all(), "incurred_at", COST_MEASURES),
        (ActionFact.objects.all(), "ended_at", ACTION_MEASURES),
        (IncidentFact.objects.all(), "began_at", INCIDENT_MEASURES),
    )
    for rows, moment, measures in sources:
        for row in _grouped(rows.filter(workflow__in=workflows), moment, days, measures):
            key = (row["day"], row["workflow"], row["version"], row["unit"], row["simulated"])
            found[key] |= {name: max(-MOST, min(MOST, row[f"m_{name}"])) for name in measures}
    return found


def _grouped(
    rows: QuerySet[Any], moment: str, days: Sequence[date], measures: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    zone = reporting_zone()
    whole = day_period(days[0], days[-1], zone)
    by = ("day", "workflow", "version", "unit", "simulated")
    within = {f"{moment}__gte": whole.start, f"{moment}__lt": whole.end}
    dated = rows.filter(**within).annotate(day=TruncDate(moment, tzinfo=zone)).filter(day__in=days)
    named = {f"m_{name}": one for name, one in measures.items()}  # a measure may be called as a column is
    grouped: Iterable[dict[str, Any]] = dated.order_by().values(*by).annotate(**named)
    return grouped


def _keys(rows: QuerySet[RollupDay]) -> Iterable[tuple[Key, int]]:
    for *key, pk in rows.values_list("day", "workflow", "version", "unit", "simulated", "pk"):
        yield tuple(key), pk  # type: ignore[misc] # the tuple of the five columns named above


def _row(key: Key, measures: Mapping[str, int]) -> RollupDay:
    day, workflow, version, unit, simulated = key
    return RollupDay(day=day, workflow=workflow, version=version, unit=unit, simulated=simulated, **measures)


def _upsert(rows: list[RollupDay]) -> None:
    RollupDay.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["day", "workflow", "version", "unit", "simulated"],
        update_fields=list(ADDITIVE),
    )


@transaction.atomic
def reconcile_rollups(*, now: datetime | None = None, days: int = RECONCILED_DAYS) -> int:
    """Compare what is kept of the last days with the facts, mend what differs and say so; how many buckets differed.

    *Data quality* shows the newest comparison, the health list one that found something.
    """
    hold_projection()
    zone = reporting_zone()
    last = (now or database_now()).astimezone(zone).date()
    dates = [last - timedelta(days=back) for back in range(days - 1, -1, -1)]
    kept = RollupDay.objects.filter(day__in=dates)
    workflows = sorted(_workflows(dates) | set(kept.values_list("workflow", flat=True)))
    found = computed_rollups(workflows, dates)
    wrong = _differences(kept, found) | wrong_durations(dates)
    if wrong:
        log.warning("rollups_mended", buckets=len(wrong), first=str(sorted(map(str, wrong))[0]))
        recompute_rollups(touched={(key[1], key[0]) for key in wrong})
    Reconciliation.objects.create(days=days, mended=len(wrong))
    Reconciliation.objects.filter(at__lt=ClockTimestamp() - timedelta(days=KEPT_DAYS)).delete()
    return len(wrong)


def _workflows(days: Sequence[date]) -> set[str]:
    whole = day_period(days[0], days[-1], reporting_zone())
    started = RunFact.objects.filter(started_at__lt=whole.end).exclude(finished_at__lt=whole.start)
    decided = ApprovalFact.objects.filter(decided_at__gte=whole.start, decided_at__lt=whole.end)
    spent = CostItem.objects.filter(incurred_at__gte=whole.start, incurred_at__lt=whole.end)
    acted = ActionFact.objects.filter(ended_at__gte=whole.start, ended_at__lt=whole.end)
    wrong = IncidentFact.objects.filter(began_at__gte=whole.start, began_at__lt=whole.end)
    everything = (started, decided, spent, acted, wrong)
    return {name for rows in everything for name in rows.values_list("workflow", flat=True).distinct()}


def _differences(kept: QuerySet[RollupDay], found: Mapping[Key, Mapping[str, int]]) -> set[Key]:
    there = {
        (row.day, row.workflow, row.version, row.unit, row.simulated): {name: getattr(row, name) for name in ADDITIVE}
        for row in kept
    }
    blank = dict.fromkeys(ADDITIVE, 0)
    return {
        key
        for key in there.keys() | found.keys()
        if there.get(key) != (blank | dict(found[key]) if key in found else None)
    }
