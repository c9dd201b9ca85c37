"""What agents did and how it was judged: a fact for each action, recomputed whole whenever something is said of it."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from apps.agents.models import Action
from apps.agents.rules import ActionState, Environment
from apps.audit.models import Entry
from apps.kpis.models import ActionFact
from apps.kpis.models.clock import reporting_zone
from apps.kpis.services.rollups import Touched, recompute_rollups
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind

ENDED = frozenset(
    {
        ActionState.SUCCEEDED,
        ActionState.FAILED,
        ActionState.DENIED,
        ActionState.REJECTED,
        ActionState.CHANGES_REQUESTED,
        ActionState.EXPIRED,
        ActionState.CANCELLED,
        ActionState.COMPENSATED,
    }
)
OF_ACTIONS = frozenset(f"action.{state}" for state in ENDED)
OF_EFFECTS = frozenset({"effect.verified", "effect.mismatch"})
JUDGING = (Kind.ACTION, Kind.REVIEW)
NOT_FOR_CONTENT = ("bad_timing", "not_needed")
"""Codes of rejections that say nothing of what was asked; every other reason does, also one in words alone."""

WRITE = """
INSERT INTO kpis_actionfact (action_id, run_id, version, agent, agent_version, operation, capability, state, ended_at,
                             alone, decided, reviewed, read_back, taken_back, amount_minor, currency, workflow, unit,
                             simulated)
SELECT action.id, action.run_id, coalesce(run.version, 0), agent.slug, version.number, action.operation,
       coalesce(task.capability, tried.capability, ''), action.state, action.finished_at,
       action.state IN ('succeeded', 'compensated') AND asked.n = 0, asked.as_asked, looked.found_right,
       CASE coalesce(was.read, 'effect.' || effect.state)
         WHEN 'effect.verified' THEN true WHEN 'effect.mismatch' THEN false END,
       action.state = 'compensated', action.amount_minor, action.currency, action.workflow, action.unit_id,
       coalesce(run.simulated, false)
FROM agents_action AS action
JOIN agents_agent AS agent ON agent.id = action.agent_id
LEFT JOIN agents_agentversion AS version ON version.id = action.version_id
LEFT JOIN connectors_effect AS effect ON effect.action_id = action.id
LEFT JOIN LATERAL (
  SELECT entry.name AS read FROM audit_entry AS entry
  WHERE effect.state = 'compensated' AND entry.subject_id = effect.id
    AND entry.name IN ('effect.verified', 'effect.mismatch')
  ORDER BY entry.id DESC LIMIT 1) AS was ON true
LEFT JOIN kpis_runfact AS run ON run.run_id = action.run_id
LEFT JOIN workflows_task AS task ON task.id = action.task_id
LEFT JOIN LATERAL (
  SELECT attempt.capability FROM workflows_attempt AS attempt
  WHERE attempt.task_id = action.task_id AND attempt.state <> 'late' LIMIT 1) AS tried ON true
CROSS JOIN LATERAL (
  SELECT count(*) AS n, bool_and(item.state = 'approved' AND NOT item.edited)
         FILTER (WHERE item.state IN ('approved', 'changes_requested')
                    OR item.state = 'rejected' AND item.reason_code <> ALL(%(beside)s)) AS as_asked
  FROM oversight_escalation AS item
  WHERE item.action_id = action.id AND item.kind = 'action' AND item.drill_for_id IS NULL) AS asked
CROSS JOIN LATERAL (
  SELECT bool_and(coalesce(item.answer ->> 'verdict', item.answer #>> '{}') = 'right') AS found_right
  FROM oversight_escalation AS item
  WHERE item.action_id = action.id AND item.kind = 'review' AND item.state = 'answered') AS looked
WHERE action.id = ANY(%(ids)s::uuid[]) AND action.environment = 'live' AND action.purpose = 'act'
  AND action.finished_at IS NOT NULL AND action.state = ANY(%(ended)s)
ON CONFLICT (action_id) DO UPDATE SET
  capability = coalesce(nullif(EXCLUDED.capability, ''), kpis_actionfact.capability),
  state = EXCLUDED.state, ended_at = EXCLUDED.ended_at, alone = EXCLUDED.alone, decided = EXCLUDED.decided,
  reviewed = EXCLUDED.reviewed, read_back = EXCLUDED.read_back, taken_back = EXCLUDED.taken_back,
  amount_minor = EXCLUDED.amount_minor, currency = EXCLUDED.currency, version = EXCLUDED.version,
  simulated = EXCLUDED.simulated
"""
"""Each action once, as it stands now. What no agent asked for, or only takes back, is none.

What was read back before an effect was taken back stays read: the ledger says it, the effect's own state no more.
"""

DAYS = """
SELECT DISTINCT workflow, (ended_at AT TIME ZONE %(zone)s)::date FROM kpis_actionfact
WHERE action_id = ANY(%(ids)s::uuid[])
"""


def judged_in(entries: Sequence[Entry]) -> set[UUID]:
    """The actions of which these entries say something new: that they ended, or what somebody found of them."""
    ids = {entry.subject_id for entry in entries if entry.name in OF_ACTIONS}
    ids |= {UUID(told) for entry in entries if entry.name in OF_EFFECTS and (told := entry.payload.get("action"))}
    items = [entry.subject_id for entry in entries if entry.subject_kind == "escalation"]
    if not items:
        return ids
    judged = Escalation.objects.filter(pk__in=items, kind__in=JUDGING)
    return ids | set(Action.objects.filter(escalations__in=judged).values_list("pk", flat=True))


def judge_actions(*, ids: Collection[UUID]) -> int:
    """Write what is known now of these actions, and recompute the buckets in which they lie; how many have a fact."""
    if not ids:
        return 0
    words: dict[str, Any] = {"ids": list(ids), "ended": sorted(ENDED), "zone": reporting_zone().key}
    words["beside"] = list(NOT_FOR_CONTENT)
    touched: Touched = set()
    with connection.cursor() as cursor:
        cursor.execute(DAYS, words)
        touched |= set(cursor.fetchall())
        cursor.execute(WRITE, words)
        cursor.execute(DAYS, words)
        touched |= set(cursor.fetchall())
    recompute_rollups(touched=touched)
    return ActionFact.objects.filter(pk__in=list(ids)).count()


def unjudged_actions(limit: int) -> list[UUID]:
    """Actions that ended and have no fact: those from before this was counted."""
    rows = Action.objects.filter(
        agent__isnull=False, environment=Environment.LIVE, purpose="act", state__in=sorted(ENDED)
    ).exclude(finished_at=None)
    known = ActionFact.objects.values("action_id")
    return list(rows.exclude(pk__in=known).order_by("-id").values_list("pk", flat=True)[:limit])
