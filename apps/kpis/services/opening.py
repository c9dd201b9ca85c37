"""How much of a run, or of the wait for a decision, was open time, by the calendar of its unit."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.access.models import BusinessUnit, Calendar
from apps.access.selectors import open_hours_of_unit
from apps.kpis.models import ApprovalFact, RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.facts import DecisionSeen, RunSeen
from apps.kpis.rules.opening import Interval, open_ms_of
from apps.kpis.services.locks import hold_projection
from apps.kpis.services.rollups import recompute_rollups

FILLED_AT_ONCE = 20_000


def open_time_of(runs: Sequence[RunSeen]) -> dict[UUID, int]:
    """Milliseconds of open time from start to end, for runs that ended in a unit with a calendar."""
    return _open_time([(run.run_id, run.unit_id, run.started_at, run.finished_at) for run in runs if run.finished_at])


def open_wait_of(decisions: Sequence[DecisionSeen]) -> dict[UUID, int]:
    """Milliseconds of open time from being asked to the end, for decisions in a unit with a calendar."""
    return _open_time([(one.escalation_id, one.unit_id, one.requested_at, one.decided_at) for one in decisions])


type Ended = tuple[UUID, UUID | None, *Interval]


def _open_time(ended: Sequence[Ended]) -> dict[UUID, int]:
    by_unit: dict[UUID, list[Ended]] = defaultdict(list)
    for row in ended:
        if row[1] is not None:
            by_unit[row[1]].append(row)
    found: dict[UUID, int] = {}
    for unit, rows in by_unit.items():
        if (hours := open_hours_of_unit(unit)) is not None:
            took = open_ms_of(hours, [(row[2], row[3]) for row in rows])
            found |= dict(zip((row[0] for row in rows), took, strict=True))
    return found


@transaction.atomic
def fill_open_time() -> int:
    """Give runs and decisions that ended before their unit had a calendar, or before this was counted, their open time.

    By the calendars as they are now, the latest first, so many at once; their rollups follow. How many got one.
    """
    hold_projection()
    if not Calendar.objects.exists():
        return 0
    units = [unit for unit in BusinessUnit.objects.values_list("id", flat=True) if open_hours_of_unit(unit) is not None]
    runs, decisions = RunFact.objects.filter(finished_at__isnull=False), ApprovalFact.objects.filter(by_person=True)
    return _fill(runs.filter(unit__in=units), "business_ms", "started_at", "finished_at") + _fill(
        decisions.filter(unit__in=units), "open_ms", "requested_at", "decided_at"
    )


def _fill(rows: QuerySet[Any], column: str, start: str, end: str) -> int:
    """Fill ``column`` of these facts where it is empty, and the rollups of the days of their ``end``."""
    empty = rows.filter(**{column: None}).order_by(f"-{end}")
    facts = list(empty.only("pk", "unit", "workflow", start, end)[:FILLED_AT_ONCE])
    found = _open_time([(one.pk, one.unit, getattr(one, start), getattr(one, end)) for one in facts])
    for one in facts:
        setattr(one, column, found.get(one.pk))
    rows.model._default_manager.bulk_update(facts, [column], batch_size=1000)
    zone = reporting_zone()
    recompute_rollups(touched={(one.workflow, local_day(getattr(one, end), zone)) for one in facts})
    return len(found)
