from django.db import migrations, models

IS_CALL = models.Q(("tool_call", ""), _negated=True)


class Migration(migrations.Migration):
    dependencies = [
        ("telemetry", "0012_keep_versions_that_spans_name"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="span", name="span_of_tool"),
        migrations.RemoveIndex(model_name="span", name="span_of_tool_by_time"),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(
                condition=IS_CALL, fields=["agent", "tool", "tool_call", "ended_at"], name="span_of_tool"
            ),
        ),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(condition=IS_CALL, fields=["ended_at"], name="span_of_tool_by_time"),
        ),
    ]
