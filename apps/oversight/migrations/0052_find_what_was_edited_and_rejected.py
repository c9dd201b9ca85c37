"""An index over what people edited and then rejected, which every request asks about."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("oversight", "0051_clocks_and_ladders")]

    operations = [
        migrations.AddIndex(
            "escalation",
            models.Index(
                condition=models.Q(("edited", True), ("state", "rejected")),
                fields=["agent"],
                name="escalation_edited_away",
            ),
        ),
    ]
