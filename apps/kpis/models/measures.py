"""The measures, once in SQL: the same expressions make rollups, read facts, and choose the rows behind a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Aggregate,
    BigIntegerField,
    BinaryField,
    Count,
    DateTimeField,
    F,
    FloatField,
    Func,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce

from apps.kpis.rules.buckets import Period
from apps.kpis.rules.definitions import (
    ACTION_COUNTS,
    DECISION_COUNTS,
    HASTY_MS,
    HIGH,
    LOW,
    PERCENTILES,
    RUN_COUNTS,
    RUN_SUMS,
    STEP_SUMS,
    percentile_name,
)
from apps.kpis.rules.durations import Percentile

FINISHED = Q(state__in=["succeeded", "failed"])
JUDGED = Q(decided__isnull=False) | Q(reviewed__isnull=False) | Q(read_back__isnull=False)
NOT_WRONG = [Q(**{f"{by}__isnull": True}) | Q(**{by: True}) for by in ("decided", "reviewed", "read_back")]
ALONE = Q(alone=True)
BY_RULE = Q(by_person=True) & ~Q(rule="")

MEMBERS: Mapping[str, Q] = {
    "succeeded": Q(state="succeeded"),
    "failed": Q(state="failed"),
    "wrong": FINISHED & (Q(state="failed") | Q(mismatches__gt=0)),
    "cancelled": Q(state="cancelled"),
    "finished": FINISHED,
    "closed": Q(finished_at__isnull=False),
    "sla_due": FINISHED & Q(sla_met__isnull=False),
    "sla_met": FINISHED & Q(sla_met=True),
    "late": FINISHED & Q(sla_met=False),
    "no_touch": Q(state="succeeded", touches=0),
    "helped": Q(state="succeeded", touches__gt=0),
    "as_asked": Q(state="succeeded", touches__gt=0, amended=False, turned_down=False),
    "amended": Q(state="succeeded", amended=True, turned_down=False),
    "turned_down": Q(state="succeeded", turned_down=True),
    "given_up": Q(state="failed") | Q(state="succeeded", turned_down=True),
    "escalated": FINISHED & Q(escalated=True),
    "reworked": FINISHED & Q(reworked=True),
    "first_pass": FINISHED & Q(failed_attempts=0),
    "in_calendar": Q(state="succeeded", business_ms__isnull=False),
    "arrivals": Q(),
    "backlog": Q(),
    "cost_items": Q(),
    "decided": Q(by_person=True),
    "approved": Q(by_person=True, outcome="approved"),
    "edited": Q(by_person=True, edited=True),
    "overridden": Q(by_person=True, overridden=True),
    "expired": Q(outcome="expired"),
    "decided_in_calendar": Q(by_person=True, open_ms__isnull=False),
    "hasty": Q(by_person=True, latency_ms__lt=HASTY_MS),
    "asked_by_rule": BY_RULE,
    "judged": JUDGED,
    "judged_right": JUDGED & NOT_WRONG[0] & NOT_WRONG[1] & NOT_WRONG[2],
    "judged_by_decision": Q(decided__isnull=False),
    "right_by_decision": Q(decided=True),
    "judged_by_review": Q(reviewed__isnull=False),
    "right_by_review": Q(reviewed=True),
    "judged_by_reading": Q(read_back__isnull=False),
    "right_by_reading": Q(read_back=True),
    "judged_alone": ALONE & (Q(taken_back=True) | Q(reviewed__isnull=False) | Q(read_back__isnull=False)),
    "missed": ALONE & (Q(taken_back=True) | Q(reviewed=False) | Q(read_back=False)),
    "denied": Q(state="denied"),
    "acted": Q(),
    "acted_alone": ALONE,
    "incidents": Q(),
    "needless": BY_RULE & Q(outcome="approved", edited=False),
}
"""Which rows a measure counts. The drill-down lists exactly these."""


class PercentileCont(Aggregate):
    """PostgreSQL's exact percentiles (type 7), several at once: an array of floats."""

    function = "percentile_cont"
    name = "PercentileCont"
    template = "%(function)s(%(fractions)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    allow_distinct = False
    output_field = ArrayField(FloatField())

    def __init__(self, expression: str, *, fractions: Sequence[float], filter: Q | None = None) -> None:  # noqa: A002
        listed = ",".join(f"{float(fraction)!r}" for fraction in fractions)
        super().__init__(F(expression), filter=filter, fractions=f"ARRAY[{listed}]::float8[]")


class Joined(Aggregate):
    """Pieces of durations one after another."""

    function = "string_agg"
    template = "%(function)s(%(expressions)s, ''::bytea)"
    allow_distinct = False
    output_field = BinaryField()


class Written(Aggregate):
    """Durations as a piece (``rules.durations``)."""

    function = "string_agg"
    template = "%(function)s(int8send(%(expressions)s), ''::bytea)"
    allow_distinct = False
    output_field = BinaryField()


class Ranked(Written):
    """The same in ascending order: the same rows give the same bytes."""

    template = "%(function)s(int8send(%(expressions)s), ''::bytea ORDER BY %(expressions)s)"


class BucketIndex(Func):
    """Which of the periods that begin at these instants a moment falls into: 0 for the first."""

    function = "width_bucket"
    template = "%(function)s(%(expressions)s) - 1"
    output_field = IntegerField()

    def __init__(self, field: str, starts: Sequence[datetime]) -> None:
        super().__init__(F(field), Value(list(starts), output_field=ArrayField(DateTimeField())))


