"""The built-in role has every permission but deciding: it gets the one to erase."""

from django.db import migrations

ERASE = "audit.erase_payload"


def give(apps, schema_editor):
    for role in apps.get_model("access", "Role").objects.filter(slug="administrator"):
        if ERASE not in role.permissions:
            role.permissions = sorted([*role.permissions, ERASE])
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("access", "0007_calendars_know_a_region")]
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
