"""A version of an agent stays as it was written, but for its state: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION agents_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not changed once it is written', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER version_stays BEFORE UPDATE ON agents_agentversion FOR EACH ROW
    WHEN (to_jsonb(OLD) - 'state' IS DISTINCT FROM to_jsonb(NEW) - 'state')
    EXECUTE FUNCTION agents_refuse_change();
CREATE TRIGGER version_is_kept BEFORE DELETE ON agents_agentversion
    FOR EACH ROW EXECUTE FUNCTION agents_refuse_change();
ALTER TABLE agents_agentversion ENABLE ALWAYS TRIGGER version_stays;
ALTER TABLE agents_agentversion ENABLE ALWAYS TRIGGER version_is_kept;
"""

BACKWARD = """
DROP TRIGGER version_stays ON agents_agentversion;
DROP TRIGGER version_is_kept ON agents_agentversion;
DROP FUNCTION agents_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0003_keep_what_an_operation_was")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
