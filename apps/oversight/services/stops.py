"""Clocks that stand still: while a halt covers an item, its run rests, or its agent was asked something.

Each cause has its column, with the time since which it holds. When one ends, the time lost is given back: to the SLA
what any cause took, to the expiry what a halt or a resting run took. Causes that go on count from then.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, DurationField, Exists, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.expressions import Case, Combinable, ExpressionWrapper, When
from django.db.models.functions import Coalesce, Greatest, Least

from apps.access.models import Calendar, Queue
from apps.access.rules import OpenHours, moved_on
from apps.access.selectors import open_hours_of
from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.models import ClockTimestamp, User, database_now
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState, Kind
from apps.oversight.selectors import units_below

OPEN = [EscalationState.PENDING, EscalationState.HELD]
HALTED, RESTS, ASKED = "frozen_at", "paused_at", "sla_paused_at"
CAUSES = (HALTED, RESTS, ASKED)
STOP_EXPIRY = (HALTED, RESTS)
SLA_CLOCKS = ("due_at", "warn_at")
EXPIRY_CLOCKS = ("expires_at", "releases_at")
GROUP_CLOCKS = ("climbs_at", "unseen_at")
NO_RELEASE = 0


@transaction.atomic
def freeze_clocks(actor: User, *, halt: Halt) -> int:
    """Stop the clocks of what waits within a halt; how many. Decisions and the sweep refuse by the halt itself."""
    rows = Escalation.objects.filter(_within(halt), state__in=OPEN, frozen_at=None)
    done = _still(rows).update(frozen_at=Greatest(F("created_at"), Value(halt.created_at)))
    record(actor, halt, "halt.clocks_frozen", unit=halt.unit_id, payload={"items": done})
    return done


@transaction.atomic
def thaw_clocks(actor: User, *, halt: Halt) -> int:
    """Let the clocks go on of what no halt covers any more; the time between is given back; how many.

    Actions among it count as judged under no release, so that ``reweigh_pending`` judges them again.
    """
    rows = Escalation.objects.filter(_within(halt), state__in=OPEN)
    for other in Halt.objects.filter(lifted_at=None):
        rows = rows.exclude(pk__in=Escalation.objects.filter(_within(other), state__in=OPEN).values("pk"))
    _judge_again(rows)
    done = start_clocks(rows.filter(frozen_at__isnull=False), HALTED)
    record(actor, halt, "halt.clocks_thawed", unit=halt.unit_id, payload={"items": done})
    return done


def _judge_again(rows: QuerySet[Escalation]) -> None:
    """Whoever approves one of them first finds it judged again when it is about to run."""
    waiting = Action.objects.filter(pk__in=rows.values("action"), state=ActionState.PENDING_APPROVAL)
    locked = list(waiting.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    Action.objects.filter(pk__any_of=locked).update(release_number=NO_RELEASE)
    Escalation.objects.filter(action__pk__any_of=locked, kind=Kind.ACTION, state__in=OPEN).update(release=NO_RELEASE)


def rest_clocks(*, run_id: UUID) -> int:
    """A run rests: so do the clocks of what it waits for; how many. People may decide meanwhile."""
    rows = Escalation.objects.filter(run_id=run_id, state__in=OPEN, paused_at=None)
    return rows.update(paused_at=ClockTimestamp())


def wake_clocks(*, run_id: UUID) -> int:
    """A run goes on, or ends: the time between is given back; how many."""
    return start_clocks(Escalation.objects.filter(run_id=run_id, state__in=OPEN), RESTS)


def stop_sla(item: Escalation) -> bool:
    """The agent was asked something: the SLA stands still until ``start_sla``, the expiry does not. Item locked."""
    rows = Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING, sla_paused_at=None)
    return bool(rows.update(sla_paused_at=ClockTimestamp()))


def start_sla(item: Escalation) -> bool:
    """The agent answered: the time that it took is given back. Item locked."""
    return bool(start_clocks(Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING), ASKED))


def settle_clocks(item: Escalation, *causes: str) -> None:
    """On every way out of waiting: what stood still until now is counted, whatever stopped it. Item locked."""
    if any(getattr(item, cause) for cause in causes or CAUSES):
        start_clocks(Escalation.objects.filter(pk=item.pk), *(causes or CAUSES))
        item.refresh_from_db(fields=[*CAUSES, *SLA_CLOCKS, *EXPIRY_CLOCKS, "stood"])


@transaction.atomic
def start_clocks(rows: QuerySet[Escalation], *causes: str) -> int:
    """End these causes for ``rows``: every clock is as far ahead as when it stopped; how many items.

    Where a queue counts by a calendar, open time is given back, item by item; else one statement does it.
    """
    stopped = _still(rows.filter(_any_of(causes)))
    now = database_now()
    counting = _counting_queues()
    by_calendar = EscalationGroup.objects.filter(escalation=OuterRef("pk"), queue__in=counting)
    done = 0
    for item in stopped.filter(Exists(by_calendar)).order_by("id"):
        _start_one(item, causes, now, counting)
        done += 1
    stopped = stopped.filter(_any_of(causes))
    lost = _lost(CAUSES, now)
    plain = stopped.order_by().values("pk")
    EscalationGroup.objects.filter(escalation__in=plain).update(
        **{name: F(name) + _lost_of_item(lost) for name in GROUP_CLOCKS}
    )
    back = {name: F(name) + lost for name in SLA_CLOCKS}
    back |= {name: F(name) + _lost(STOP_EXPIRY, now) for name in EXPIRY_CLOCKS}
    return done + Escalation.objects.filter(pk__in=plain).update(
        **back, **_since_now(causes, now), stood=F("stood") + lost
    )


def _still(rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Those of ``rows`` that are open once they are locked: a decision may have ended one while we waited for it."""
    locked = rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
    return Escalation.objects.filter(pk__any_of=list(locked), state__in=OPEN)


