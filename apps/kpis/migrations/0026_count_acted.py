from django.conf import settings
from django.db import migrations, models

ACTED = """
UPDATE kpis_rollupday AS rollup SET acted = seen.acted, acted_alone = seen.acted_alone
FROM (SELECT (ended_at AT TIME ZONE %s)::date AS day, workflow, version, unit, simulated, count(*) AS acted,
             count(*) FILTER (WHERE alone) AS acted_alone
      FROM kpis_actionfact GROUP BY 1, 2, 3, 4, 5) AS seen
WHERE (rollup.day, rollup.workflow, rollup.version, rollup.simulated)
      = (seen.day, seen.workflow, seen.version, seen.simulated) AND rollup.unit IS NOT DISTINCT FROM seen.unit
"""


def fill(apps, schema_editor):
    """Every day with a fact of an action."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(ACTED, [settings.ACP_REPORTING_TZ])


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0025_fill_times_of_runs'),
    ]

    operations = [
        migrations.AddField(
            model_name='rollupday',
            name='acted',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='rollupday',
            name='acted_alone',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
