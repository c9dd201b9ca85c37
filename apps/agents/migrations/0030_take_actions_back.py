from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0021_limit_tokens"),
        ("agents", "0029_use_keys_from_networks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            "action",
            "compensates",
            models.ForeignKey(
                "agents.action", models.PROTECT, null=True, related_name="compensations", db_index=False
            ),
        ),
        migrations.AddIndex(
            "action", models.Index(fields=["compensates"], name="action_taken_back", condition=~Q(compensates=None))
        ),
        migrations.AddConstraint(
            "action",
            models.UniqueConstraint(
                fields=["compensates"],
                condition=Q(
                    compensates__isnull=False,
                    state__in=["approved", "executing", "pending_approval", "proposed", "succeeded", "unknown"],
                ),
                name="action_taken_back_once",
            ),
        ),
    ]
