"""A waiver knows whether its rule is confidential; those that there are learn it from the rule in force."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Mark the waivers whose rule is in force and confidential."""
    for waiver in apps.get_model("policies", "Waiver").objects.select_related("policy__in_force"):
        rules = waiver.policy.in_force.rules if waiver.policy.in_force else []
        if any(rule.get("slug") == waiver.rule and rule.get("confidential") for rule in rules):
            waiver.confidential = True
            waiver.save(update_fields=["confidential"])


class Migration(migrations.Migration):
    dependencies = [("policies", "0014_warn_of_ending_waivers")]

    operations = [
        migrations.AddField(
            model_name="waiver", name="confidential", field=models.BooleanField(db_default=False, default=False)
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
    ]
