from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0013_find_calls_of_tools_by_their_end"),
    ]

    operations = [
        migrations.AddField(
            model_name="span",
            name="waits",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
