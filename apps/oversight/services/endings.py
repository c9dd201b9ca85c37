"""Ends that nobody decided: superseded, cancelled; and votes that lost their ground."""

from collections.abc import Sequence
from typing import TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import advance
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation, StandingApproval, Vote
from apps.oversight.rules import EscalationState, Kind, StandingState
from apps.oversight.selectors import standing_for
from apps.oversight.services.decisions import close_groups, ending_payload, lock_item, lock_items, void_votes
from apps.oversight.services.stops import OPEN, settle_clocks


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
    kind__in: Sequence[str]
    id: UUID


def end_item(
    actor: User, item: Escalation, to: EscalationState, *, why: str, where: Q | None = None, **told: UUID
) -> None:
    """End a locked open item without a decision, its action with it where that still waits."""
    settle_clocks(item)
    payload = {**ending_payload(item, to), "why": why, **told}
    unsaid = {"decided_by": None, "decided_at": None, "claimed_by": None, "claimed_until": None}
    advance(actor, item, to, where=where, payload=payload, ended_at=ClockTimestamp(), **unsaid)
    close_groups(item)


def end_waiting_action(actor: User, item: Escalation, to: ActionState, *, why: str) -> None:
    """The action of an ended item ends with it where it still waits for people."""
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
    for item in lock_open(rows):
        void_votes(actor, item, why="cancelled")
        end_item(actor, item, EscalationState.CANCELLED, why=reason)
        end_waiting_action(actor, item, ActionState.CANCELLED, why=reason)
        done += 1
    return done


def lock_open(rows: QuerySet[Escalation]) -> list[Escalation]:
    """The items that are still open once their actions and then they themselves are locked, in order of id."""
    ids = list(rows.order_by("id").values_list("pk", flat=True))
    return [item for item in lock_items(ids) if item.state in OPEN] if ids else []


@transaction.atomic
def supersede_escalation(actor: User, *, action: Action, successor: UUID) -> Escalation | None:
    """End what waits for ``action`` because ``successor`` takes its place; its votes are void. None if none waited.

    The action itself is the caller's to cancel.
    """
    rows = Escalation.objects.filter(state__in=OPEN, action=action, kind=Kind.ACTION)
    for item in lock_open(rows):
        void_votes(actor, item, why="superseded")
        end_item(actor, item, EscalationState.SUPERSEDED, why="superseded", by=successor)
        return item
    return None


@transaction.atomic
def void_votes_of(actor: User, *, user: User, why: str) -> int:
    """Void a person's votes on pending items that they may no longer decide, and let go of their claims; how many."""
    standing = standing_for(user)
    votes = Vote.objects.filter(voter=user, voided_at=None, escalation__state=EscalationState.PENDING)
    done = 0
    for vote in votes.order_by("escalation_id"):
        item = lock_item(vote.escalation_id)
        if item.state == EscalationState.PENDING and standing.why_void(item, vote):
            done += void_votes(actor, item, why=why, voter=user)
    claimed = Escalation.objects.filter(Q(claimed_by=user) | Q(assigned_to=user), state=EscalationState.PENDING)
    for item in claimed.select_related("unit", "agent__owner", "action__principal"):
        if standing.why_not(item):
            rows = Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING)
            rows.filter(claimed_by=user).update(claimed_by=None, claimed_until=None)
            rows.filter(assigned_to=user).update(assigned_to=None)
    return done


def end_approval(actor: User, approval: StandingApproval, why: str) -> None:
    """End what somebody approved in advance. Raises ConflictError where it is over already."""
    advance(
        actor,
        approval,
        StandingState.ENDED,
        payload={"why": why, "escalation": approval.item_id},
        ended_at=ClockTimestamp(),
        ended_by=actor,
        end_why=why[:40],
    )


def end_approvals_on(actor: User, action: Action, *, why: str) -> None:
    """End what people approved in advance on any item of a locked action that asks for something else from now on."""
    live = StandingApproval.objects.select_for_update(of=("self",)).filter(item__action=action)
    for approval in live.filter(state=StandingState.LIVE).order_by("id"):
        end_approval(actor, approval, why)
