from django.db import migrations, models

AS_IT_IS = """
ALTER TABLE kpis_durationday ALTER COLUMN failed_cycle SET STORAGE EXTERNAL,
  ALTER COLUMN cancelled_cycle SET STORAGE EXTERNAL, ALTER COLUMN open_latency SET STORAGE EXTERNAL
"""


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0027_set_rates'),
    ]

    operations = [
        migrations.AddField(
            model_name='approvalfact',
            name='open_ms',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='durationday',
            name='cancelled_cycle',
            field=models.BinaryField(db_default=b'', default=b''),
        ),
        migrations.AddField(
            model_name='durationday',
            name='failed_cycle',
            field=models.BinaryField(db_default=b'', default=b''),
        ),
        migrations.AddField(
            model_name='durationday',
            name='open_latency',
            field=models.BinaryField(db_default=b'', default=b''),
        ),
        migrations.AddField(
            model_name='rollupday',
            name='decided_in_calendar',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='rollupday',
            name='hasty',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.RunSQL(AS_IT_IS, migrations.RunSQL.noop),
    ]
