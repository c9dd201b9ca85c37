"""Finding hours that are out of line, telling of what is worth a look, and being told no more of it for a while."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Anomaly, RunFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import ARRIVAL_MEASURES, MEMBERS, BucketIndex, within
from apps.kpis.rules.anomalies import HOUR, Hour, Sign, is_told, last_whole_hour, same_hours, signs_of
from apps.kpis.rules.buckets import Period
from apps.kpis.selectors.kpis import lag_s_for
from apps.kpis.services.goals import MANAGE
from apps.workflows.models import Workflow

SETTLED = timedelta(minutes=10)
"""So long after its end an hour is judged: what ended in it is counted by then, or the figures are late."""
MUTED_DAYS = 90

ENDED = {name: Count("run_id", filter=MEMBERS[name]) for name in ("finished", "wrong")}

type Counted = Mapping[str, Mapping[int, Hour]]


def find_anomalies() -> int:
    """Judge the newest hour that is over of every workflow; how many anomalies began in it.

    Nothing while the figures are late: what is not counted yet would look as if it had not happened.
    """
    now = database_now()
    if lag_s_for(system_user("metrics"), now) > SETTLED.total_seconds():
        return 0
    start = last_whole_hour(now, SETTLED)
    hours = [[moment, *same_hours(moment, reporting_zone())] for moment in (start, start - HOUR)]
    counted = _counted([moment for row in hours for moment in row])
    begun = 0
    for workflow in Workflow.objects.filter(slug__in=list(counted), retired_at=None):
        signs, before = (
            _signs(workflow, row, counted[workflow.slug], first)
            for row, first in zip(hours, (0, len(hours[0])), strict=True)
        )
        begun += sum(_note(workflow, sign, start, before) for sign in signs)
    return begun


def _counted(starts: list[datetime | None]) -> Counted:
    """What happened in each of these hours, workflow by workflow, by the measures that every figure is made of."""
    place_of = {start: place for place, start in enumerate(starts) if start is not None}
    found: dict[str, dict[int, dict[str, int]]] = {}
    for field, measures in (("finished_at", ENDED), ("started_at", ARRIVAL_MEASURES)):
        for row in _rows_by_hour(field, list(place_of), measures):
            hours = found.setdefault(row.pop("workflow"), {})
            hours.setdefault(place_of[row.pop("start")], {}).update(row)
    return {workflow: {place: _hour_of(row) for place, row in hours.items()} for workflow, hours in found.items()}


def _rows_by_hour(field: str, starts: list[datetime], measures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One statement for a handful of hours, each found by the index on time."""
    edges = sorted({edge for start in starts for edge in (start, start + HOUR)})
    wanted = reduce(or_, (within(field, Period(start, start + HOUR)) for start in starts))
    rows = RunFact.objects.filter(wanted, simulated=False, superseded=False).exclude(workflow="").order_by()
    by_hour: QuerySet[Any, Any] = rows.annotate(at=BucketIndex(field, edges)).values("workflow", "at")
    return [{"start": edges[row["at"]], **row} for row in by_hour.annotate(**measures)]


def _hour_of(row: Mapping[str, int]) -> Hour:
    return Hour(row.get("arrivals", 0), row.get("finished", 0), row.get("wrong", 0))


def _signs(workflow: Workflow, starts: list[datetime | None], counted: Mapping[int, Hour], first: int) -> list[Sign]:
    """``starts``: an hour and the same in the weeks before; those in which there was no workflow yet say nothing."""
    past = [
        counted.get(first + place, Hour())
        for place, start in enumerate(starts)
        if place and start is not None and start >= workflow.created_at
    ]
    return signs_of(counted.get(first, Hour()), past)


@transaction.atomic
def _note(workflow: Workflow, sign: Sign, start: datetime, before: list[Sign]) -> bool:
    """Go on with what lasts since the hour before, else begin it if it is to be told; whether it began."""
    Workflow.objects.select_for_update(no_key=True).get(pk=workflow.pk)
    like = Anomaly.objects.filter(workflow=workflow, kind=sign.kind)
    here = like.filter(unit=workflow.unit_id)  # a workflow that moved leaves what was found behind
    told: dict[str, Any] = {"count": sign.count, "of": sign.of, "expected": sign.expected, "chance": sign.chance}
    lasting = here.filter(until__gte=start).order_by("-until").first()
    if lasting is not None:
        here.filter(pk=lasting.pk).update(until=max(lasting.until, start + HOUR), **told)
        return False
    if not is_told(sign, before):
        return False
    lasts = any(one.kind == sign.kind for one in before) and not like.filter(began_at=start - HOUR).exists()
    began_at = start - HOUR if lasts else start
    begin(Anomaly(workflow=workflow, kind=sign.kind, began_at=began_at, until=start + HOUR, **told))
    return True


def begin(found: Anomaly) -> None:
    """Write it down, in its workflow's unit of now, with the entry by which the owner is told unless it is muted."""
    workflow = found.workflow
    found.unit = workflow.unit_id
    found.save(force_insert=True)
    like = Anomaly.objects.filter(workflow=workflow, kind=found.kind, figure=found.figure)
    name = "workflow.unusual_unsaid" if like.filter(muted_until__gt=database_now()).exists() else "workflow.unusual"
    payload = {"kind": found.kind, "started_at": found.began_at, "until": found.until, "items": found.count}
    record(system_user("plane"), workflow, name, payload=payload | ({"kpi": found.figure} if found.figure else {}))


@transaction.atomic
def mute_anomaly(actor: User, *, anomaly: Anomaly, until: datetime, reason: str) -> Anomaly:
    """Tell nobody of the like of it until then, by whoever sets targets there. It is found and listed all the same.

    Raises InvalidError without a reason, and for a time that is over or more than 90 days away.
    """
    require_manager(actor, anomaly.workflow.unit, MANAGE)
    now, errors = database_now(), dict[str, list[str]]()
    if not reason.strip():
        errors["reason"] = [_("Say why.")]
    if not now < until <= now + timedelta(days=MUTED_DAYS):
        errors["until"] = [_("A day from tomorrow on, at most %(days)s days from now.") % {"days": MUTED_DAYS}]
    if errors:
        raise InvalidError(errors=errors)
    row = Anomaly.objects.select_for_update(of=("self",)).get(pk=anomaly.pk)
    row.muted_until, row.muted_by, row.mute_reason = until, actor, reason.strip()[:500]
    row.save(update_fields=["muted_until", "muted_by", "mute_reason"])
    told = {"kind": row.kind, "until": until, "reason": row.mute_reason} | ({"kpi": row.figure} if row.figure else {})
    record(actor, anomaly.workflow, "workflow.unusual_muted", payload=told)
    return row


@transaction.atomic
def unmute_anomaly(actor: User, *, anomaly: Anomaly) -> int:
    """Tell of the like of it again; how many mutes ended, none where there was none."""
    require_manager(actor, anomaly.workflow.unit, MANAGE)
    like = {"workflow": anomaly.workflow, "kind": anomaly.kind, "figure": anomaly.figure}
    ended = Anomaly.objects.filter(**like, muted_until__gt=database_now()).update(
        muted_until=None, muted_by=None, mute_reason=""
    )
    if ended:
        told = {"kind": anomaly.kind} | ({"kpi": anomaly.figure} if anomaly.figure else {})
        record(actor, anomaly.workflow, "workflow.unusual_unmuted", payload=told)
    return ended
