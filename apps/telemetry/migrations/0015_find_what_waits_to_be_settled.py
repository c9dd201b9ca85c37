from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # spans are read and written meanwhile

    dependencies = [
        ("telemetry", "0014_keep_what_waits_to_be_settled"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="span",
            index=models.Index(
                condition=models.Q(("waits", True)), fields=["agent", "trace_id", "created_at"], name="span_waiting"
            ),
        ),
    ]
