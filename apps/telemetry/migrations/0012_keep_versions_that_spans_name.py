from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0011_find_calls_of_tools_by_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="span",
            name="sent_as",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="span",
            name="told_version",
            field=models.CharField(blank=True, db_default="", default="", max_length=60),
        ),
    ]
