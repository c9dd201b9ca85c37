from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0025_versions_and_attempts_are_not_emptied'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='attempt',
            index=models.Index(fields=['agent', 'created_at'], name='attempt_by_agent'),
        ),
    ]
