"""PostgreSQL itself refuses to change the ledger: no privilege for the application, no row change for anybody."""

from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.occurred_at := clock_timestamp();
    NEW.xid := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER entry_stamp BEFORE INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_stamp();
CREATE TRIGGER entry_frozen BEFORE UPDATE OR DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER entry_kept BEFORE TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER entry_stamp;
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER entry_frozen;
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER entry_kept;
"""
BACKWARD = """
DROP TRIGGER entry_stamp ON audit_entry;
DROP TRIGGER entry_frozen ON audit_entry;
DROP TRIGGER entry_kept ON audit_entry;
DROP FUNCTION audit_stamp();
DROP FUNCTION audit_refuse();
"""


def take_privileges(apps, schema_editor):
    """The application may insert and read. Without an owner of its own the triggers stand alone (/readyz says so)."""
    role = unquote(urlsplit(settings.DATABASE_URL).username or "")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if role and role != cursor.fetchone()[0]:
            name = schema_editor.quote_name(role)
            cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit_entry FROM {name}")


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_initial")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunPython(take_privileges, migrations.RunPython.noop),
    ]
