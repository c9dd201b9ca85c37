"""An escalation that has ended loses its words where an entry of the same transaction says so, and nothing else."""

from django.db import migrations, models


FORWARD = """
CREATE OR REPLACE FUNCTION oversight_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    words CONSTANT text[] := '{title,consequence,subject,schema,options,verdict,asked,patch,reason,answer,erased_at,erased_by}';
BEGIN
    IF public.audit_erasing() AND NEW.erased_at IS NOT NULL AND to_jsonb(NEW) - words = to_jsonb(OLD) - words
        AND NEW.title = OLD.kind || ' ' || right(OLD.id::text, 8) AND NEW.consequence = '' AND NEW.subject = '{}'
        AND NEW.schema IS NULL AND NEW.options = '[]' AND NEW.verdict = OLD.verdict - 'facts' AND NEW.patch = '[]'
        AND NEW.reason = '' AND NEW.answer IS NULL AND NEW.asked IS NOT DISTINCT FROM (
            CASE WHEN OLD.asked IS NOT NULL
                THEN jsonb_build_object('digest', OLD.asked -> 'digest', 'parameters', '{}'::jsonb) END)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an escalation that has ended does not change' USING ERRCODE = 'check_violation';
END $$;
"""
BACKWARD = """
CREATE OR REPLACE FUNCTION oversight_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an escalation that has ended does not change' USING ERRCODE = 'check_violation';
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0007_erase_payloads"),
        ('oversight', '0069_find_precedents'),
    ]

    operations = [
        migrations.AddField(
            model_name='escalation',
            name='erased_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='escalation',
            name='erased_by',
            field=models.CharField(db_default='', default='', max_length=150),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
