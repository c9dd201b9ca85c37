"""Durations of days that are over, written down once: what percentiles over long periods are read from."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import TruncDate

from apps.kpis.models import ApprovalFact, DurationDay, RollupDay, RunFact, first_unkept_day
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import DECIDED, DURATIONS, Ranked, alike
from apps.kpis.rules.buckets import day_period, local_day
from apps.kpis.services.locks import hold_projection

AT_ONCE = 31
"""So many days are written down in one transaction."""
BATCH = 1000

type Key = tuple[date, str, int, Any, bool]
type Kept = Mapping[Key, Mapping[str, bytes]]


def keep_durations(*, now: datetime | None = None) -> int:
    """Write down the days that are over and are not yet, the oldest first; how many days."""
    today, count = local_day(now or database_now(), reporting_zone()), 0
    while found := _keep(today):
        count += found
    return count


@transaction.atomic
def _keep(today: date) -> int:
    hold_projection()
    told = Q(succeeded__gt=0) | Q(failed__gt=0) | Q(cancelled__gt=0) | Q(decided__gt=0)
    over = RollupDay.objects.filter(told, day__gte=first_unkept_day(), day__lt=today)
    days = sorted(over.order_by("day").values_list("day", flat=True).distinct()[:AT_ONCE])
    if days:
        _write(found := computed_durations(sorted(_workflows(days)), days))
        days = [day for day in days if found and day <= max(key[0] for key in found)]
    return len(days)  # none where rollups count what no fact tells: the nightly reconcile mends those


def recompute_durations(*, workflows: Sequence[str], days: Sequence[date]) -> None:
    """Write what the facts say of these workflows on these days, as far as they are kept.

    Callers hold the projection's lock.
    """
    first = first_unkept_day()
    if not (over := [day for day in days if day < first]):
        return
    found = computed_durations(workflows, over)
    kept = DurationDay.objects.filter(workflow__in=workflows, day__in=over)
    kept.exclude(pk__in=[pk for key, pk in _keys(kept) if key in found]).delete()
    _write(found)


def wrong_durations(days: Sequence[date]) -> set[Key]:
    """Of which something else is kept than the facts say."""
    first = first_unkept_day()
    if not (over := [day for day in days if day < first]):
        return set()
    rows = DurationDay.objects.filter(day__in=over)
    workflows = {*rows.values_list("workflow", flat=True), *_workflows(over)}
    found, kept = computed_durations(sorted(workflows), over), _kept(rows)
    return {key for key in found.keys() | kept.keys() if found.get(key) != kept.get(key)}


def _workflows(days: Sequence[date]) -> Iterable[str]:
    return RollupDay.objects.filter(day__in=days).order_by().values_list("workflow", flat=True).distinct()


def _kept(rows: QuerySet[DurationDay]) -> Kept:
    names = [one.name for one in DURATIONS]
    return {
        (row.day, row.workflow, row.version, row.unit, row.simulated): {
            name: bytes(value) for name in names if (value := getattr(row, name))
        }
        for row in rows
    }


def computed_durations(workflows: Sequence[str], days: Sequence[date]) -> Kept:
    """What the facts say of these workflows on these days: no key without a duration."""
    found: dict[Key, dict[str, bytes]] = defaultdict(dict)
    runs: QuerySet[Any] = RunFact.objects.filter(superseded=False)
    zone = reporting_zone()
    whole = day_period(min(days), max(days), zone)
    for durations in alike(DURATIONS):
        moment = durations[0].moment
        rows: QuerySet[Any] = ApprovalFact.objects.all() if moment == DECIDED else runs
        within = {f"{moment}__gte": whole.start, f"{moment}__lt": whole.end, "workflow__in": workflows}
        dated = rows.filter(durations[0].members, **within).annotate(day=TruncDate(moment, tzinfo=zone))
        named = {f"d_{one.name}": Ranked(one.column) for one in durations}
        by = ("day", "workflow", "version", "unit", "simulated")
        for row in dated.filter(day__in=days).order_by().values(*by).annotate(**named):
            written = {one.name: bytes(value) for one in durations if (value := row[f"d_{one.name}"])}
            if written:
                found[row["day"], row["workflow"], row["version"], row["unit"], row["simulated"]] |= written
    return found


def _keys(rows: QuerySet[DurationDay]) -> Iterable[tuple[Key, int]]:
    for day, workflow, version, unit, simulated, pk in rows.values_list(
        "day", "workflow", "version", "unit", "simulated", "pk"
    ):
        yield (day, workflow, version, unit, simulated), pk


def _write(found: Kept) -> None:
    DurationDay.objects.bulk_create(
        [
            DurationDay(day=day, workflow=workflow, version=version, unit=unit, simulated=simulated, **written)
            for (day, workflow, version, unit, simulated), written in found.items()
        ],
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["day", "workflow", "version", "unit", "simulated"],
        update_fields=[one.name for one in DURATIONS],
    )
