"""Telling a workflow's owner of a missed target, of open runs past their SLA and of a backlog that grows; once each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum

from apps.audit.services import record
from apps.core.models import User
from apps.core.services import system_user
from apps.kpis.models import Anomaly, RollupDay
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules.alerts import HEIGHT_DAYS, YOUNGEST_DAYS, Found, growth_of, more_of, open_after, still_grows
from apps.kpis.rules.anomalies import Unusual
from apps.kpis.rules.buckets import DAY, day_period, local_day, local_midnight
from apps.kpis.rules.weeks import Week, ended_week
from apps.kpis.selectors.kpis import lag_s_for
from apps.kpis.selectors.live import late_runs_for
from apps.kpis.selectors.misses import misses_for
from apps.kpis.services.anomalies import SETTLED, begin
from apps.kpis.services.locks import is_alone
from apps.workflows.models import Workflow

LOCK = "alerts:kpis"
METRICS = "metrics"
AGAIN = timedelta(days=1)
"""Where no run was late for less, those that are now are the same thing: runs are late one after the other."""
ENDED = F("succeeded") + F("failed") + F("cancelled")

type Key = tuple[UUID, str, str, UUID | None]
type Worth = tuple[Workflow, Found]


@dataclass(slots=True)
class Flow:
    """What started and ended of a workflow day by day, and how much was open before the first; all in its own unit.

    ``elsewhere``: the last of these days on which something of it was another unit's: it has moved since.
    """

    opened: int = 0
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    elsewhere: date | None = None

    def between(self, first: date, last: date) -> list[tuple[int, int]]:
        """(started, ended) of each of these days, both whole."""
        return [self.days.get(first + DAY * at, (0, 0)) for at in range((last - first).days + 1)]

    def stayed(self, since: date) -> bool:
        """Whether all of it was in one unit from that day on."""
        return self.elsewhere is None or self.elsewhere < since


@transaction.atomic
def judge_alerts() -> int:
    """Judge the week and the day that ended last, and what is open now, of every workflow; how many alerts began.

    Whoever comes second meanwhile does nothing, nor does anybody while the figures are late. To look again at the same
    week or day changes nothing, unless what is known of it did. A look that is killed leaves nothing; the next makes up
    for it. As many statements however many workflows, but for figures of one's own that have a target.
    """
    actor, now = system_user(METRICS), database_now()
    if not is_alone(LOCK) or lag_s_for(actor, now) > SETTLED.total_seconds():
        return 0
    zone = reporting_zone()
    last = local_day(now - SETTLED, zone) - DAY
    workflows = {one.slug: one for one in Workflow.objects.filter(retired_at=None).select_related("unit")}
    flows = _flows(workflows, last - DAY * HEIGHT_DAYS, last)
    going_on = {_key(row): row for row in Anomaly.objects.filter(is_open=True).select_related("workflow")}
    found = [
        *_missed(actor, workflows, flows, ended_week(now - SETTLED, zone)),
        *_late(actor, workflows, now),
        *_grown(workflows, flows, last, going_on),
    ]
    _end(going_on, {_key_of(workflow, one) for workflow, one in found})
    return sum(_keep(workflow, one) for workflow, one in found)


def _missed(actor: User, workflows: Mapping[str, Workflow], flows: Mapping[str, Flow], week: Week) -> Iterator[Worth]:
    """The targets that a whole week missed, of workflows that were there, and in one unit, all the week."""
    period = week.period(reporting_zone())
    whole = {
        workflow: open_after(flow.opened, flow.between(min(flow.days, default=week.monday), week.sunday))
        for slug, workflow in workflows.items()
        if workflow.created_at <= period.start and (flow := flows.get(slug, Flow())).stayed(week.monday)
    }
    for miss in misses_for(actor, week, whole):
        yield (
            workflows[miss.workflow],
            Found(
                kind=Unusual.TARGET,
                figure=miss.figure.definition.key,
                began_at=period.start,
                until=period.end,
                count=int(miss.figure.n if miss.figure.numerator is None else max(0, miss.figure.numerator)),
                of=miss.figure.n,
                value=miss.value,
                expected=miss.target.value,
            ),
        )


def _late(actor: User, workflows: Mapping[str, Workflow], now: datetime) -> Iterator[Worth]:
    """Open runs past their SLA, by workflow: those of its unit of now."""
    for (slug, unit), (late, of) in late_runs_for(actor).items():
        workflow = workflows.get(slug)
        if late and workflow and workflow.unit_id == unit:
            yield workflow, Found(kind=Unusual.SLA, began_at=now, until=now, count=late, of=of, expected=0)


def _grown(
    workflows: Mapping[str, Workflow], flows: Mapping[str, Flow], last: date, going_on: Mapping[Key, Anomaly]
) -> Iterator[Worth]:
    """Backlogs that grew beyond chance by the end of the last day, and those that did before and still grow."""
    zone, first = reporting_zone(), last - DAY * HEIGHT_DAYS
    day, youngest = day_period(last, last, zone), local_midnight(last - DAY * (YOUNGEST_DAYS - 1), zone)
    for slug, flow in flows.items():
        workflow, days = workflows[slug], flow.between(first, last)
        if workflow.created_at > youngest or not flow.stayed(first):
            continue
        row = going_on.get((workflow.pk, Unusual.BACKLOG, "", workflow.unit_id))
        grown = growth_of(flow.opened, days)
        if row is not None and still_grows(flow.opened, days):
            highest, chance = row.expected, row.chance
        elif row is None and grown is not None:
            highest, chance = float(grown.highest), grown.chance
        else:
            continue
        found = Found(
            kind=Unusual.BACKLOG,
            began_at=day.start,
            until=day.end,
            count=open_after(flow.opened, days),
            of=more_of(flow.opened, days),
            expected=highest,
            chance=chance,
        )
        yield workflow, found


def _flows(workflows: Mapping[str, Workflow], first: date, last: date) -> dict[str, Flow]:
    """What started and ended on these days, and before; two statements."""
    rows: QuerySet[RollupDay] = RollupDay.objects.filter(simulated=False, workflow__in=list(workflows)).order_by()
    sums = {"started": Sum("arrivals"), "ended": Sum(ENDED)}
    found: dict[str, Flow] = {}
    for slug, unit, started, ended in rows.filter(day__lt=first).values_list("workflow", "unit").annotate(**sums):
        if workflows[slug].unit_id == unit:
            found.setdefault(slug, Flow()).opened = started - ended
    by_day = rows.filter(day__gte=first, day__lte=last).values_list("workflow", "unit", "day").annotate(**sums)
    for slug, unit, day, started, ended in by_day:
        flow = found.setdefault(slug, Flow())
        if workflows[slug].unit_id == unit:
            flow.days[day] = (started, ended)
        elif started or ended:
            flow.elsewhere = max(flow.elsewhere or day, day)
    return found


def _keep(workflow: Workflow, found: Found) -> bool:
    """Go on with what lasts since the week, day or look before, else begin it; whether it began.

    Of a week that was told in another unit, before the workflow moved without a run in it, nothing is told again.
    """
    alike = Anomaly.objects.filter(workflow=workflow, kind=found.kind, figure=found.figure)
    of_kind = alike.filter(unit=workflow.unit_id)
    told = {name: getattr(found, name) for name in ("count", "of", "value", "expected", "chance")}
    since = found.began_at - (AGAIN if found.kind == Unusual.SLA else timedelta())
    lasting = of_kind.filter(Q(is_open=True) | Q(until__gte=since)).order_by("-is_open", "-until").first()
    if lasting is not None:
        of_kind.filter(pk=lasting.pk).update(is_open=True, until=max(lasting.until, found.until), **told)
        return False
    if alike.filter(began_at=found.began_at).exists():
        return False
    ends = {"began_at": found.began_at, "until": found.until}
    begin(Anomaly(workflow=workflow, kind=found.kind, figure=found.figure, is_open=True, **ends, **told))
    return True


def _end(going_on: Mapping[Key, Anomaly], found: set[Key]) -> None:
    """What no look shows any more ended with the last that did: nothing misses it, its target is gone, it moved."""
    over = [row for key, row in going_on.items() if key not in found]
    Anomaly.objects.filter(pk__in=[row.pk for row in over], is_open=True).update(is_open=False)
    plane = system_user("plane")
    for row in over:
        payload = {"kind": row.kind, "started_at": row.began_at, "until": row.until}
        record(plane, row.workflow, "workflow.unusual_over", payload=payload)


def _key(row: Anomaly) -> Key:
    return row.workflow_id, row.kind, row.figure, row.unit


def _key_of(workflow: Workflow, found: Found) -> Key:
    return workflow.pk, found.kind, found.figure, workflow.unit_id
