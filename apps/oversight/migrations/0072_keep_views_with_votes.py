"""Views that were kept for an edit on which no vote was cast lose what they showed: nobody can be shown it."""

from django.db import migrations

FORWARD = """
UPDATE oversight_viewsnapshot AS seen SET shown = NULL
WHERE shown IS NOT NULL AND NOT EXISTS (SELECT FROM oversight_vote AS vote WHERE vote.view_hash = seen.hash);
"""


class Migration(migrations.Migration):
    dependencies = [("oversight", "0071_keep_what_goes_together")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
