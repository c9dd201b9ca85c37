"""The leaves of sealed entries, in their places. They are appended and read, and nothing else."""

from urllib.parse import unquote, urlsplit

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER leaf_frozen BEFORE UPDATE OR DELETE ON audit_leaf FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER leaves_kept BEFORE TRUNCATE ON audit_leaf FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_leaf ENABLE ALWAYS TRIGGER leaf_frozen;
ALTER TABLE audit_leaf ENABLE ALWAYS TRIGGER leaves_kept;
"""
BACKWARD = """
DROP TRIGGER leaf_frozen ON audit_leaf;
DROP TRIGGER leaves_kept ON audit_leaf;
"""


def take_privileges(apps, schema_editor):
    """The application inserts and reads."""
    role = unquote(urlsplit(settings.DATABASE_URL).username or "")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if role and role != cursor.fetchone()[0]:
            name = schema_editor.quote_name(role)
            cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit_leaf FROM {name}")


class Migration(migrations.Migration):
    dependencies = [("audit", "0007_erase_payloads")]

    operations = [
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("place", models.BigIntegerField(primary_key=True, serialize=False)),
                ("hash", models.BinaryField()),
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="leaf", to="audit.entry"
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunPython(take_privileges, migrations.RunPython.noop),
    ]
