from django.conf import settings
from django.db import migrations, models

DENIED = """
UPDATE kpis_rollupday AS rollup SET denied = seen.denied
FROM (SELECT (ended_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated, count(*) AS denied
      FROM kpis_actionfact WHERE state = 'denied' GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def fill(apps, schema_editor):
    """Every day with a fact of an action has its row already."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(DENIED, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0022_find_deciders'),
    ]

    operations = [
        migrations.AddField(
            model_name='rollupday',
            name='denied',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
