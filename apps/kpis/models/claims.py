"""What came of each task that an agent took: how long it was at it, and what that cost."""

from typing import Any

from django.db.models import BigIntegerField, Count, F, Func, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from apps.kpis.models.measures import Duration
from apps.workflows.models import Attempt
from apps.workflows.rules.states import AttemptState

DONE = Q(state=AttemptState.DONE)


def claims() -> QuerySet[Attempt]:
    """How claims of tasks ended. What came after a claim was over is none."""
    rows = Attempt.objects.filter(task_id__isnull=False, agent__isnull=False, claimed_at__isnull=False)
    return rows.exclude(state=AttemptState.LATE).select_related("agent", "run__workflow")


class Worked(Func):
    """Milliseconds from a claim to its end, without those in which people decided on what the agent asked for in it."""

    template = """(
      SELECT (extract(epoch FROM greatest(one.until - one.since, interval '0')) * 1000 - coalesce((
        SELECT sum(extract(epoch FROM upper(piece) - lower(piece)) * 1000)
        FROM (SELECT tstzmultirange(tstzrange(one.since, greatest(one.since, one.until))) * range_agg(
                       tstzrange(item.created_at, greatest(item.created_at, coalesce(item.ended_at, one.until)))
                     ) AS pieces
              FROM agents_action AS action JOIN oversight_escalation AS item ON item.action_id = action.id
              WHERE action.run_id = one.run AND action.task_id = one.task AND action.agent_id = one.agent
                AND item.kind = 'action' AND item.drill_for_id IS NULL) AS asked,
             unnest(asked.pieces) AS piece), 0))::bigint
      FROM (VALUES (%(expressions)s)) AS one (run, task, agent, since, until))"""
    output_field = BigIntegerField()


class Costs(Func):
    """What a claim cost, in millionths of the reporting currency.

    What models cost and what was asked for while an agent had a task is of the claim that it had then: of its last one
    before, else of its first.
    """

    template = """(
      SELECT least(coalesce(sum(spent.micro), 0), 9223372036854775807)::bigint
      FROM (VALUES (%(expressions)s)) AS one (id, run, task, agent, since)
      CROSS JOIN LATERAL (
        SELECT amount_micro AS micro, one.since AS at FROM kpis_costitem WHERE source_id = one.id
        UNION ALL
        SELECT cost.amount_micro, cost.incurred_at FROM telemetry_usagerecord AS used
          JOIN kpis_costitem AS cost ON cost.source_id = used.id AND cost.kind = 'llm'
          WHERE used.run_id = one.run AND used.task_id = one.task AND used.agent_id = one.agent
        UNION ALL
        SELECT cost.amount_micro, action.created_at FROM agents_action AS action
          JOIN kpis_costitem AS cost ON cost.source_id = action.id AND cost.kind IN ('agent', 'connector')
          WHERE action.run_id = one.run AND action.task_id = one.task AND action.agent_id = one.agent) AS spent
      WHERE one.since = (
        SELECT coalesce(max(had.since) FILTER (WHERE had.since <= spent.at), min(had.since))
        FROM (SELECT claimed_at AS since FROM workflows_attempt
              WHERE task_id = one.task AND agent_id = one.agent AND state <> 'late' AND claimed_at IS NOT NULL
              UNION ALL
              SELECT claimed_at FROM workflows_task WHERE id = one.task AND agent_id = one.agent) AS had))"""
    output_field = BigIntegerField()


def claims_worked() -> QuerySet[Attempt]:
    """Claims by versions of agents, with where they belong, how long each took (``took_ms``) and what it cost."""
    rows = claims().filter(version__isnull=False)
    return rows.annotate(
        ended_at=F("created_at"),
        agent_version=F("version__number"),
        workflow=F("run__workflow__slug"),
        unit=F("run__unit"),
        took_ms=Worked(F("run"), F("task_id"), F("agent"), F("claimed_at"), F("created_at")),
        cost_micro=Costs(F("id"), F("run"), F("task_id"), F("agent"), F("claimed_at")),
    )


TASK = Duration("task", "took_ms", DONE, (0.5,), "ended_at")

TASK_MEASURES: dict[str, Any] = {
    "tasks": Count("id"),
    "tasks_done": Count("id", filter=DONE),
    "task_micro": Coalesce(Sum("cost_micro"), 0, output_field=BigIntegerField()),
}
"""Over claims by the time at which they ended."""
