from django.conf import settings
from django.db import migrations

RUNS = """
UPDATE kpis_runfact AS run SET mismatches = seen.n
FROM (SELECT action.run_id, count(*) AS n
      FROM connectors_effect AS effect
      JOIN agents_action AS action ON action.id = effect.action_id
      LEFT JOIN LATERAL (
        SELECT entry.name AS read FROM audit_entry AS entry
        WHERE effect.state = 'compensated' AND entry.subject_id = effect.id
          AND entry.name IN ('effect.verified', 'effect.mismatch')
        ORDER BY entry.id DESC LIMIT 1) AS was ON true
      WHERE action.run_id IS NOT NULL AND effect.state IN ('mismatch', 'compensated')
        AND coalesce(was.read, 'effect.' || effect.state) = 'effect.mismatch'
      GROUP BY 1) AS seen
WHERE seen.run_id = run.run_id AND run.mismatches <> seen.n
"""
ROLLUPS = """
UPDATE kpis_rollupday AS rollup SET wrong = seen.wrong
FROM (SELECT (finished_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated, count(*) AS wrong
      FROM kpis_runfact
      WHERE state IN ('succeeded', 'failed') AND NOT superseded AND (state = 'failed' OR mismatches > 0)
      GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
      AND rollup.wrong <> seen.wrong
"""


def fill(apps, schema_editor):
    """Runs that lost the mismatch of what was taken back when something else of them was counted have it again."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(RUNS)
        cursor.execute(ROLLUPS, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0047_forget_what_stands_in_line'),
        ('agents', '0001_initial'),
        ('audit', '0001_initial'),
        ('connectors', '0001_connectors_operations_effects'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
