"""A breaker on what systems show otherwise than it was done, on every agent; people change or end it."""

from django.db import migrations, models

KINDS = ("denied", "rejected", "failed", "mismatch", "volume", "spend")


def set_default(apps, schema_editor):
    values = {"name": "Not as it was done", "kind": "mismatch", "scope": "agent", "threshold": 5, "window_s": 3600}
    apps.get_model("halts", "Breaker").objects.get_or_create(slug="mismatches", defaults=values)


class Migration(migrations.Migration):

    dependencies = [("halts", "0003_set_default_breakers")]
    operations = [
        migrations.AlterField(
            model_name="breaker",
            name="kind",
            field=models.CharField(choices=[(kind, kind.title()) for kind in KINDS], max_length=8),
        ),
        migrations.RunPython(set_default, migrations.RunPython.noop),
    ]
