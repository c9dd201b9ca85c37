"""PostgreSQL itself refuses to change an escalation that has ended."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION oversight_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an escalation that has ended does not change' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER escalation_frozen BEFORE UPDATE ON oversight_escalation FOR EACH ROW
    WHEN (OLD.state NOT IN ('pending', 'held')) EXECUTE FUNCTION oversight_frozen();
"""
BACKWARD = """
DROP TRIGGER escalation_frozen ON oversight_escalation;
DROP FUNCTION oversight_frozen();
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
