from django.conf import settings
from django.db import migrations

HASTY = """
UPDATE kpis_rollupday AS rollup SET hasty = seen.hasty
FROM (SELECT (decided_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated, count(*) AS hasty
      FROM kpis_approvalfact WHERE by_person AND latency_ms < 5000 GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""
FORGET = "DELETE FROM kpis_durationday"


def fill(apps, schema_editor):
    """What follows from the facts that are there.

    Durations are forgotten and, within minutes, written down anew with those of failed and cancelled runs; facts answer
    meanwhile. Open time needs calendars: the hourly job fills it.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(HASTY, [settings.ACP_REPORTING_TZ])
        cursor.execute(FORGET)


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0028_time_failures_and_decisions'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
