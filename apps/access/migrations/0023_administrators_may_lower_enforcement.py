"""The built-in role has every permission but deciding: it gets the one to lower what policies enforce."""

from django.db import migrations

LOWER = "policies.lower_enforcement"


def give(apps, schema_editor):
    for role in apps.get_model("access", "Role").objects.filter(slug="administrator"):
        if LOWER not in role.permissions:
            role.permissions = sorted([*role.permissions, LOWER])
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("access", "0022_keep_sessions_of_people")]
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
