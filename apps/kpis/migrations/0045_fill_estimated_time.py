from django.db import migrations

ESTIMATED = "UPDATE kpis_costitem SET is_estimated = true WHERE kind = 'human'"
NAMED = "UPDATE kpis_costitem SET priced_by = 'hourly_rate' WHERE priced_by = 'estimated'"
BACK = "UPDATE kpis_costitem SET priced_by = 'estimated' WHERE priced_by = 'hourly_rate'"


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0044_mark_baselines'),
    ]

    operations = [migrations.RunSQL([ESTIMATED, NAMED], BACK)]