def _any_of(causes: Iterable[str]) -> Q:
    found = Q()
    for cause in causes:
        found |= Q(**{f"{cause}__isnull": False})
    return found


def _lost(causes: Iterable[str], now: datetime) -> Combinable:
    """How long any of the causes has held; nothing where none does. PostgreSQL's least() skips NULL."""
    lost = Value(now, output_field=DateTimeField()) - Least(*causes)
    return Coalesce(ExpressionWrapper(lost, output_field=DurationField()), Value(timedelta(0)))


def _lost_of_item(lost: Combinable) -> Subquery:
    rows = Escalation.objects.filter(pk=OuterRef("escalation_id")).annotate(lost=lost)
    return Subquery(rows.values("lost")[:1], output_field=DurationField())


def _since_now(ended: Iterable[str], now: datetime) -> dict[str, Any]:
    """What ended holds no longer; what goes on counts from now."""
    going_on = {
        cause: Case(When(**{f"{cause}__isnull": False}, then=Value(now)), default=None, output_field=DateTimeField())
        for cause in CAUSES
    }
    return {**going_on, **dict.fromkeys(ended)}


def _counting_queues() -> dict[UUID, OpenHours]:
    """The queues that count by a calendar, with their open hours."""
    if not Calendar.objects.exists():
        return {}
    found = {queue.pk: open_hours_of(queue) for queue in Queue.objects.select_related("calendar")}
    return {pk: hours for pk, hours in found.items() if hours}


def _start_one(item: Escalation, causes: Iterable[str], now: datetime, counting: Mapping[UUID, OpenHours]) -> None:
    since = min(moment for cause in CAUSES if (moment := getattr(item, cause)))
    halted = min((moment for cause in STOP_EXPIRY if (moment := getattr(item, cause))), default=now)
    groups = item.asked_groups()
    hours = [counting.get(group.queue_id) for group in groups]
    for group, counted in zip(groups, hours, strict=True):
        moved = {name: moved_on(at, since, now, counted) for name in GROUP_CLOCKS if (at := getattr(group, name))}
        EscalationGroup.objects.filter(pk=group.pk).update(**moved)
    columns: dict[str, Any] = {
        name: min(moved_on(at, since, now, counted) for counted in hours)
        for name in SLA_CLOCKS
        if (at := getattr(item, name))
    }
    columns |= {name: at + (now - halted) for name in EXPIRY_CLOCKS if (at := getattr(item, name))}
    columns |= {cause: now if getattr(item, cause) else None for cause in CAUSES} | dict.fromkeys(causes)
    Escalation.objects.filter(pk=item.pk).update(**columns, stood=F("stood") + (now - since))


def _within(halt: Halt) -> Q:
    """The items that a halt covers, as ``require_item_running`` asks of one."""
    if halt.scope == HaltScope.EVERYTHING:
        return Q()
    if halt.scope == HaltScope.UNIT:
        below = units_below(halt.target)
        return Q(unit__in=below) | Q(run_unit__in=below)
    if halt.scope == HaltScope.VERSION:
        slug, _, number = halt.target.rpartition("@")
        number = number if number.isdigit() else "0"
        asked = Q(action__version__agent__slug=slug, action__version__number=number)
        return asked | Q(action__version=None, agent__slug=slug, agent__version__number=number)
    return Q(**{PATHS[HaltScope(halt.scope)]: halt.target})


PATHS = {
    HaltScope.WORKFLOW: "workflow",
    HaltScope.AGENT: "agent__slug",
    HaltScope.CONNECTOR: "action__connector",
    HaltScope.OPERATION: "action__operation",
}
