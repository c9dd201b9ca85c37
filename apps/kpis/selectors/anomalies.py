"""What is worth a look, in words, with the runs behind it: hours out of line, targets, SLAs and backlogs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import unit_ids_below
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now, reporting_currency, reporting_zone
from apps.kpis.rules.anomalies import OF_HOURS, SENTENCES, Unusual
from apps.kpis.rules.buckets import DAY, BucketSize, Period, day_period, local_day
from apps.kpis.rules.definitions import Definition
from apps.kpis.rules.figures import value_text
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import count_text
from apps.kpis.rules.weeks import week_of
from apps.kpis.selectors.definitions import definitions_for
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.goals import INSTANT
from apps.kpis.selectors.misses import week_asked
from apps.kpis.selectors.reading import VIEW

SHOWN_DAYS, RECENT = 60, timedelta(hours=24)
MOST = 200
BEHIND = {
    Unusual.FAILURES: "error_rate",
    Unusual.MORE: "arrivals",
    Unusual.FEWER: "arrivals",
    Unusual.SLA: "breached_open",
    Unusual.BACKLOG: "backlog",
}
LATE_AFTER_ALL = "sla_breaches"
"""What lists runs past their SLA once none of them is open."""


@dataclass(frozen=True, slots=True)
class AnomalySeen:
    """One of it in words; ``muted``: nobody is told of the like of it now."""

    row: Anomaly
    sentence: str
    href: str
    muted: bool


def anomalies_for(actor: User, workflow: str = "", kinds: Collection[Unusual] = tuple(Unusual)) -> list[AnomalySeen]:
    """What goes on, then what was found in 60 days, the newest first; of one workflow, or of all.

    Raises NotAllowedError for who may see no figures anywhere.
    """
    require(actor, VIEW)
    rows = _lately(actor, database_now() - timedelta(days=SHOWN_DAYS), workflow).filter(kind__in=kinds)
    return _seen(actor, rows)


def recent_anomalies_for(actor: User, asked: KpiFilter) -> list[AnomalySeen]:
    """What is worth a look now: it goes on or is of the last 24 hours, and is not muted.

    Of one workflow or of all, of a unit with all below it or of any. Of an agent or a version nothing is judged.
    """
    require(actor, VIEW)
    if asked.agent or asked.version is not None:
        return []
    rows = _lately(actor, database_now() - RECENT, asked.workflow).filter(is_hushed=False)
    if asked.unit:
        rows = rows.filter(unit__in=unit_ids_below(asked.unit))
    return _seen(actor, rows)


def anomaly_seen_for(actor: User, anomaly_id: UUID) -> AnomalySeen:
    """The one that ``actor`` may see, in words, however long ago it was. Raises NotFoundError."""
    found = _seen(actor, _all(actor).filter(pk=anomaly_id))
    if not found:
        raise NotFoundError
    return found[0]


def _all(actor: User) -> "QuerySet[Any, Any]":
    """All that ``actor`` may see; ``is_hushed``: nobody is told of the like of it now."""
    like = {name: OuterRef(name) for name in ("workflow", "kind", "figure")}
    muting = visible(actor, VIEW, Anomaly.objects.filter(muted_until__gt=database_now()))
    return visible(actor, VIEW, Anomaly.objects.all()).annotate(is_hushed=Exists(muting.filter(**like)))


def _lately(actor: User, since: datetime, workflow: str) -> "QuerySet[Any, Any]":
    """What goes on, or went on since then."""
    rows = _all(actor).filter(Q(until__gte=since) | Q(is_open=True))
    return rows.filter(workflow__slug=workflow) if workflow else rows


def _seen(actor: User, rows: "QuerySet[Any, Any]") -> list[AnomalySeen]:
    found = list(rows.select_related("workflow", "muted_by").order_by("-is_open", "-until", "-id")[:MOST])
    known = definitions_for(actor) if any(row.figure for row in found) else {}
    units = dict[UUID | None, str](
        BusinessUnit.objects.filter(pk__in={row.unit for row in found}).values_list("pk", "slug")
    )
    return [
        AnomalySeen(
            row, _sentence(row, known), page_of_kpi(*_behind(row, units.get(row.unit, ""))), bool(row.is_hushed)
        )
        for row in found
    ]


def anomaly_for(actor: User, anomaly_id: UUID) -> Anomaly:
    """The one that ``actor`` may see. Raises NotFoundError."""
    rows = visible(actor, VIEW, Anomaly.objects.filter(pk=anomaly_id))
    found = rows.select_related("workflow__unit").first()
    if found is None:
        raise NotFoundError
    return found


def _sentence(row: Anomaly, known: Mapping[str, Definition]) -> str:
    values = {"count": count_text(row.count), "of": count_text(row.of), "expected": count_text(round(row.expected, 1))}
    if row.kind == Unusual.TARGET:
        values |= _of_target(row, known.get(row.figure))
    return _(SENTENCES[Unusual(row.kind)]) % values


def _of_target(row: Anomaly, definition: Definition | None) -> dict[str, str]:
    """The week, and both values in the figure's own words; of a figure that is there no more, as they are."""
    week = {"week": str(week_of(local_day(row.until - INSTANT, reporting_zone())))}
    if definition is None:
        return week | {"kpi": row.figure, "value": count_text(row.value), "expected": count_text(row.expected)}
    texts = [_held_text(definition, value) for value in (row.value, row.expected)]
    return week | {"kpi": _(definition.label), "value": texts[0], "expected": texts[1]}


def _held_text(definition: Definition, value: float | None) -> str:
    """What is held against a target, and the target: counts and sums by the day."""
    if not definition.per_day:
        return value_text(definition, value, reporting_currency())
    text = value_text(definition, None if value is None else round(value, 1), reporting_currency())
    return _("%(value)s a day") % {"value": text}


def _behind(row: Anomaly, unit: str) -> tuple[KpiFilter, str]:
    """Which runs it is about: those of that time, of a target or a backlog of its last week or day; of its unit."""
    zone, kind = reporting_zone(), Unusual(row.kind)
    last = local_day(row.until - INSTANT, zone)
    if kind in OF_HOURS:
        period = Period(row.began_at, row.until)
        return KpiFilter(period=period, zone=zone, size=BucketSize.HOUR, workflow=row.workflow.slug), BEHIND[kind]
    asked = replace(week_asked(week_of(last)), workflow=row.workflow.slug, unit=unit)
    if kind == Unusual.TARGET:
        return asked, row.figure
    if kind == Unusual.BACKLOG:
        return asked.within(day_period(last, last, zone)), BEHIND[kind]
    since = local_day(row.began_at, zone)
    of_now = BEHIND[kind] if row.is_open else LATE_AFTER_ALL
    return asked.within(day_period(since, max(since, local_day(row.until + DAY / 24, zone)), zone)), of_now
