"""The built-in role: everything except deciding."""

from django.db import migrations

from apps.access.rules import ADMINISTRATOR, ADMINISTRATOR_PERMISSIONS


def make_role(apps, schema_editor):
    apps.get_model("access", "Role").objects.get_or_create(
        slug=ADMINISTRATOR, defaults={"name": "Administrator", "permissions": sorted(ADMINISTRATOR_PERMISSIONS)}
    )


class Migration(migrations.Migration):
    dependencies = [("access", "0002_initial")]
    operations = [migrations.RunPython(make_role, migrations.RunPython.noop)]
