"""The figures of now: read from the facts of open runs at the moment of asking."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Count, F, Func, Q, QuerySet, Value
from django.db.models.fields import DateTimeField

from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models import IncidentFact, RunFact
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.models.measures import PercentileCont
from apps.kpis.rules.definitions import AT_RISK, LIVE, PERCENTILES, Definition, percentile_name
from apps.kpis.rules.figures import Figures, figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.pending import pending_measures_for
from apps.kpis.selectors.reading import VIEW, incidents_for, runs_for

OLDEST = ("started_at", "run_id")
LONGEST = ("began_at", "id")

LATE: dict[str, Q] = {
    "open": Q(),
    "breached": Q(clock_ms__gt=F("sla_ms")),
    "at_risk": Q(clock_ms__gt=F("sla_ms") * AT_RISK, clock_ms__lte=F("sla_ms")),
}
"""Which open runs a live figure counts; without a target a run is neither late nor at risk."""


@dataclass(frozen=True, slots=True)
class Live:
    """The figures of one moment."""

    as_of: datetime
    figures: Figures


def live_for(actor: User, asked: KpiFilter) -> Live:
    """What is open now, within the filter but for its period."""
    now = database_now()
    counts: dict[str, Any] = {name: Count("run_id", filter=late) for name, late in LATE.items()}
    ages = PercentileCont("age_ms", fractions=PERCENTILES["age"])
    found = _open(actor, asked, now).order_by().aggregate(**counts, ages=ages)
    named = zip(PERCENTILES["age"], found.pop("ages") or (), strict=False)
    measures = found | {percentile_name("age", fraction): value for fraction, value in named}
    measures["unresolved"] = open_incidents_for(actor, asked).count()
    measures |= pending_measures_for(actor, asked, now)
    currency = reporting_currency()
    return Live(now, {key: figure_of(definition, measures, currency) for key, definition in LIVE.items()})


def open_runs_for(actor: User, definition: Definition, asked: KpiFilter) -> QuerySet[RunFact]:
    """The open runs behind a live figure."""
    return _open(actor, asked, database_now()).filter(LATE[definition.members])


def open_incidents_for(actor: User, asked: KpiFilter) -> QuerySet[IncidentFact]:
    """The incidents that nobody and nothing has put in order, whenever they began."""
    return incidents_for(actor, asked).filter(ended_at=None)


def _open(actor: User, asked: KpiFilter, now: datetime) -> QuerySet[RunFact]:
    """Open runs with their age, and with the time that counts towards their SLA: no pause does, over or not."""
    return _clocked(runs_for(actor, asked), now)


def breached_for(actor: User) -> int:
    """How many open runs that ``actor`` may see have used more than their SLA, whatever workflow they are of."""
    rows = visible(actor, VIEW, RunFact.objects.filter(simulated=False, superseded=False))
    return _clocked(rows, database_now()).filter(LATE["breached"]).count()


def late_runs_for(actor: User) -> dict[tuple[str, UUID | None], tuple[int, int]]:
    """By workflow and unit: open runs that have used more than their SLA, and all open ones; no simulated ones."""
    rows = visible(actor, VIEW, RunFact.objects.filter(simulated=False, superseded=False))
    counts = {"late": Count("run_id", filter=LATE["breached"]), "of": Count("run_id")}
    found = _clocked(rows, database_now()).order_by().values_list("workflow", "unit").annotate(**counts)
    return {(workflow, unit): (late, of) for workflow, unit, late, of in found}


def _clocked(rows: QuerySet[RunFact], now: datetime) -> QuerySet[RunFact]:
    moment = Value(now, output_field=DateTimeField())
    return (
        rows.filter(finished_at=None, started_at__lte=now)
        .annotate(age_ms=_ms(moment, F("started_at")))
        .annotate(standing_ms=_ms(moment, Func(F("paused_since"), moment, function="coalesce")))
        .annotate(clock_ms=F("age_ms") - F("standing_ms") - F("paused_ms"))
    )


def _ms(end: Any, start: Any) -> Func:
    """Whole milliseconds from one instant to another; never less than none."""
    return Func(
        end,
        start,
        template="greatest(0, extract(epoch FROM (%(expressions)s)) * 1000)::bigint",
        arg_joiner=" - ",
        output_field=BigIntegerField(),
    )
