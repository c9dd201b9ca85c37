"""The clocks of what waits: overdue, expired, stopped by a halt and given back."""

from datetime import timedelta
from typing import Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Greatest

from apps.access.models import Queue
from apps.access.rules import due_after
from apps.access.selectors import open_hours_of
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.errors import HaltedError
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import one_by_one, system_user
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState, Kind
from apps.oversight.selectors import is_reachable_for, units_below
from apps.oversight.services.decisions import lock_item, require_item_running
from apps.oversight.services.endings import OPEN, Where, end_item, end_waiting_action, lock_items

BATCH = 500
BY_QUEUE = [Kind.ACTION, Kind.QUESTION, Kind.UNKNOWN]
"""Kinds that go to the next level of their queue; what a run waits for is moved by the run's own timers."""


def expire_escalations() -> int:
    """End what waits beyond its expiry, its actions with it; how many. What a halt covers keeps its time."""
    plane = system_user("plane")
    late = Escalation.objects.filter(~Escalation.unexpired(), state=EscalationState.PENDING, frozen_at=None)
    ids = late.order_by("expires_at").values_list("pk", flat=True)[:BATCH]
    return one_by_one(lambda pk: _expire(plane, pk), ids)


@transaction.atomic
def _expire(plane: User, escalation_id: UUID) -> int:
    item = lock_item(escalation_id)
    is_late = Escalation.objects.filter(~Escalation.unexpired(), pk=item.pk, state=EscalationState.PENDING).exists()
    if not is_late:
        return 0
    try:
        require_item_running(item)
    except HaltedError:
        return 0
    end_item(plane, item, EscalationState.EXPIRED, why="expired", where=~Escalation.unexpired())
    end_waiting_action(plane, item, ActionState.EXPIRED, why="expired")
    return 1


@transaction.atomic
def reassign_open(actor: User, *, queue: Queue, reason: str = "overdue", **where: Unpack[Where]) -> int:
    """Bring pending items to another queue instead of their own; how many. As many people as before must agree there.

    Votes of people who do not serve it are void at the count. The new queue's time begins now; the expiry stays.
    """
    if not where:
        raise ValueError("Say which.")
    done = 0
    for item in lock_items(Escalation.objects.filter(state=EscalationState.PENDING, **where)):
        was = item.group_list()
        if [group.queue_id for group in was] == [queue.pk]:
            continue
        needed = sum(group.needed for group in was)
        EscalationGroup.objects.filter(escalation=item).delete()
        EscalationGroup.objects.create(escalation=item, queue=queue, needed=needed)
        changed = {"version": F("version") + 1, "claimed_by": None, "claimed_until": None}
        due = due_after(database_now(), open_hours_of(queue), queue.sla_s)
        Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(due_at=due, **changed)
        payload = {"from": [group.queue.slug for group in was], "queues": [queue.slug], "why": reason}
        record(actor, item, "escalation.reassigned", payload=payload)
        done += 1
    return done


@transaction.atomic
def mark_overdue() -> int:
    """Note once that an item passed its due time; how many. Nothing is decided by it."""
    plane = system_user("plane")
    late = Escalation.objects.filter(
        Escalation.sla_runs(), state=EscalationState.PENDING, due_at__lte=ClockTimestamp(), overdue_at=None
    )
    rows = late.select_for_update(of=("self",), skip_locked=True).select_related("unit").order_by("due_at")[:BATCH]
    found = list(rows)
    Escalation.objects.filter(pk__in=[item.pk for item in found]).update(overdue_at=ClockTimestamp())
    for item in found:
        record(plane, item, "escalation.overdue", payload={"due_at": item.due_at, "kind": item.kind, "risk": item.risk})
    return len(found)


def escalate_overdue() -> int:
    """Bring what waited too long to the next level that its queue names: ``after_s`` since it came there; how many."""
    plane = system_user("plane")
    done = 0
    for queue in Queue.objects.exclude(escalation=[]):
        level = queue.escalation[0]
        following = Queue.objects.filter(slug=level.get("to", "")).first()
        if following is None or following.pk == queue.pk:
            continue
        here = EscalationGroup.objects.filter(escalation=OuterRef("pk"), queue=queue, is_open=True)
        late = Escalation.objects.filter(
            Exists(here),
            Escalation.sla_runs(),
            state=EscalationState.PENDING,
            kind__in=BY_QUEUE,
            due_at__lte=ClockTimestamp() + timedelta(seconds=queue.sla_s - int(level.get("after_s", queue.sla_s))),
        )
        for pk in late.order_by("due_at").values_list("pk", flat=True)[:BATCH]:
            done += reassign_open(plane, queue=following, reason="overdue", id=pk)
    return done


@transaction.atomic
def escalate_unreachable(actor: User, *, escalation_id: UUID) -> bool:
    """Where the eligible people left cannot reach the quorum: on to the queue's next level at once, and said so."""
    item = lock_item(escalation_id)
    if item.state != EscalationState.PENDING or is_reachable_for(actor, item):
        return False
    levels = [level for group in item.group_list() for level in group.queue.escalation]
    following = Queue.objects.filter(slug=levels[0].get("to", "")).first() if levels else None
    record(actor, item, "escalation.unreachable", payload={"to": following.slug if following else None})
    return bool(following and reassign_open(actor, queue=following, reason="unreachable", id=item.pk))


@transaction.atomic
def freeze_clocks(actor: User, *, halt: Halt) -> int:
    """Stop the clocks of what waits within a halt; how many. Decisions and the sweep refuse by the halt itself."""
    rows = _still(Escalation.objects.filter(_within(halt), state__in=OPEN, frozen_at=None))
    done = rows.update(frozen_at=Greatest(F("created_at"), Value(halt.created_at)))
    record(actor, halt, "halt.clocks_frozen", unit=halt.unit_id, payload={"items": done})
    return done


@transaction.atomic
def thaw_clocks(actor: User, *, halt: Halt) -> int:
    """Let the clocks go on of what no halt covers any more; the time between is given back; how many."""
    rows = Escalation.objects.filter(_within(halt), state__in=OPEN, frozen_at__isnull=False)
    for other in Halt.objects.filter(lifted_at=None):
        rows = rows.exclude(pk__in=Escalation.objects.filter(_within(other), state__in=OPEN).values("pk"))
    lost = ClockTimestamp() - F("frozen_at")
    moved = {name: F(name) + lost for name in ("due_at", "expires_at", "releases_at", "sla_paused_at")}
    done = _still(rows).update(frozen_at=None, **moved)
    record(actor, halt, "halt.clocks_thawed", unit=halt.unit_id, payload={"items": done})
    return done


def _still(rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """Those of ``rows`` that are open once they are locked: a decision may have ended one while we waited for it."""
    locked = rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
    return Escalation.objects.filter(pk__in=list(locked), state__in=OPEN)


def _within(halt: Halt) -> Q:
    """The items that a halt covers, as ``require_item_running`` asks of one."""
    if halt.scope == HaltScope.EVERYTHING:
        return Q()
    if halt.scope == HaltScope.UNIT:
        return Q(unit__in=units_below(halt.target))
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
