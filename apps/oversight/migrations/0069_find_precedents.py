"""An index over an agent's decided items, newest first: where precedents are looked for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("oversight", "0068_say_where_work_goes_back")]

    operations = [
        migrations.AddIndex(
            "escalation",
            models.Index(
                condition=models.Q(("state__in", ["answered", "approved", "changes_requested", "rejected"])),
                fields=["agent", "-id"],
                name="escalation_precedent",
            ),
        ),
    ]
