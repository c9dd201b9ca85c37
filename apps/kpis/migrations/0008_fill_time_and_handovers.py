from django.conf import settings
from django.db import migrations

HANDOVERS = """
UPDATE kpis_runfact AS run SET handovers = handed.n
FROM (
  SELECT run_id, count(*) FILTER (WHERE who <> '' AND before <> '' AND who <> before) AS n
  FROM (SELECT run_id, who, lag(who) OVER (PARTITION BY run_id ORDER BY finished_at, step_id) AS before
        FROM (SELECT run_id, finished_at, step_id,
                     CASE WHEN kind IN ('approval', 'form') THEN 'people' ELSE agent END AS who
              FROM kpis_stepfact WHERE state IN ('done', 'failed', 'superseded')) AS done) AS row
  GROUP BY run_id) AS handed
WHERE handed.run_id = run.run_id AND handed.n > 0
"""
PAUSED = """
UPDATE kpis_runfact AS fact SET paused_since = run.paused_at
FROM workflows_run AS run WHERE run.id = fact.run_id AND run.state = 'paused' AND fact.finished_at IS NULL
"""
OF_RUNS = """
UPDATE kpis_rollupday AS rollup SET paused_ms = seen.paused_ms, handovers = seen.handovers
FROM (SELECT (finished_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated,
             sum(paused_ms) AS paused_ms, sum(handovers) AS handovers
      FROM kpis_runfact WHERE finished_at IS NOT NULL AND NOT superseded GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""
OF_DECISIONS = """
UPDATE kpis_rollupday AS rollup SET asked_by_rule = seen.asked_by_rule, needless = seen.needless
FROM (SELECT (decided_at AT TIME ZONE %s)::date AS day, workflow, unit, simulated, count(*) AS asked_by_rule,
             count(*) FILTER (WHERE outcome = 'approved' AND NOT edited) AS needless
      FROM kpis_approvalfact WHERE by_person AND rule <> '' GROUP BY 1, 2, 3, 4) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, 0, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def fill(apps, schema_editor):
    """What follows from the facts that are there. Open time needs calendars: the hourly job fills it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(HANDOVERS)
        cursor.execute(PAUSED)
        for statement in (OF_RUNS, OF_DECISIONS):
            cursor.execute(statement, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0007_count_time_and_handovers'),
        ('workflows', '0023_erase_with_two_people'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
