"""An escalation that has ended loses its words by an erasure of its own trail alone."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION oversight_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    words CONSTANT text[] := '{title,consequence,subject,schema,options,verdict,asked,patch,reason,answer,erased_at,erased_by}';
BEGIN
    IF public.audit_erasing(coalesce(OLD.run_id, OLD.action_id, OLD.id)) AND NEW.erased_at IS NOT NULL
        AND to_jsonb(NEW) - words = to_jsonb(OLD) - words
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


class Migration(migrations.Migration):
    dependencies = [("audit", "0009_erase_one_trail"), ("oversight", "0072_keep_views_with_votes")]

    operations = [migrations.RunSQL(FORWARD)]
