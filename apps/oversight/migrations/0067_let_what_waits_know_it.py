"""What waits for people learns in which unit its run was started, so that a halt there covers it."""

from django.db import migrations

LEARN = """
DO $$ BEGIN
    IF to_regclass('workflows_run') IS NOT NULL THEN
        UPDATE oversight_escalation e SET run_unit_id = r.unit_id FROM workflows_run r
        WHERE r.id = e.run_id AND e.state IN ('pending', 'held');
    END IF;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0066_know_the_unit_of_a_run")]
    operations = [migrations.RunSQL(LEARN, migrations.RunSQL.noop)]
