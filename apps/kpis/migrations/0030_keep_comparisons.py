import apps.core.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0029_fill_failures_and_decisions'),
    ]

    operations = [
        migrations.CreateModel(
            name='Reconciliation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=apps.core.models.ClockTimestamp())),
                ('days', models.PositiveSmallIntegerField()),
                ('mended', models.PositiveIntegerField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
    ]
