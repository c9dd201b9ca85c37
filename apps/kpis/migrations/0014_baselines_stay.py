"""An approved baseline stays as it was approved, and one that ended as it was: PostgreSQL refuses, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION kpis_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a baseline is not changed once it is approved or ended'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER baseline_stays BEFORE UPDATE ON kpis_baseline FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL OR (OLD.approved_at IS NOT NULL
        AND to_jsonb(OLD) - '{ended_at,removal_by_id}'::text[]
            IS DISTINCT FROM to_jsonb(NEW) - '{ended_at,removal_by_id}'::text[]))
    EXECUTE FUNCTION kpis_refuse_change();
CREATE TRIGGER baseline_is_kept BEFORE DELETE ON kpis_baseline FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL OR OLD.approved_at IS NOT NULL)
    EXECUTE FUNCTION kpis_refuse_change();
ALTER TABLE kpis_baseline ENABLE ALWAYS TRIGGER baseline_stays;
ALTER TABLE kpis_baseline ENABLE ALWAYS TRIGGER baseline_is_kept;
"""

BACKWARD = """
DROP TRIGGER baseline_stays ON kpis_baseline;
DROP TRIGGER baseline_is_kept ON kpis_baseline;
DROP FUNCTION kpis_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("kpis", "0013_approve_baselines")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
