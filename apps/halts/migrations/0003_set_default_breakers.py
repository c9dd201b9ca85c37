"""Breakers on every agent and system from the first day on; people change or end them."""

from django.db import migrations

DEFAULTS = (
    ("denials", "Denied too often", "denied", "agent", 30, 60),
    ("rejections", "Rejected too often", "rejected", "agent", 10, 3600),
    ("failures", "Failed too often", "failed", "agent", 10, 300),
    ("failures-of-a-system", "A system that fails", "failed", "connector", 25, 300),
    ("volume", "Far more than usual", "volume", "agent", 10, 60),
)


def set_defaults(apps, schema_editor):
    breakers = apps.get_model("halts", "Breaker").objects
    for slug, name, kind, scope, threshold, window_s in DEFAULTS:
        values = {"name": name, "kind": kind, "scope": scope, "threshold": threshold, "window_s": window_s}
        breakers.get_or_create(slug=slug, defaults=values)


class Migration(migrations.Migration):

    dependencies = [("halts", "0002_open_breakers")]
    operations = [migrations.RunPython(set_defaults, migrations.RunPython.noop)]
