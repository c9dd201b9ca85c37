"""A version's text and an attempt stay as they were written: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION workflows_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not changed once it is written', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER version_stays BEFORE UPDATE OF workflow_id, number, source, compiled, digest, made_by_id, created_at
    ON workflows_workflowversion FOR EACH ROW
    WHEN (OLD.source IS DISTINCT FROM NEW.source OR OLD.compiled IS DISTINCT FROM NEW.compiled
          OR OLD.digest IS DISTINCT FROM NEW.digest OR OLD.number IS DISTINCT FROM NEW.number
          OR OLD.workflow_id IS DISTINCT FROM NEW.workflow_id OR OLD.made_by_id IS DISTINCT FROM NEW.made_by_id
          OR OLD.created_at IS DISTINCT FROM NEW.created_at)
    EXECUTE FUNCTION workflows_refuse_change();
CREATE TRIGGER version_is_kept BEFORE DELETE ON workflows_workflowversion
    FOR EACH ROW EXECUTE FUNCTION workflows_refuse_change();
CREATE TRIGGER attempt_stays BEFORE UPDATE ON workflows_attempt
    FOR EACH ROW EXECUTE FUNCTION workflows_refuse_change();
ALTER TABLE workflows_workflowversion ENABLE ALWAYS TRIGGER version_stays;
ALTER TABLE workflows_workflowversion ENABLE ALWAYS TRIGGER version_is_kept;
ALTER TABLE workflows_attempt ENABLE ALWAYS TRIGGER attempt_stays;
"""

BACKWARD = """
DROP TRIGGER version_stays ON workflows_workflowversion;
DROP TRIGGER version_is_kept ON workflows_workflowversion;
DROP TRIGGER attempt_stays ON workflows_attempt;
DROP FUNCTION workflows_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0001_definitions_runs_tasks")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
