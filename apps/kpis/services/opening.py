"""How much of a run was open time, by the calendar of its unit."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from apps.access.models import BusinessUnit, Calendar
from apps.access.selectors import open_hours_of_unit
from apps.kpis.models import RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.rules.buckets import local_day
from apps.kpis.rules.facts import RunSeen
from apps.kpis.rules.opening import Interval, open_ms_of
from apps.kpis.services.locks import hold_projection
from apps.kpis.services.rollups import recompute_rollups

FILLED_AT_ONCE = 20_000


def open_time_of(runs: Sequence[RunSeen]) -> dict[UUID, int]:
    """Milliseconds of open time from start to end, for runs that ended in a unit with a calendar."""
    return _open_time([(run.run_id, run.unit_id, run.started_at, run.finished_at) for run in runs if run.finished_at])


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
    """Give runs that ended before their unit had a calendar, or before this was counted, their open time; how many.

    By the calendars as they are now, the latest runs first, so many at once; their rollups follow.
    """
    hold_projection()
    if not Calendar.objects.exists():
        return 0
    units = [unit for unit in BusinessUnit.objects.values_list("id", flat=True) if open_hours_of_unit(unit) is not None]
    rows = RunFact.objects.filter(business_ms=None, finished_at__isnull=False, unit__in=units).order_by("-finished_at")
    runs = list(rows.only("run_id", "unit", "started_at", "finished_at", "workflow")[:FILLED_AT_ONCE])
    found = _open_time([(run.run_id, run.unit, run.started_at, run.finished_at) for run in runs if run.finished_at])
    for run in runs:
        run.business_ms = found.get(run.run_id)
    RunFact.objects.bulk_update(runs, ["business_ms"], batch_size=1000)
    zone = reporting_zone()
    recompute_rollups(touched={(run.workflow, local_day(run.finished_at, zone)) for run in runs if run.finished_at})
    return len(found)
