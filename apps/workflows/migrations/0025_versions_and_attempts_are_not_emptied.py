"""Versions and attempts are not emptied either: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER versions_kept BEFORE TRUNCATE ON workflows_workflowversion
    FOR EACH STATEMENT EXECUTE FUNCTION workflows_refuse_change();
CREATE TRIGGER attempts_kept BEFORE TRUNCATE ON workflows_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION workflows_refuse_change();
ALTER TABLE workflows_workflowversion ENABLE ALWAYS TRIGGER versions_kept;
ALTER TABLE workflows_attempt ENABLE ALWAYS TRIGGER attempts_kept;
"""

BACKWARD = """
DROP TRIGGER versions_kept ON workflows_workflowversion;
DROP TRIGGER attempts_kept ON workflows_attempt;
"""


class Migration(migrations.Migration):
    dependencies = [("workflows", "0024_begin_failed_runs_anew")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
