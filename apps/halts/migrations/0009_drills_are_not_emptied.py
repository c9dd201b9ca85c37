"""What drills measured is not emptied either: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER drills_kept BEFORE TRUNCATE ON halts_haltdrill
    FOR EACH STATEMENT EXECUTE FUNCTION halts_refuse_change();
ALTER TABLE halts_haltdrill ENABLE ALWAYS TRIGGER drills_kept;
"""

BACKWARD = """
DROP TRIGGER drills_kept ON halts_haltdrill;
"""


class Migration(migrations.Migration):
    dependencies = [("halts", "0008_change_breakers_with_two_people")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
