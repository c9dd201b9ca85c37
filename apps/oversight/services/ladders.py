"""Up the ladder: to the next level when it is time, when nobody has seen an item, when nobody could decide it."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.access.models import Queue
from apps.access.rules import Rung, Target, TargetKind, due_after, part_of
from apps.access.selectors import on_duty_of, open_hours_of
from apps.audit.services import record
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import next_rung, rungs_of, unheard_items, unreachable_for
from apps.oversight.services.arrivals import SEEN_WITHIN, warning_at
from apps.oversight.services.decisions import lock_item

BATCH = 500
UNREACHABLE = "unreachable"


def climb_ladders() -> int:
    """Bring up what waited long enough at its present level and what nobody has seen in time; how many groups."""
    plane = system_user("plane")
    late = Q(climbs_at__lte=Now()) | Q(unseen_at__lte=Now())
    running = {f"escalation__{cause}": None for cause in ("frozen_at", "paused_at", "sla_paused_at")}
    due = EscalationGroup.objects.filter(late, is_open=True, escalation__state=EscalationState.PENDING, **running)
    ids = due.order_by("id").values_list("escalation_id", flat=True)[:BATCH]
    return one_by_one(lambda pk: _climb_late(plane, pk), dict.fromkeys(ids))


@transaction.atomic
def _climb_late(plane: User, escalation_id: UUID) -> int:
    item = lock_item(escalation_id)
    is_waiting = Escalation.objects.filter(
        Escalation.sla_runs(), Escalation.unexpired(), pk=item.pk, state=EscalationState.PENDING
    )
    if not is_waiting.exists():
        return 0
    now, done = database_now(), 0
    for group in item.asked_groups():
        is_late = group.climbs_at is not None and group.climbs_at <= now
        is_unseen = group.unseen_at is not None and group.unseen_at <= now
        if not group.is_open:  # these people are complete: only the others are late
            continue
        if is_unseen and not is_late:
            record(plane, item, "escalation.unseen", payload={"queue": group.queue.slug})
        if is_late or is_unseen:
            climb(plane, item, group, why="overdue" if is_late else "unseen")
            done += 1
    return done


def climb(actor: User, item: Escalation, group: EscalationGroup, *, why: str) -> Target | None:
    """Take the next rung of a locked item's group that leads to somebody who may decide; to whom, None at the end.

    A queue takes the group over, and its time begins; a role's holders and a person are called besides. ``why``:
    ``overdue``, ``unseen``, ``unreachable`` or a person's own words.
    """
    rungs = rungs_of(item, group)
    found, taken = next_rung(actor, item, group, rungs, is_due=why != UNREACHABLE)
    following = rungs[taken] if taken < len(rungs) else None
    if found is None:
        EscalationGroup.objects.filter(pk=group.pk).update(rung=taken, climbs_at=None, unseen_at=None)
        item.forget_groups()
        return None
    was = group.queue.slug
    stands = _move(item, group, found.target) if found.target.kind == TargetKind.QUEUE else _call(group, found.target)
    _set_times(item, stands, taken, following)
    payload = {"from": was, "to": str(found.target), "queues": [stands.queue.slug], "why": why, "rung": taken}
    item.refresh_from_db(fields=["version", "due_at", "warn_at", "claimed_by", "claimed_until", "assigned_to"])
    item.forget_groups()
    record(actor, item, "escalation.escalated", payload=payload)
    return found.target


def climb_all(actor: User, item: Escalation, groups: Sequence[EscalationGroup], *, why: str) -> list[Target]:
    """Take the next rung of each of these groups; to whom."""
    return [target for group in groups if (target := climb(actor, item, group, why=why))]


def hand_up(actor: User, item: Escalation, group: EscalationGroup, queue: Queue, *, why: str) -> None:
    """Into another queue by hand, and on from there: up the same ladder, from where that queue stands on it."""
    rungs, was = rungs_of(item, group), group.queue.slug
    target = Target(TargetKind.QUEUE, queue.slug)
    stood = 0 if queue.pk == group.home_id else group.rung
    taken = next((place for place, rung in enumerate(rungs, 1) if rung.target == target), stood)
    stands = _move(item, group, target)
    _set_times(item, stands, taken, rungs[taken] if taken < len(rungs) else None)
    record(actor, item, "escalation.reassigned", payload={"from": [was], "queues": [queue.slug], "why": why})


def _move(item: Escalation, group: EscalationGroup, target: Target) -> EscalationGroup:
    """Into another queue, where as many people must agree; with a group that stands there already it becomes one."""
    queue = Queue.objects.get(slug=target.name)
    if queue.pk == group.queue_id:
        return group
    home = group.home_id or group.queue_id
    there = next((other for other in item.group_list() if other.queue_id == queue.pk and not other.role_id), None)
    if there is not None:
        EscalationGroup.objects.filter(pk=there.pk).update(
            needed=there.needed + group.needed,
            home=home,
            stage=min(there.stage, group.stage),
            is_asked=True,
            is_open=True,
        )
        EscalationGroup.objects.filter(pk=group.pk).delete()
        stands = there
    else:
        EscalationGroup.objects.filter(pk=group.pk).update(queue=queue, role=None, home=home)
        stands = group
    stands.queue, stands.home_id = queue, home
    fresh = {"version": F("version") + 1, "claimed_by": None, "claimed_until": None, "assigned_to": None}
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(**fresh)
    item.delegations.filter(ended_at=None).update(ended_at=ClockTimestamp())
    item.forget_delegations()
    now, hours = database_now(), open_hours_of(queue)
    due = due_after(now, hours, queue.sla_s)
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(
        due_at=due, warn_at=warning_at(now, hours, due)
    )
    return stands


def _call(group: EscalationGroup, target: Target) -> EscalationGroup:
    """People who may decide it too from now on; who served the queue still may.

    Of a rota, who is on duty now, until somebody else is: ``hand_over_duty``.
    """
    called = {target.kind.value: target.name}
    if target.kind == TargetKind.ROTA:
        duty = on_duty_of(target.name)
        if duty is None:  # their turn ended this very moment: the next level is asked in its time
            return group
        called = {TargetKind.USER.value: duty.username, TargetKind.ROTA.value: target.name}
    if called not in group.called:
        group.called = [*group.called, called]
        EscalationGroup.objects.filter(pk=group.pk).update(called=group.called)
    return group


def _set_times(item: Escalation, group: EscalationGroup, taken: int, following: Rung | None) -> None:
    """When the next rung is taken, where there is one; whoever is asked now has time to see the item first."""
    now, hours = database_now(), open_hours_of(group.queue)
    climbs = unseen = None
    if following is not None:
        item.refresh_from_db(fields=["due_at"])
        due = item.due_at if item.due_at > now else due_after(now, hours, group.queue.sla_s)
        climbs = due if following.after_s is None else due_after(now, hours, following.after_s)
        within = group.queue.unseen_after_s
        unseen = due_after(now, hours, within) if within else part_of(now, climbs, hours, SEEN_WITHIN)
    EscalationGroup.objects.filter(pk=group.pk).update(rung=taken, climbs_at=climbs, unseen_at=unseen)


@transaction.atomic
def escalate_unreachable(actor: User, *, escalation_id: UUID) -> bool:
    """Where the eligible people left cannot reach the quorum: up the ladder until they can, at once, and said so."""
    item = lock_item(escalation_id)
    if item.state != EscalationState.PENDING:
        return False
    moved = False
    while groups := unreachable_for(actor, item):
        found = climb_all(actor, item, groups, why=UNREACHABLE)
        to = str(found[0]) if found else None
        record(actor, item, "escalation.unreachable", payload={"to": to})
        if to is None:
            break
        moved = True
    return moved


def climb_unheard() -> int:
    """Bring up at once what nobody could be told of and nobody has seen; how many."""
    plane = system_user("plane")
    ids = unheard_items().filter(Escalation.sla_runs()).values_list("pk", flat=True)[:BATCH]
    return one_by_one(lambda pk: _climb_unheard(plane, pk), ids)


@transaction.atomic
def _climb_unheard(plane: User, escalation_id: UUID) -> int:
    item = lock_item(escalation_id)
    if not unheard_items().filter(pk=item.pk).exists():
        return 0
    unseen = [group for group in item.asked_groups() if group.unseen_at is not None]
    climb_all(plane, item, unseen, why="unreached")
    Escalation.objects.filter(pk=item.pk).update(unheard_at=None)  # whoever is asked now is told anew
    return len(unseen)
