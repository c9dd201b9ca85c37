"""PostgreSQL itself refuses whatever could follow from a drill, and that a drill becomes real work or the reverse."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION oversight_not_of_a_drill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM oversight_escalation
        WHERE id = (to_jsonb(NEW) ->> TG_ARGV[0])::uuid AND drill_for_id IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'nothing follows from a drill' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER grant_not_of_a_drill BEFORE INSERT OR UPDATE OF escalation_id ON oversight_grant FOR EACH ROW
    WHEN (NEW.escalation_id IS NOT NULL) EXECUTE FUNCTION oversight_not_of_a_drill('escalation_id');
CREATE TRIGGER vote_not_of_a_drill BEFORE INSERT OR UPDATE OF escalation_id ON oversight_vote FOR EACH ROW
    EXECUTE FUNCTION oversight_not_of_a_drill('escalation_id');
CREATE TRIGGER standing_not_of_a_drill BEFORE INSERT OR UPDATE OF item_id ON oversight_standingapproval FOR EACH ROW
    EXECUTE FUNCTION oversight_not_of_a_drill('item_id');

CREATE FUNCTION oversight_stays_a_drill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'real work never becomes a drill, nor a drill real work' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER escalation_stays_a_drill BEFORE UPDATE ON oversight_escalation FOR EACH ROW
    WHEN (OLD.drill_for_id IS DISTINCT FROM NEW.drill_for_id) EXECUTE FUNCTION oversight_stays_a_drill();
"""
BACKWARD = """
DROP TRIGGER escalation_stays_a_drill ON oversight_escalation;
DROP FUNCTION oversight_stays_a_drill();
DROP TRIGGER standing_not_of_a_drill ON oversight_standingapproval;
DROP TRIGGER vote_not_of_a_drill ON oversight_vote;
DROP TRIGGER grant_not_of_a_drill ON oversight_grant;
DROP FUNCTION oversight_not_of_a_drill();
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0079_announce_drills")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
