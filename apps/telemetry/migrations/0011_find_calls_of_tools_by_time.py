from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('telemetry', '0010_count_reasoning'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='span',
            index=models.Index(
                condition=models.Q(('tool_call', ''), _negated=True), fields=['started_at'], name='span_of_tool_by_time'
            ),
        ),
    ]