def _sum(field: Any, members: Q | None = None) -> Any:
    return Coalesce(Sum(field, filter=members), 0, output_field=BigIntegerField())


RUN_MEASURES: Mapping[str, Any] = {
    **{name: Count("run_id", filter=MEMBERS[name]) for name in RUN_COUNTS},
    **{name: _sum(name) for name in RUN_SUMS},
    "flow_ms": _sum(F("cycle_ms") - F("wait_ms"), MEMBERS["succeeded"]),
    "taken_ms": _sum("cycle_ms", MEMBERS["succeeded"]),
    **{name: _sum(name, MEMBERS["finished"]) for name in STEP_SUMS},
}
"""Over runs by the time at which they finished."""

ARRIVAL_MEASURES: Mapping[str, Any] = {"arrivals": Count("run_id")}
"""Over runs by the time at which they started."""

DECISION_MEASURES: Mapping[str, Any] = {name: Count("escalation_id", filter=MEMBERS[name]) for name in DECISION_COUNTS}
"""Over decisions by the time of the decision."""

ACTION_MEASURES: Mapping[str, Any] = {name: Count("action_id", filter=MEMBERS[name]) for name in ACTION_COUNTS}
"""Over actions by the time at which they ended."""

INCIDENT_MEASURES: Mapping[str, Any] = {"incidents": Count("id")}
"""Over incidents by the time at which they began."""

COST_MEASURES: Mapping[str, Any] = {"spend_micro": _sum("amount_micro"), "cost_items": Count("id")}
"""Over costs by the time at which they were incurred."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A measured duration: its column, whose rows count, the fractions that are shown."""

    name: str
    column: str
    members: Q
    fractions: tuple[float, ...]
    moment: str = "finished_at"


CYCLE = Duration("cycle", "cycle_ms", MEMBERS["succeeded"], PERCENTILES["cycle"])
LEAD = Duration("lead", "lead_ms", MEMBERS["succeeded"], PERCENTILES["lead"])
BUSINESS = Duration("business", "business_ms", MEMBERS["succeeded"], PERCENTILES["business"])
"""Runs without a calendar have no value, and a percentile passes them over."""
FAILED = Duration("failed_cycle", "cycle_ms", MEMBERS["failed"], PERCENTILES["failed_cycle"])
CANCELLED = Duration("cancelled_cycle", "cycle_ms", MEMBERS["cancelled"], PERCENTILES["cancelled_cycle"])
DECIDED = "decided_at"
"""The moment by which durations of decisions count; all others are of runs, by their end."""
LATENCY = Duration("latency", "latency_ms", MEMBERS["decided"], PERCENTILES["latency"], DECIDED)
OPEN_LATENCY = Duration("open_latency", "open_ms", MEMBERS["decided_in_calendar"], PERCENTILES["open_latency"], DECIDED)
DURATIONS = (CYCLE, LEAD, BUSINESS, FAILED, CANCELLED, LATENCY, OPEN_LATENCY)


def alike(durations: Sequence[Duration]) -> list[list[Duration]]:
    """Durations of the same rows together: they are read at once."""
    found: list[list[Duration]] = []
    for one in durations:
        same = next((some for some in found if (some[0].moment, some[0].members) == (one.moment, one.members)), None)
        if same is None:
            found.append([one])
        else:
            same.append(one)
    return found


def within(field: str, period: Period) -> Q:
    """The rows whose ``field`` lies in the period."""
    return Q(**{f"{field}__gte": period.start, f"{field}__lt": period.end})


def grouped(
    rows: QuerySet[Any], field: str, periods: Sequence[Period], measures: Mapping[str, Any], by: tuple[str, ...] = ()
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The measures of the rows in each of these adjoining periods: keys are (index of the period, *by)."""
    whole = Period(periods[0].start, periods[-1].end)
    index = BucketIndex(field, [period.start for period in periods])
    named = {f"m_{name}": one for name, one in measures.items()}
    found = rows.filter(within(field, whole)).order_by().annotate(at=index).values("at", *by).annotate(**named)
    return {(row["at"], *(row[name] for name in by)): {name: row[f"m_{name}"] for name in measures} for row in found}


def durations_in(
    rows: QuerySet[Any], field: str, periods: Sequence[Period], durations: Sequence[Duration], by: tuple[str, ...]
) -> dict[tuple[Any, ...], dict[str, bytes]]:
    """The durations of the rows in each of these adjoining periods, whole: keys are (index of the period, *by).

    ``durations`` share their members and their table.
    """
    named = {one.name: Written(one.column) for one in durations}
    return grouped(rows.filter(durations[0].members), field, periods, named, by) if durations else {}


def named_of(duration: Duration, found: Sequence[Percentile]) -> dict[str, float | None]:
    """``cycle_p90``, ``cycle_p90_low``, ``cycle_p90_high``: each fraction's value and interval by names of measures."""
    named: dict[str, float | None] = {}
    for fraction, one in zip(duration.fractions, found, strict=False):
        name = percentile_name(duration.name, fraction)
        named |= {name: one.value, f"{name}{LOW}": one.low, f"{name}{HIGH}": one.high}
    return named
