from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models

IS_CALL = models.Q(("tool_call", ""), _negated=True)


class Migration(migrations.Migration):
    atomic = False  # spans are read and written meanwhile

    dependencies = [
        ("telemetry", "0012_keep_versions_that_spans_name"),
    ]

    operations = [
        RemoveIndexConcurrently(model_name="span", name="span_of_tool"),
        RemoveIndexConcurrently(model_name="span", name="span_of_tool_by_time"),
        AddIndexConcurrently(
            model_name="span",
            index=models.Index(
                condition=IS_CALL, fields=["agent", "tool", "tool_call", "ended_at"], name="span_of_tool"
            ),
        ),
        AddIndexConcurrently(
            model_name="span",
            index=models.Index(condition=IS_CALL, fields=["ended_at"], name="span_of_tool_by_time"),
        ),
    ]
