"""A policy in force covers what its version in force does: a draft may have moved it before its release."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def mend(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Give each policy in force the unit of its version in force; where that unit is gone, it stays as it is."""
    units = {unit.slug: unit for unit in apps.get_model("access", "BusinessUnit").objects.all()}
    for policy in apps.get_model("policies", "Policy").objects.exclude(in_force=None).select_related("in_force"):
        covered = policy.in_force.unit
        unit = units.get(covered)
        if (unit is not None or not covered) and policy.unit_id != (unit.pk if unit else None):
            policy.unit = unit
            policy.save(update_fields=["unit"])


class Migration(migrations.Migration):
    dependencies = [("policies", "0015_waivers_of_confidential_rules")]

    operations = [migrations.RunPython(mend, migrations.RunPython.noop, elidable=True)]
