"""Rows behind a number, by name, as the API and files say them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from apps.audit.models import Entry
from apps.core.models import User
from apps.kpis.models import ActionFact, ApprovalFact, CallHour, CostItem, IncidentFact, KpiValue, MinuteSpell, RunFact
from apps.kpis.models.clock import database_now, reporting_currency
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.kpis import behind_for
from apps.oversight.models import Escalation

MOST = 100_000
"""So many rows of a file at most, which says where there are more."""
AT_ONCE = 2_000
UNIX = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING: dict[type[Model], dict[str, Any]] = {
    ApprovalFact: {"latency_ms": 0},
    CallHour: {"calls": 0, "answered": 0},
    MinuteSpell: {"since": UNIX, "until": UNIX},
}
"""What is computed with when a row is told."""


def rows_csv_for(actor: User, definition: Definition, asked: KpiFilter) -> Iterator[Iterable[Any]]:
    """What is behind a number, row by row, below lines that say what it is; raw values, times in UTC.

    The last line says how many rows there are: a file without it broke off.
    Raises what ``behind_for`` raises, before the first row is asked for.
    """
    rows, order = behind_for(actor, definition, asked)
    every: QuerySet[Any] = rows.order_by(*order)
    said = [
        ("filter", asked.query),
        ("zone", asked.zone.key),
        ("as of", database_now().isoformat()),
        ("currency", reporting_currency()),
        (_(definition.label), _(definition.formula)),
    ]
    return chain(([f"# {name}: {value}"] for name, value in said), _told(every))


def _told(every: QuerySet[Any]) -> Iterator[Iterable[Any]]:
    names, count = _columns(every.model), 0
    yield names
    for row in every[: MOST + 1].iterator(chunk_size=AT_ONCE):
        if count == MOST:
            yield [f"# There are more: these are the first {MOST}. Ask for a shorter period."]
            break
        told, count = row_told(row), count + 1
        yield [_cell(told[name]) for name in names]
    yield [f"# end: {count} rows"]


def _columns(model: type[Model]) -> list[str]:
    """What ``row_told`` calls the columns of such rows, where there is none to ask, too."""
    if model is Entry:
        return list(_release({"workflow": "", "number": 0}, UNIX))
    row = model(**NOTHING.get(model, {}))
    if isinstance(row, Escalation):
        vars(row).update(run_id=None, workflow="", simulated=False)  # what the list finds of its run
    return list(row_told(row))


def _cell(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def row_told(row: Any) -> dict[str, Any]:
    """A row behind a number by name: its places in the API's answer and in a file."""
    if isinstance(row, Entry):
        return _release(row.payload, row.occurred_at)
    return _unrelied(row) if isinstance(row, MinuteSpell | CallHour) else _fact(row)


def _unrelied(row: MinuteSpell | CallHour) -> dict[str, Any]:
    """When something was down, or not observed: of no run."""
    found = {"run": None, "workflow": "", "simulated": False, "about": row.slug}
    if isinstance(row, CallHour):
        return {**found, "began_at": row.hour, "calls": row.calls, "in_trouble": row.troubled}
    told = {"kind": row.thing, "state": row.condition, "outcome": row.cause}
    took = (row.until - row.since).total_seconds()
    return {**found, **told, "began_at": row.since, "ended_at": row.until, "took_s": took}


def _release(payload: dict[str, Any], at: datetime) -> dict[str, Any]:
    """A version that came into force: of no run."""
    named = {"workflow": payload["workflow"], "version": payload["number"], "began_at": at}
    return {"run": None, "simulated": False, **named}


def _fact(row: Any) -> dict[str, Any]:
    """A fact."""
    found = {"run": row.run_id, "workflow": row.workflow, "simulated": row.simulated}
    if isinstance(row, RunFact):
        plain = {name: getattr(row, name) for name in ("version", "key", "state", "outcome", "touches")}
        times = {"started_at": row.started_at, "finished_at": row.finished_at}
        cycle = None if row.cycle_ms is None else row.cycle_ms / 1000
        return {**found, **plain, **times, "cycle_time_s": cycle, "cost_minor": row.cost_minor}
    if isinstance(row, ApprovalFact | Escalation):
        return found | _decision(row)
    if isinstance(row, ActionFact):
        judged = ("decided", "reviewed", "read_back", "taken_back", "alone")
        named = {name: getattr(row, name) for name in ("agent", "operation", "state", "ended_at", *judged)}
        return {**found, "action": row.action_id, **named}
    if isinstance(row, IncidentFact):
        named = {name: getattr(row, name) for name in ("kind", "about", "agent", "began_at", "ended_at", "currency")}
        return {**found, "action": row.action_id, **named, "amount_minor": row.amount_minor, "took_s": row.took_s}
    if isinstance(row, KpiValue):
        return {**found, "value": row.value, "fault": row.fault, "finished_at": row.finished_at}
    assert isinstance(row, CostItem)
    named = {name: getattr(row, name) for name in ("kind", "incurred_at", "priced_by", "is_estimated", "currency")}
    return {**found, **named, "amount_minor": row.amount_minor}


def _decision(row: ApprovalFact | Escalation) -> dict[str, Any]:
    if isinstance(row, Escalation):
        return {"escalation": row.pk, "kind": row.kind, "requested_at": row.created_at}
    named = {name: getattr(row, name) for name in ("kind", "outcome", "requested_at", "decided_at", "edited")}
    return {"escalation": row.escalation_id, **named, "latency_s": row.latency_s, "open_s": row.open_s}
