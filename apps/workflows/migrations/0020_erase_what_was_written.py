"""An attempt loses its words where an entry of the same transaction says so, and nothing else of it changes."""

from django.db import migrations, models


FORWARD = """
CREATE FUNCTION workflows_attempt_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    words CONSTANT text[] := '{output,error,reasoning,sources}';
BEGIN
    IF public.audit_erasing() AND to_jsonb(NEW) - words = to_jsonb(OLD) - words
        AND NEW.output IS NULL AND NEW.reasoning = '' AND NEW.sources = '[]' AND NEW.error IS NOT DISTINCT FROM (
            CASE WHEN OLD.error IS NOT NULL THEN jsonb_build_object('code', OLD.error -> 'code', 'message', '') END)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is not changed once it is written', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
DROP TRIGGER attempt_stays ON workflows_attempt;
CREATE TRIGGER attempt_stays BEFORE UPDATE ON workflows_attempt
    FOR EACH ROW EXECUTE FUNCTION workflows_attempt_stays();
ALTER TABLE workflows_attempt ENABLE ALWAYS TRIGGER attempt_stays;
"""
BACKWARD = """
DROP TRIGGER attempt_stays ON workflows_attempt;
DROP FUNCTION workflows_attempt_stays();
CREATE TRIGGER attempt_stays BEFORE UPDATE ON workflows_attempt
    FOR EACH ROW EXECUTE FUNCTION workflows_refuse_change();
ALTER TABLE workflows_attempt ENABLE ALWAYS TRIGGER attempt_stays;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0007_erase_payloads"),
        ('workflows', '0003_runs_keep_decisions'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='erased_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='erased_by',
            field=models.CharField(db_default='', default='', max_length=150),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
