"""Handing over: what waits where a rota was asked follows when somebody else is on duty."""

from typing import Any
from uuid import UUID

from django.db import transaction

from apps.access.rules import Target, TargetKind
from apps.access.selectors import on_duty_of
from apps.audit.services import record
from apps.core.models import User, database_now
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import called_by_rotas, reachable_by, rungs_of
from apps.oversight.services.decisions import lock_item
from apps.oversight.services.ladders import UNREACHABLE, climb

BATCH = 500


def hand_over_duty() -> int:
    """Ask the rotas again that items asked; how many items somebody else is called to now.

    Where nobody is on duty, whoever was called stays called.
    """
    plane = system_user("plane")
    called = called_by_rotas()
    duty = {rota: on_duty_of(rota) for rota in sorted({one.rota for one in called})}
    moved = [one for one in called if (now := duty[one.rota]) is not None and now.username != one.username]
    return one_by_one(lambda pk: _hand_over(plane, pk), dict.fromkeys(one.escalation_id for one in moved[:BATCH]))


@transaction.atomic
def _hand_over(plane: User, escalation_id: UUID) -> int:
    item = lock_item(escalation_id)
    if not Escalation.objects.filter(Escalation.unexpired(), pk=item.pk, state=EscalationState.PENDING).exists():
        return 0
    done = 0
    for group in item.group_list():
        for rota in sorted({one["rota"] for one in group.called if "rota" in one}):
            duty = on_duty_of(rota)
            if duty is not None:
                done += _call_instead(plane, item, group, rota, duty)
    return min(done, 1)


def _call_instead(plane: User, item: Escalation, group: EscalationGroup, rota: str, duty: User) -> int:
    """Call ``duty`` by a rota, and nobody else: but who acted on the item already stays with it."""
    acted = _acted(item)
    called, before = list[dict[str, Any]](), list[str]()
    for one in group.called:
        if one.get("rota") != rota or one["user"] == duty.username:
            called.append(one)
            continue
        before.append(one["user"])
        if one["user"] in acted:
            called.append({"user": one["user"]})
    if not before:
        return 0
    if {"user": duty.username, "rota": rota} not in called:
        called.append({"user": duty.username, "rota": rota})
    group.called = called
    EscalationGroup.objects.filter(pk=group.pk).update(called=called)
    Escalation.objects.filter(pk=item.pk, assigned_to__username__in=set(before) - acted).update(assigned_to=None)
    item.refresh_from_db(fields=["assigned_to"])
    reached = reachable_by(plane, item, group, Target(TargetKind.USER, duty.username))
    payload = {"rota": rota, "from": before, "to": reached[0].username if reached else duty.username}
    record(plane, item, "escalation.handed_over", payload={**payload, "queues": [group.queue.slug]})
    if not reached and _stands_at(item, group, rota):
        climb(plane, item, group, why=UNREACHABLE)
    return 1


def _acted(item: Escalation) -> set[str]:
    """Who voted on the item, or has it in hand."""
    voted = {vote.voter.username for vote in item.live_votes()}
    if item.claimed_by and item.claimed_until and item.claimed_until > database_now():
        voted.add(item.claimed_by.username)
    return voted


def _stands_at(item: Escalation, group: EscalationGroup, rota: str) -> bool:
    """Whether the level that asks the rota is the one that the group reached last."""
    rungs = rungs_of(item, group)[: group.rung]
    return bool(rungs) and rungs[-1].target == Target(TargetKind.ROTA, rota)
