"""Finding hours that are out of line, and being told no more of them for a while."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Anomaly
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.anomalies import HOUR, Hour, Sign, is_told, last_whole_hour, same_hours, signs_of
from apps.kpis.selectors.kpis import lag_s_for
from apps.kpis.services.goals import MANAGE
from apps.workflows.models import Workflow

SETTLED = timedelta(minutes=10)
"""So long after its end an hour is judged: what ended in it is counted by then, or the figures are late."""
MUTED_DAYS = 90

COUNT = """
WITH hour AS (SELECT at, start FROM unnest(%(places)s::int[], %(starts)s::timestamptz[]) AS wanted (at, start)),
ended AS (
  SELECT hour.at, run.workflow, count(*) AS finished,
         count(*) FILTER (WHERE run.state = 'failed' OR run.mismatches > 0) AS wrong
  FROM hour JOIN kpis_runfact AS run
    ON run.finished_at >= hour.start AND run.finished_at < hour.start + interval '1 hour'
  WHERE NOT run.simulated AND NOT run.superseded AND run.state IN ('succeeded', 'failed') GROUP BY 1, 2),
begun AS (
  SELECT hour.at, run.workflow, count(*) AS started
  FROM hour JOIN kpis_runfact AS run
    ON run.started_at >= hour.start AND run.started_at < hour.start + interval '1 hour'
  WHERE NOT run.simulated AND NOT run.superseded GROUP BY 1, 2)
SELECT workflow, at, coalesce(started, 0), coalesce(finished, 0), coalesce(wrong, 0)
FROM ended FULL JOIN begun USING (at, workflow) WHERE workflow <> ''
"""
"""What happened in each of these hours, workflow by workflow; two indexes by time, a handful of hours."""

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
    known = {place: start for place, start in enumerate(starts) if start is not None}
    found: dict[str, dict[int, Hour]] = {}
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"places": list(known), "starts": list(known.values())})
        for workflow, place, *numbers in cursor.fetchall():
            found.setdefault(workflow, {})[place] = Hour(*numbers)
    return found


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
    told: dict[str, Any] = {"count": sign.count, "of": sign.of, "expected": sign.expected, "chance": sign.chance}
    lasting = like.filter(until__gte=start).order_by("-until").first()
    if lasting is not None:
        like.filter(pk=lasting.pk).update(until=max(lasting.until, start + HOUR), **told)
        return False
    if not is_told(sign, before):
        return False
    lasts = any(one.kind == sign.kind for one in before)
    found = Anomaly.objects.create(
        workflow=workflow, kind=sign.kind, began_at=start - HOUR if lasts else start, until=start + HOUR, **told
    )
    name = "workflow.unusual_unsaid" if like.filter(muted_until__gt=database_now()).exists() else "workflow.unusual"
    payload = {"kind": sign.kind, "started_at": found.began_at, "until": found.until, "items": sign.count}
    record(system_user("plane"), workflow, name, payload=payload)
    return True


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
    told = {"kind": row.kind, "until": until, "reason": row.mute_reason}
    record(actor, anomaly.workflow, "workflow.unusual_muted", payload=told)
    return row
