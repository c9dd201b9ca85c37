"""Payloads are inserted, never changed, and deleted by one function alone, which leaves a trace."""

from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_payload_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.audit_erasure WHERE entry_id = OLD.entry_id) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER payload_frozen BEFORE UPDATE ON audit_payload FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER payload_kept BEFORE DELETE ON audit_payload FOR EACH ROW EXECUTE FUNCTION audit_payload_kept();
CREATE TRIGGER payloads_kept BEFORE TRUNCATE ON audit_payload FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER erasure_frozen BEFORE UPDATE OR DELETE ON audit_erasure FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER erasures_kept BEFORE TRUNCATE ON audit_erasure FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER payload_frozen;
ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER payload_kept;
ALTER TABLE audit_payload ENABLE ALWAYS TRIGGER payloads_kept;
ALTER TABLE audit_erasure ENABLE ALWAYS TRIGGER erasure_frozen;
ALTER TABLE audit_erasure ENABLE ALWAYS TRIGGER erasures_kept;

CREATE FUNCTION audit_erase(erasing bigint, entries bigint[], facts json[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    because audit_entry;
    erased integer;
BEGIN
    SELECT * INTO because FROM audit_entry
    WHERE id = erasing AND name = 'payloads.erased' AND xid = pg_current_xact_id();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an erasure needs its own entry in the same transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (
        SELECT FROM unnest(entries, facts) AS f(id, kept) JOIN audit_payload p ON p.entry_id = f.id
        WHERE NOT (p.content -> 'payload')::jsonb @> f.kept::jsonb
    ) OR EXISTS (SELECT FROM audit_entry WHERE id = ANY(entries) AND name = 'payloads.erased') THEN
        RAISE EXCEPTION 'what is kept must have been written, and an erasure is never erased'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO audit_erasure (entry_id, because_id, at, by, kept)
    SELECT p.entry_id, because.id, because.occurred_at, because.actor_label, f.kept
    FROM unnest(entries, facts) AS f(id, kept) JOIN audit_payload p ON p.entry_id = f.id;
    DELETE FROM audit_payload p USING audit_erasure x WHERE x.entry_id = p.entry_id AND x.because_id = because.id;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;
REVOKE EXECUTE ON FUNCTION audit_erase FROM PUBLIC;

CREATE FUNCTION audit_erasing() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM public.audit_entry WHERE xid = pg_current_xact_id() AND name = 'payloads.erased')
$$;
"""
BACKWARD = """
DROP FUNCTION audit_erase;
DROP FUNCTION audit_erasing;
DROP TRIGGER payload_frozen ON audit_payload;
DROP TRIGGER payload_kept ON audit_payload;
DROP TRIGGER payloads_kept ON audit_payload;
DROP TRIGGER erasure_frozen ON audit_erasure;
DROP TRIGGER erasures_kept ON audit_erasure;
DROP FUNCTION audit_payload_kept();
"""


def share(apps, schema_editor):
    """The application inserts and reads payloads and calls the function; of erasures it reads what the function wrote."""
    role = unquote(urlsplit(settings.DATABASE_URL).username or "")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if role and role != cursor.fetchone()[0]:
            name = schema_editor.quote_name(role)
            cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit_payload FROM {name}")
            cursor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON audit_erasure FROM {name}")
            cursor.execute(f"GRANT EXECUTE ON FUNCTION audit_erase TO {name}")


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_move_payloads")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunPython(share, migrations.RunPython.noop),
    ]
