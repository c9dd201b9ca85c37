"""What a drill measured stays as it was written: PostgreSQL refuses to change one that has ended, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION halts_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what a drill measured is not changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER drill_stays BEFORE UPDATE ON halts_haltdrill FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL)
    EXECUTE FUNCTION halts_refuse_change();
CREATE TRIGGER drill_is_kept BEFORE DELETE ON halts_haltdrill FOR EACH ROW EXECUTE FUNCTION halts_refuse_change();
ALTER TABLE halts_haltdrill ENABLE ALWAYS TRIGGER drill_stays;
ALTER TABLE halts_haltdrill ENABLE ALWAYS TRIGGER drill_is_kept;
"""

BACKWARD = """
DROP TRIGGER drill_stays ON halts_haltdrill;
DROP TRIGGER drill_is_kept ON halts_haltdrill;
DROP FUNCTION halts_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("halts", "0005_drill_halts")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
