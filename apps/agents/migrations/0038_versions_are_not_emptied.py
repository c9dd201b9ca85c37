"""The versions of agents are not emptied either: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER versions_kept BEFORE TRUNCATE ON agents_agentversion
    FOR EACH STATEMENT EXECUTE FUNCTION agents_refuse_change();
ALTER TABLE agents_agentversion ENABLE ALWAYS TRIGGER versions_kept;
"""

BACKWARD = """
DROP TRIGGER versions_kept ON agents_agentversion;
"""


class Migration(migrations.Migration):
    dependencies = [("agents", "0037_ask_for_another_unit")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
