"""A version and a release say what judged; PostgreSQL refuses to change or remove them, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION policies_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is immutable', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER version_frozen BEFORE UPDATE OR DELETE ON policies_policyversion
    FOR EACH ROW EXECUTE FUNCTION policies_refuse();
CREATE TRIGGER release_frozen BEFORE UPDATE OR DELETE ON policies_release
    FOR EACH ROW EXECUTE FUNCTION policies_refuse();
CREATE TRIGGER version_kept BEFORE TRUNCATE ON policies_policyversion
    FOR EACH STATEMENT EXECUTE FUNCTION policies_refuse();
CREATE TRIGGER release_kept BEFORE TRUNCATE ON policies_release
    FOR EACH STATEMENT EXECUTE FUNCTION policies_refuse();
ALTER TABLE policies_policyversion ENABLE ALWAYS TRIGGER version_frozen;
ALTER TABLE policies_release ENABLE ALWAYS TRIGGER release_frozen;
ALTER TABLE policies_policyversion ENABLE ALWAYS TRIGGER version_kept;
ALTER TABLE policies_release ENABLE ALWAYS TRIGGER release_kept;
"""
BACKWARD = """
DROP TRIGGER version_frozen ON policies_policyversion;
DROP TRIGGER release_frozen ON policies_release;
DROP TRIGGER version_kept ON policies_policyversion;
DROP TRIGGER release_kept ON policies_release;
DROP FUNCTION policies_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0001_policies_versions_releases")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
