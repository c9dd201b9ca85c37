"""The cases behind the figures of an event log, for who may see the log."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import CharField, F, Func, IntegerField, Sum, Value
from django.db.models.functions import Coalesce
from django.db.models.query import QuerySet

from apps.core.models import User
from apps.kpis.models import EventLog, LogCase
from apps.kpis.rules.eventlogs import CasePart, CasesAsked
from apps.kpis.selectors.logs import event_log_for

ORDER = ("-cycle_s", "id")
"""The longest first."""
COLUMNS = ("case", "first_at", "last_at", "cycle_s", "events", "handovers", "worked_on_again", "cost", "times", "way")


class _Times(Func):
    """How often a value stands in an array."""

    template = "coalesce(cardinality(array_positions(%(expressions)s)), 0)"
    output_field = IntegerField()


class _Last(Func):
    """The last element of an array."""

    template = "(%(expressions)s)[cardinality(%(expressions)s)]"
    output_field = CharField()


class _Follows(Func):
    """How often a pair of values stands in an array, one right after the other."""

    template = "(SELECT count(*) FROM (SELECT one, lead(one) OVER (ORDER BY place) AS two FROM unnest(%(expressions)s)"
    arg_joiner = ") WITH ORDINALITY AS done (one, place)) AS pair WHERE (one, two) = "
    output_field = IntegerField()


def cases_for(actor: User, log_id: UUID, asked: CasesAsked) -> tuple[EventLog, QuerySet[LogCase]]:
    """The log, and those of its cases that are asked for, each with ``times``: for how many it counts there.

    Their number is the number that the log shows, or the sum of ``times`` is where it counts events. Raises
    NotFoundError.
    """
    log = event_log_for(actor, log_id)
    rows = LogCase.objects.filter(log=log).annotate(times=_times(asked))
    fits: dict[CasePart, dict[str, Any]] = {
        CasePart.ALL: {},
        CasePart.REWORKED: {"reworked": True},
        CasePart.COST: {"cost__isnull": False},
        CasePart.VARIANT: {"way": asked.name},
        CasePart.WEEK: {"week": asked.name},
        CasePart.FIRST: {"did__0": asked.name},
        CasePart.LAST: {"ending": asked.name},
        CasePart.ATTRIBUTE: {"told__contains": {asked.key: asked.name}},
    }
    ended = rows.annotate(ending=_Last(F("did")))
    if asked.part == CasePart.ATTRIBUTE and not asked.name:
        return log, ended.exclude(told__has_key=asked.key)
    return log, ended.filter(**fits.get(asked.part, {"times__gt": 0}))


def _times(asked: CasesAsked) -> Any:
    if asked.part == CasePart.HANDOVERS:
        return F("handovers")
    if asked.part in (CasePart.ACTIVITY, CasePart.RESOURCE):
        return _Times(F("did" if asked.part == CasePart.ACTIVITY else "by"), Value(asked.name))
    if asked.part == CasePart.FOLLOWS:
        return _Follows(F("did"), Func(Value(asked.before), Value(asked.name), function="ROW"))
    return Value(1)


def count_of(rows: QuerySet[LogCase]) -> tuple[int, int]:
    """How many cases they are, and for how many they count together."""
    found = rows.aggregate(total=Coalesce(Sum("times"), 0))
    return rows.count(), found["total"]


def columns_of(log: EventLog) -> list[str]:
    """What a table of cases says: of each the same, and what is kept of this log's."""
    return [*COLUMNS, *(f"case_{name}" if name in COLUMNS else name for name in log.attributes)]


def case_rows(log: EventLog, rows: QuerySet[Any]) -> Iterator[list[str | int | float | None]]:
    """All of them as lines of a table, read as they are taken."""
    kept = log.attributes
    for case in rows.order_by(*ORDER).iterator(2000):
        yield [
            case.name,
            case.first_at.isoformat(),
            case.last_at.isoformat(),
            case.cycle_s,
            len(case.did),
            case.handovers,
            "yes" if case.reworked else "no",
            None if case.cost is None else f"{case.cost.normalize():f}",
            case.times,
            " > ".join(case.did),
            *(case.told.get(name, "") for name in kept),
        ]
