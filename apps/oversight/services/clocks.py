"""The clocks of what waits: nearly due, overdue, expired; and a new start in another queue."""

from typing import Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.access.models import Queue
from apps.access.rules import due_after
from apps.access.selectors import open_hours_of
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.errors import HaltedError
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState
from apps.oversight.services.arrivals import times_at, warning_at
from apps.oversight.services.decisions import lock_item, require_item_running
from apps.oversight.services.endings import Where, end_item, end_waiting_action, lock_open

BATCH = 500
# Sweeps ask with ``Now``, the time of their statement, at which an index can begin: ``clock_timestamp()`` may differ
# from row to row, so that every pending row is read each second. What then acts on a row asks the clock again.


def expire_escalations() -> int:
    """End what waits beyond its expiry, its actions with it; how many. What a halt covers keeps its time."""
    plane = system_user("plane")
    late = Escalation.objects.filter(
        ~Escalation.unexpired(), state=EscalationState.PENDING, frozen_at=None, paused_at=None, expires_at__lte=Now()
    )
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
    for item in lock_open(Escalation.objects.filter(state=EscalationState.PENDING, **where)):
        was = item.group_list()
        if [group.queue_id for group in was] == [queue.pk]:
            continue
        needed = sum(group.needed for group in was)
        EscalationGroup.objects.filter(escalation=item).delete()
        now, hours = database_now(), open_hours_of(queue)
        due = due_after(now, hours, queue.sla_s)
        times = times_at(now, queue, hours, due)
        EscalationGroup.objects.create(escalation=item, queue=queue, needed=needed, **times)
        changed = {"version": F("version") + 1, "claimed_by": None, "claimed_until": None}
        clocks = {"due_at": due, "warn_at": warning_at(now, hours, due)}
        Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(**clocks, **changed)
        payload = {"from": [group.queue.slug for group in was], "queues": [queue.slug], "why": reason}
        record(actor, item, "escalation.reassigned", payload=payload)
        done += 1
    return done


@transaction.atomic
def mark_due_soon() -> int:
    """Note once that four fifths of an item's time are over; how many. What is overdue already needs no warning."""
    plane = system_user("plane")
    soon = Escalation.objects.filter(
        Escalation.sla_runs(),
        state=EscalationState.PENDING,
        warn_at__lte=Now(),
        due_at__gt=Now(),
        warned_at=None,
    )
    rows = soon.select_for_update(of=("self",), skip_locked=True).select_related("unit").order_by("warn_at")[:BATCH]
    found = list(rows)
    Escalation.objects.filter(pk__in=[item.pk for item in found]).update(warned_at=ClockTimestamp())
    for item in found:
        queues = [group.queue.slug for group in item.asked_groups()]
        told = {"due_at": item.due_at, "kind": item.kind, "risk": item.risk, "queues": queues}
        record(plane, item, "escalation.due_soon", payload=told)
    return len(found)


@transaction.atomic
def mark_overdue() -> int:
    """Note once that an item passed its due time; how many. Nothing is decided by it."""
    plane = system_user("plane")
    late = Escalation.objects.filter(
        Escalation.sla_runs(), state=EscalationState.PENDING, due_at__lte=Now(), overdue_at=None
    )
    rows = late.select_for_update(of=("self",), skip_locked=True).select_related("unit").order_by("due_at")[:BATCH]
    found = list(rows)
    Escalation.objects.filter(pk__in=[item.pk for item in found]).update(overdue_at=ClockTimestamp())
    for item in found:
        record(plane, item, "escalation.overdue", payload={"due_at": item.due_at, "kind": item.kind, "risk": item.risk})
    return len(found)
