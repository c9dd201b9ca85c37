"""A period of a budget keeps the zone in which it began; those that there are began in their unit's."""

from django.db import migrations, models

FILL = """
UPDATE policies_budgetperiod p SET zone = coalesce(u.timezone, 'UTC')
FROM policies_budget b LEFT JOIN access_businessunit u ON u.id = b.unit_id WHERE b.id = p.budget_id
"""


class Migration(migrations.Migration):
    dependencies = [("policies", "0016_cover_what_is_in_force"), ("access", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="budgetperiod",
            name="zone",
            field=models.CharField(blank=True, db_default="", default="", max_length=60),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop, elidable=True),
    ]
