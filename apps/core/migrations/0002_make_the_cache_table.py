"""Sign-in throttling is counted in PostgreSQL: it must hold when the broker is away."""

from django.db import migrations

FORWARD = """
CREATE TABLE core_cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX core_cache_expires ON core_cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, "DROP TABLE core_cache")]
