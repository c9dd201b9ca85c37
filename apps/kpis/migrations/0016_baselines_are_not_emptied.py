"""Baselines are not emptied either: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER baselines_kept BEFORE TRUNCATE ON kpis_baseline
    FOR EACH STATEMENT EXECUTE FUNCTION kpis_refuse_change();
ALTER TABLE kpis_baseline ENABLE ALWAYS TRIGGER baselines_kept;
"""

BACKWARD = """
DROP TRIGGER baselines_kept ON kpis_baseline;
"""


class Migration(migrations.Migration):
    dependencies = [("kpis", "0015_know_who_entered_baselines")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
