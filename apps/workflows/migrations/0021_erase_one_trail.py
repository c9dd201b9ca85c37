"""An attempt loses its words by an erasure of its run's trail alone."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION workflows_attempt_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    words CONSTANT text[] := '{output,error,reasoning,sources}';
BEGIN
    IF public.audit_erasing(OLD.run_id) AND to_jsonb(NEW) - words = to_jsonb(OLD) - words
        AND NEW.output IS NULL AND NEW.reasoning = '' AND NEW.sources = '[]' AND NEW.error IS NOT DISTINCT FROM (
            CASE WHEN OLD.error IS NOT NULL THEN jsonb_build_object('code', OLD.error -> 'code', 'message', '') END)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is not changed once it is written', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0009_erase_one_trail"), ("workflows", "0020_erase_what_was_written")]

    operations = [migrations.RunSQL(FORWARD)]
