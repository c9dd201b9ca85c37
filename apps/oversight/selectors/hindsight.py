"""What became of actions once people looked: for those who judge the past once more (``settings.POLICY_*``)."""

from collections.abc import Collection
from uuid import UUID

from django.db import connection

from apps.oversight.models import Escalation
from apps.oversight.rules import ASSUMED_S, OVERTURNED, EscalationState, Kind
from apps.oversight.selectors.pace import ENOUGH, GAPS
from apps.policies.rules.tallies import Decided, Hindsight

DECISIONS = {
    EscalationState.APPROVED: Decided.APPROVED,
    EscalationState.REJECTED: Decided.REJECTED,
    EscalationState.CHANGES_REQUESTED: Decided.REJECTED,
}
OF_QUEUE = """
SELECT queue, percentile_cont(0.5) WITHIN GROUP (ORDER BY gap_s), count(*) FROM (
    SELECT q.slug AS queue,
           extract(epoch FROM v.created_at - lag(v.created_at) OVER (PARTITION BY v.voter_id ORDER BY v.id)) AS gap_s
    FROM (SELECT id, voter_id, escalation_id, created_at FROM oversight_vote ORDER BY id DESC LIMIT 20000) AS v
    JOIN oversight_escalationgroup g ON g.escalation_id = v.escalation_id JOIN access_queue q ON q.id = g.queue_id
    WHERE q.slug = ANY(%s)
) AS gaps WHERE gap_s BETWEEN 1 AND 600 GROUP BY queue
"""
"""As ``GAPS``, of the decisions in each queue. Of the last votes only: how fast people were long ago says little."""


def hindsight_of(ids: Collection[UUID]) -> dict[UUID, Hindsight]:
    """What people decided of these actions, and found of them afterwards; none for one that nobody looked at."""
    rows = Escalation.objects.filter(action__in=ids, kind__in=[Kind.ACTION, Kind.REVIEW]).order_by("id")
    told: dict[UUID, Hindsight] = {}
    for action, kind, state, edited, answer in rows.values_list("action", "kind", "state", "edited", "answer"):
        before = told.get(action, Hindsight())
        if kind == Kind.REVIEW:
            is_wrong = _judgement(answer) in OVERTURNED and state == EscalationState.ANSWERED
            told[action] = Hindsight(before.decided, before.is_edited, before.is_overturned or is_wrong)
        else:
            decided = DECISIONS.get(EscalationState(state), before.decided)
            told[action] = Hindsight(decided, before.is_edited or edited, before.is_overturned)
    return told


def _judgement(answer: object) -> object:
    return answer.get("verdict") if isinstance(answer, dict) else answer


def paces_of(queues: Collection[str]) -> dict[str, float]:
    """Seconds that a decision takes at the median in each queue; everybody's where those are too few, else assumed."""
    with connection.cursor() as cursor:
        cursor.execute(GAPS.format(place=1, whose="", last=1_000))
        _, anybody, gaps = cursor.fetchone()
        usual = float(anybody) if gaps >= ENOUGH else float(ASSUMED_S)
        cursor.execute(OF_QUEUE, [list(queues)])
        known = {queue: float(seconds) for queue, seconds, n in cursor.fetchall() if n >= ENOUGH}
    return {queue: known.get(queue, usual) for queue in queues}
