from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kpis", "0043_fill_capabilities")]

    operations = [
        migrations.AlterField(
            model_name="historymark",
            name="kind",
            field=models.CharField(
                choices=[
                    ("version", "Version"),
                    ("policy", "Policy"),
                    ("halt", "Halt"),
                    ("outage", "Outage"),
                    ("price", "Price"),
                    ("baseline", "Baseline"),
                ],
                max_length=12,
            ),
        )
    ]
