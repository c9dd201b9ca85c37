"""Ends that nobody decided: superseded, cancelled, expired; and votes that lost their ground."""

from datetime import timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from apps.access.models import Queue
from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance, record
from apps.core.errors import HaltedError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.oversight.models import Escalation, EscalationGroup, Vote
from apps.oversight.rules import EscalationState, Kind
from apps.oversight.selectors import standing_for, units_below
from apps.oversight.services.decisions import close_groups, ending_payload, lock_item, require_item_running, void_votes

BATCH = 500
OPEN = [EscalationState.PENDING, EscalationState.HELD]


class Where(TypedDict, total=False):
    """Which items: all that are given must fit."""

    run_id: UUID
    step: str
    round: int | None
    item: int | None
    task_id: UUID
    action_id: UUID
    agent_id: UUID
    kind: str


def _end(actor: User, item: Escalation, to: EscalationState, *, why: str, where: Q | None = None) -> None:
    """End a locked open item without a decision, its action with it where that still waits."""
    payload = {**ending_payload(item, to), "why": why}
    unsaid = {"decided_by": None, "decided_at": None, "claimed_by": None, "claimed_until": None}
    advance(actor, item, to, where=where, payload=payload, ended_at=ClockTimestamp(), **unsaid)
    close_groups(item)


def _end_action(actor: User, item: Escalation, to: ActionState, *, why: str) -> None:
    action = item.action
    if item.kind != Kind.ACTION or action is None or action.state != ActionState.PENDING_APPROVAL:
        return
    told = {"escalation": item.pk, "why": why}
    advance(actor, action, to, payload=told, finished_at=ClockTimestamp())


@transaction.atomic
def cancel_escalations(actor: User, *, reason: str = "cancelled", **where: Unpack[Where]) -> int:
    """End what waits for a run, a step, a task, an action or an agent, its actions with it; how many.

    The caller answers for the permission: this follows from what ended below or above. Raises ValueError without any
    condition.
    """
    if not where:
        raise ValueError("Say which.")
    rows = Escalation.objects.filter(state__in=OPEN, **where)
    done = 0
    for item in _locked(rows):
        void_votes(actor, item, why="cancelled")
        _end(actor, item, EscalationState.CANCELLED, why=reason)
        _end_action(actor, item, ActionState.CANCELLED, why=reason)
        done += 1
    return done


def _locked(rows: QuerySet[Escalation]) -> list[Escalation]:
    """The items that are still open once their actions and then they themselves are locked, in order of id."""
    ids = list(rows.order_by("id").values_list("pk", flat=True))
    actions = Action.objects.select_for_update(of=("self",)).filter(escalations__in=ids).order_by("id")
    list(actions.values_list("pk", flat=True))
    found = [lock_item(pk) for pk in ids]
    return [item for item in found if item.state in OPEN]


@transaction.atomic
def supersede_escalation(actor: User, *, action: Action, successor: Action) -> Escalation | None:
    """End what waits for ``action`` because ``successor`` takes its place; its votes are void. None if none waited.

    The action itself is the caller's to cancel.
    """
    rows = Escalation.objects.filter(state__in=OPEN, action=action, kind=Kind.ACTION)
    for item in _locked(rows):
        void_votes(actor, item, why="superseded")
        _end(actor, item, EscalationState.SUPERSEDED, why=f"action {successor.pk}")
        return item
    return None


@transaction.atomic
def reassign_open(actor: User, *, queue: Queue, reason: str = "overdue", **where: Unpack[Where]) -> int:
    """Bring pending items to another queue instead of their own; how many. As many people as before must agree there.

    Votes of people who do not serve it are void at the count. The new queue's time begins now; the expiry stays.
    """
    if not where:
        raise ValueError("Say which.")
    done = 0
    for item in _locked(Escalation.objects.filter(state=EscalationState.PENDING, **where)):
        was = item.group_list()
        if [group.queue_id for group in was] == [queue.pk]:
            continue
        needed = sum(group.needed for group in was)
        EscalationGroup.objects.filter(escalation=item).delete()
        EscalationGroup.objects.create(escalation=item, queue=queue, needed=needed)
        changed = {"version": F("version") + 1, "claimed_by": None, "claimed_until": None}
        due = ClockTimestamp() + timedelta(seconds=queue.sla_s)
        Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(due_at=due, **changed)
        payload = {"from": [group.queue.slug for group in was], "queues": [queue.slug], "why": reason}
        record(actor, item, "escalation.reassigned", payload=payload)
        done += 1
    return done


def expire_escalations() -> int:
    """End what waits beyond its expiry, its actions with it; how many. What a halt covers keeps its time."""
    plane = system_user("plane")
    late = Escalation.objects.filter(~Escalation.unexpired(), state=EscalationState.PENDING, frozen_at=None)
    return sum(_expire(plane, pk) for pk in late.order_by("expires_at").values_list("pk", flat=True)[:BATCH])


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
    _end(plane, item, EscalationState.EXPIRED, why="expired", where=~Escalation.unexpired())
    _end_action(plane, item, ActionState.EXPIRED, why="expired")
    return 1


@transaction.atomic
def void_votes_of(actor: User, *, user: User, why: str) -> int:
    """Void a person's votes on pending items that they may no longer decide, and let go of their claims; how many."""
    standing = standing_for(user)
    votes = Vote.objects.filter(voter=user, voided_at=None, escalation__state=EscalationState.PENDING)
    done = 0
    for escalation_id in votes.order_by("escalation_id").values_list("escalation_id", flat=True):
        item = lock_item(escalation_id)
        if item.state == EscalationState.PENDING and standing.why_not(item):
            done += void_votes(actor, item, why=why, voter=user)
    claimed = Escalation.objects.filter(claimed_by=user, state=EscalationState.PENDING)
    for item in claimed.select_related("unit", "agent__owner", "action__principal"):
        if standing.why_not(item):
            Escalation.objects.filter(pk=item.pk, claimed_by=user, state=EscalationState.PENDING).update(
                claimed_by=None, claimed_until=None
            )
    return done


@transaction.atomic
def freeze_clocks(actor: User, *, halt: Halt) -> int:
    """Stop the clocks of what waits within a halt; how many. Decisions and the sweep refuse by the halt itself."""
    rows = Escalation.objects.filter(_within(halt), state__in=OPEN, frozen_at=None)
    done = rows.update(frozen_at=ClockTimestamp())
    record(actor, halt, "halt.clocks_frozen", unit=halt.unit_id, payload={"items": done})
    return done


@transaction.atomic
def thaw_clocks(actor: User, *, halt: Halt) -> int:
    """Let the clocks go on of what no halt covers any more; the time between is given back; how many."""
    rows = Escalation.objects.filter(_within(halt), state__in=OPEN, frozen_at__isnull=False)
    for other in Halt.objects.filter(lifted_at=None):
        rows = rows.exclude(pk__in=Escalation.objects.filter(_within(other), state__in=OPEN).values("pk"))
    lost = ClockTimestamp() - F("frozen_at")
    moved = {name: F(name) + lost for name in ("due_at", "expires_at", "releases_at")}
    done = rows.update(frozen_at=None, **moved)
    record(actor, halt, "halt.clocks_thawed", unit=halt.unit_id, payload={"items": done})
    return done


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
