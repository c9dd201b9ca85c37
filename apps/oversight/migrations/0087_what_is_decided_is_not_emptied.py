"""What was decided and what was seen are not emptied either: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION oversight_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is not emptied', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER escalations_kept BEFORE TRUNCATE ON oversight_escalation
    FOR EACH STATEMENT EXECUTE FUNCTION oversight_kept();
CREATE TRIGGER views_kept BEFORE TRUNCATE ON oversight_viewsnapshot
    FOR EACH STATEMENT EXECUTE FUNCTION oversight_kept();
ALTER TABLE oversight_escalation ENABLE ALWAYS TRIGGER escalations_kept;
ALTER TABLE oversight_viewsnapshot ENABLE ALWAYS TRIGGER views_kept;
ALTER TABLE oversight_escalation ENABLE ALWAYS TRIGGER escalation_frozen;
ALTER TABLE oversight_escalation ENABLE ALWAYS TRIGGER escalation_stays_a_drill;
ALTER TABLE oversight_viewsnapshot ENABLE ALWAYS TRIGGER view_kept;
"""

BACKWARD = """
ALTER TABLE oversight_escalation ENABLE TRIGGER escalation_frozen;
ALTER TABLE oversight_escalation ENABLE TRIGGER escalation_stays_a_drill;
ALTER TABLE oversight_viewsnapshot ENABLE TRIGGER view_kept;
DROP TRIGGER escalations_kept ON oversight_escalation;
DROP TRIGGER views_kept ON oversight_viewsnapshot;
DROP FUNCTION oversight_kept();
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0086_find_what_was_said")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
