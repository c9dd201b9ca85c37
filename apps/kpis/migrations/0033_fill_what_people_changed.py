from django.conf import settings
from django.db import migrations

RUNS = """
UPDATE kpis_runfact AS run SET amended = said.amended, turned_down = said.turned_down
FROM (
  SELECT run_id, bool_or(by_person AND (edited OR outcome = 'changes_requested')) AS amended,
         bool_or(outcome = 'rejected') AS turned_down
  FROM kpis_approvalfact WHERE edited OR outcome IN ('changes_requested', 'rejected') GROUP BY run_id) AS said
WHERE said.run_id = run.run_id AND (said.amended OR said.turned_down)
"""
DAYS = """
UPDATE kpis_rollupday AS rollup SET amended = seen.amended, turned_down = seen.turned_down
FROM (SELECT (finished_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated,
             count(*) FILTER (WHERE NOT turned_down) AS amended, count(*) FILTER (WHERE turned_down) AS turned_down
      FROM kpis_runfact WHERE state = 'succeeded' AND NOT superseded AND (amended OR turned_down)
      GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def fill(apps, schema_editor):
    """What follows from the decisions that are there."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(RUNS)
        cursor.execute(DAYS, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0032_count_what_people_changed'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
