from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("kpis", "0045_fill_estimated_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="logcase",
            name="told",
            field=models.JSONField(db_default={}, default=dict),
        ),
    ]
