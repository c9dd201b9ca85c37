"""The built-in role has every permission but deciding: it gets the one to say as a directory who is there."""

from django.db import migrations

PROVISION = "access.provision_people"


def give(apps, schema_editor):
    for role in apps.get_model("access", "Role").objects.filter(slug="administrator"):
        if PROVISION not in role.permissions:
            role.permissions = sorted([*role.permissions, PROVISION])
            role.save(update_fields=["permissions"])


class Migration(migrations.Migration):
    dependencies = [("access", "0024_provision_people")]
    operations = [migrations.RunPython(give, migrations.RunPython.noop)]
