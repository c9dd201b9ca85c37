from django.conf import settings
from django.db import migrations

FORGET = """
WITH gone AS (
  DELETE FROM kpis_runfact AS fact USING workflows_run AS run
  WHERE run.id = fact.run_id AND run.started_at IS NULL AND run.finished_at IS NULL AND fact.finished_at IS NULL
  RETURNING (fact.started_at AT TIME ZONE %s)::date AS day, fact.workflow, fact.version, fact.unit, fact.simulated)
UPDATE kpis_rollupday AS rollup SET arrivals = greatest(0, rollup.arrivals - seen.n)
FROM (SELECT day, workflow, version, unit, simulated, count(*) AS n FROM gone GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def forget(apps, schema_editor):
    """Runs that have not started have no fact any more: it is written when they do."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(FORGET, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0046_tell_about_cases'),
        ('workflows', '0001_definitions_runs_tasks'),
    ]

    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
