"""What monitoring reads: counted for all units that ``actor`` may see, simulated runs and drills left out."""

from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Count, F, Func, IntegerField, Min, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from apps.agents.rules import Environment
from apps.audit.selectors import lag_s_for, outbox_rows_for
from apps.core.gate import visible
from apps.core.models import User, database_now
from apps.kpis.models import CostItem, RollupDay, RunFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.models.measures import CYCLE
from apps.kpis.rules.buckets import local_day, local_midnight
from apps.kpis.rules.costs import CostKind, PricedBy
from apps.kpis.rules.exposition import BOUNDS_S, STATUSES, Durations, Ended, RunCounts, Standing
from apps.kpis.selectors.live import breached_for
from apps.kpis.selectors.reading import VIEW
from apps.oversight.models import Escalation
from apps.oversight.rules import EscalationState, Kind
from apps.telemetry.models import SpanCount
from apps.workflows.models import Run, Workflow
from apps.workflows.rules.states import RUN_FINAL


class BoundIndex(Func):
    """Into which bucket a duration in milliseconds falls: 0 for the first; a bound belongs to the bucket it ends."""

    function = "width_bucket"
    output_field = IntegerField()

    def __init__(self, field: str) -> None:
        bounds = Value([bound * 1000 for bound in BOUNDS_S], output_field=ArrayField(BigIntegerField()))
        super().__init__(F(field) - 1, bounds)


def ended_for(actor: User, *, since: datetime | None = None, until: datetime | None = None) -> Ended:
    """What ended from ``since`` (included) until ``until`` (not included); without them, ever."""
    rows: QuerySet[Any] = visible(actor, VIEW, RunFact.objects.filter(simulated=False, superseded=False)).order_by()
    over = rows.filter(_between("finished_at", since, until), finished_at__isnull=False)
    counted = _by_status(actor, over, since, until)
    runs: RunCounts = {(name, status): 0 for name, _ in counted for status in STATUSES} | counted
    return Ended(runs, _durations(over), _costs(actor, _between("incurred_at", since, until)))


def _by_status(actor: User, over: QuerySet[Any], since: datetime | None, until: datetime | None) -> RunCounts:
    """How many ended how: of days that are over from their rollups where everything is asked for, else from facts."""
    found: RunCounts = {}
    if since is None:
        zone = reporting_zone()
        day = local_day(until or database_now(), zone)
        days: QuerySet[Any] = visible(actor, VIEW, RollupDay.objects.filter(simulated=False, day__lt=day)).order_by()
        for row in days.values("workflow").annotate(**{f"n_{name}": Sum(name) for name in STATUSES}):
            found |= {(row["workflow"], name): n for name in STATUSES if (n := row[f"n_{name}"])}
        over = over.filter(finished_at__gte=local_midnight(day, zone))
    for name, status, n in over.values_list("workflow", "state").annotate(n=Count("pk")):
        found[name, status] = found.get((name, status), 0) + n
    return found


def _durations(over: QuerySet[Any]) -> Durations:
    found: Durations = {}
    measured = over.filter(CYCLE.members, cycle_ms__isnull=False).annotate(slot=BoundIndex("cycle_ms"))
    slots = measured.values_list("workflow", "slot").annotate(n=Count("pk"), ms=Sum("cycle_ms"))
    for name, slot, count, total in slots:
        counts, total_ms = found.get(name, ([0] * (len(BOUNDS_S) + 1), 0))
        counts[slot] += count
        found[name] = (counts, total_ms + int(total))
    return found


def _costs(actor: User, within: Q) -> dict[str, int]:
    rows = visible(actor, VIEW, CostItem.objects.filter(within, simulated=False)).order_by()
    spent = dict(rows.values_list("kind").annotate(total=Sum("amount_micro")))
    return {kind.value: int(spent.get(kind, 0)) for kind in CostKind}


def _between(field: str, since: datetime | None, until: datetime | None) -> Q:
    ends = {f"{field}__gte": since, f"{field}__lt": until}
    return Q(**{name: moment for name, moment in ends.items() if moment is not None})


def standing_for(actor: User) -> Standing:
    """What stands now, from the tables where work happens."""
    items = visible(actor, VIEW, Escalation.objects.filter(state=EscalationState.PENDING)).exclude(kind=Kind.REVIEW)
    items = items.exclude(action__environment=Environment.TEST)
    waiting = items.aggregate(n=Count("pk"), oldest=Min("created_at"))
    begun = Run.objects.filter(simulated=False, started_at__isnull=False)  # as on dashboards, not what stands in line
    open_runs = visible(actor, VIEW, begun).exclude(state__in=RUN_FINAL).order_by()
    workflows = visible(actor, VIEW, Workflow.objects.filter(retired_at=None))
    backlog = dict.fromkeys(workflows.values_list("slug", flat=True), 0)
    backlog |= dict(open_runs.values_list("workflow__slug").annotate(n=Count("pk")))
    unpriced = visible(
        actor, VIEW, CostItem.objects.filter(kind=CostKind.LLM, priced_by=PricedBy.UNPRICED, simulated=False)
    )
    return Standing(
        backlog=backlog,
        approvals_pending=waiting["n"],
        approval_oldest_s=(database_now() - waiting["oldest"]).total_seconds() if waiting["oldest"] else 0.0,
        sla_breached_open=breached_for(actor),
        rollup_lag_s=lag_s_for(actor, "kpis"),
        outbox_rows=outbox_rows_for(actor),
        spans_rejected=_sum(visible(actor, VIEW, SpanCount.objects.all()), "rejected"),
        tokens_unpriced=_sum(unpriced, "quantity"),
    )


def _sum(rows: QuerySet[Any], field: str) -> int:
    return int(rows.aggregate(total=Coalesce(Sum(field), 0, output_field=BigIntegerField()))["total"])
