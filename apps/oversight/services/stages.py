"""Whose turn it is: the groups of a stage are asked when those of every lower one are complete."""

from collections.abc import Sequence
from typing import Any

from apps.access.rules import due_after
from apps.access.selectors import open_hours_of
from apps.audit.services import record
from apps.core.models import User, database_now
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import EscalationState, stage_of, wanting
from apps.oversight.selectors import live_ballots_for
from apps.oversight.services.arrivals import times_at, warning_at

OPEN = frozenset({EscalationState.PENDING, EscalationState.HELD})


def follow_stages(actor: User, item: Escalation) -> None:
    """Ask the groups whose turn has come and take back what was asked too early; keep open where people are missing.

    Call with the item locked, whenever its votes or its groups have changed. A vote that is void closes what came
    after it: what later stages said stays said and counts again once those before them are complete.
    """
    groups = item.group_list()
    if len(groups) == 1 or item.state not in OPEN:
        return
    ballots, rules = live_ballots_for(actor, item), [group.as_rule() for group in groups]
    stage = stage_of(rules, ballots)
    wanted = wanting([rule for rule in rules if rule.stage <= stage], ballots)
    coming = [group for group in groups if group.stage <= stage and not group.is_asked]
    for group in groups:
        turn = {"is_asked": group.stage <= stage, "is_open": group.key in wanted}
        idle = {} if turn["is_asked"] else {"climbs_at": None, "unseen_at": None}
        if turn != {"is_asked": group.is_asked, "is_open": group.is_open}:
            EscalationGroup.objects.filter(pk=group.pk).update(**turn, **idle)
    if coming:
        _arrive(actor, item, coming)
    item.forget_groups()


def _arrive(actor: User, item: Escalation, coming: Sequence[EscalationGroup]) -> None:
    """The time of those who are asked now begins now; nobody of them has been told, or has seen it, yet."""
    now, hours = database_now(), {group.queue_id: open_hours_of(group.queue) for group in coming}
    dues = [due_after(now, hours[group.queue_id], group.queue.sla_s) for group in coming]
    due = min([*dues, *([item.expires_at] if item.expires_at else [])])
    for group in coming:
        times = times_at(now, group.queue, hours[group.queue_id], due)
        EscalationGroup.objects.filter(pk=group.pk).update(**times)
    fresh: dict[str, Any] = {
        "due_at": due,
        "warn_at": min(warning_at(now, counted, due) for counted in hours.values()),
        **dict.fromkeys(("warned_at", "overdue_at", "reached_at", "unheard_at")),
        **dict.fromkeys(("claimed_by", "claimed_until", "assigned_to")),
    }
    Escalation.objects.filter(pk=item.pk, state=EscalationState.PENDING).update(**fresh)
    item.refresh_from_db(fields=list(fresh))
    told = {
        "queues": [group.queue.slug for group in coming],
        "needed": sum(group.needed for group in coming),
        "due_at": due,
        "risk": item.risk,
        "kind": item.kind,
    }
    record(actor, item, "escalation.asked", payload=told)
