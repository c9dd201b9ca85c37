from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0002_spans'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='span',
            index=models.Index(condition=models.Q(('run_id', None), _negated=True), fields=['run_id'], name='span_by_run'),
        ),
    ]
