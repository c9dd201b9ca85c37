"""An index over what people rejected, which every request asks about."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("agents", "0004_versions_stay")]

    operations = [
        migrations.AddIndex(
            "action",
            models.Index(
                condition=models.Q(("state", "rejected")),
                fields=["agent", "operation", "digest"],
                name="action_rejected",
            ),
        ),
    ]
