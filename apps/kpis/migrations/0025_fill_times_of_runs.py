from django.conf import settings
from django.db import migrations

RUNS = """
UPDATE kpis_runfact AS run SET
  tries = coalesce(step.tries, 0), failed_tries = coalesce(step.failed_tries, 0),
  worked_steps = coalesce(step.worked, 0), automated_steps = coalesce(step.automated, 0),
  (touch_ms, agent_ms, connector_ms, queue_ms, wait_ms) = (
    SELECT touch, agent, connector, queue, coalesce(run.cycle_ms, 0) - touch - agent - connector
    FROM (SELECT coalesce(trunc(sum(ms) FILTER (WHERE part = 'touch')), 0) AS touch,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'agent')), 0) AS agent,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'connector')), 0) AS connector,
                 coalesce(trunc(sum(ms) FILTER (WHERE part = 'queue')), 0) AS queue
          FROM (SELECT coalesce(cost.hands, '{}') AS people, coalesce(step.by_agents, '{}') AS agent,
                       coalesce(step.by_connectors, '{}') AS connector, coalesce(step.queued, '{}') AS queue) AS work,
               LATERAL (VALUES ('touch', people), ('agent', agent - people), ('connector', connector - agent - people),
                               ('queue', queue - connector - agent - people)) AS parts (part, pieces),
               LATERAL (SELECT tstzmultirange(tstzrange(run.started_at, greatest(run.started_at, run.finished_at)))
                       ) AS whole (run),
               LATERAL unnest(pieces * whole.run) AS piece,
               LATERAL (SELECT extract(epoch FROM upper(piece) - lower(piece)) * 1000 AS ms) AS measured) AS spent)
FROM kpis_runfact AS wanted
LEFT JOIN (
  SELECT run_id, sum(attempts) FILTER (WHERE by_machine) AS tries,
         sum(failed_attempts) FILTER (WHERE by_machine) AS failed_tries,
         count(*) FILTER (WHERE by_machine OR kind IN ('approval', 'form')) AS worked,
         count(*) FILTER (WHERE by_machine AND NOT by_hand) AS automated,
         range_agg(tstzrange(started_at, greatest(started_at, finished_at)))
           FILTER (WHERE kind = 'agent' AND started_at IS NOT NULL) AS by_agents,
         range_agg(tstzrange(started_at, greatest(started_at, finished_at)))
           FILTER (WHERE kind = 'operation' AND started_at IS NOT NULL) AS by_connectors,
         range_agg(tstzrange(queued_at, greatest(queued_at, started_at)))
           FILTER (WHERE kind = 'agent' AND queued_at IS NOT NULL AND started_at IS NOT NULL) AS queued
  FROM (SELECT *, kind IN ('agent', 'operation') AS by_machine FROM kpis_stepfact
        WHERE state IN ('done', 'failed', 'superseded')) AS told GROUP BY run_id) AS step USING (run_id)
LEFT JOIN (
  SELECT run_id, range_agg(tstzrange(incurred_at - quantity * interval '1 ms', incurred_at)) AS hands
  FROM kpis_costitem WHERE kind = 'human' AND run_id IS NOT NULL GROUP BY run_id) AS cost USING (run_id)
WHERE run.run_id = wanted.run_id
"""
ROLLUPS = """
UPDATE kpis_rollupday AS rollup SET touch_ms = seen.touch_ms, agent_ms = seen.agent_ms,
  connector_ms = seen.connector_ms, wait_ms = seen.wait_ms, queue_ms = seen.queue_ms, flow_ms = seen.flow_ms,
  taken_ms = seen.taken_ms, tries = seen.tries, failed_tries = seen.failed_tries, worked_steps = seen.worked_steps,
  automated_steps = seen.automated_steps
FROM (SELECT (finished_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated,
             sum(touch_ms) AS touch_ms, sum(agent_ms) AS agent_ms, sum(connector_ms) AS connector_ms,
             sum(wait_ms) AS wait_ms, sum(queue_ms) AS queue_ms,
             coalesce(sum(cycle_ms - wait_ms) FILTER (WHERE state = 'succeeded'), 0) AS flow_ms,
             coalesce(sum(cycle_ms) FILTER (WHERE state = 'succeeded'), 0) AS taken_ms,
             coalesce(sum(tries) FILTER (WHERE state <> 'cancelled'), 0) AS tries,
             coalesce(sum(failed_tries) FILTER (WHERE state <> 'cancelled'), 0) AS failed_tries,
             coalesce(sum(worked_steps) FILTER (WHERE state <> 'cancelled'), 0) AS worked_steps,
             coalesce(sum(automated_steps) FILTER (WHERE state <> 'cancelled'), 0) AS automated_steps
      FROM kpis_runfact WHERE finished_at IS NOT NULL AND NOT superseded GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def fill(apps, schema_editor):
    """What follows from the facts that are there: where the time of each run went, and what its steps came to."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(RUNS)
        cursor.execute(ROLLUPS, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0024_count_times_of_runs'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
