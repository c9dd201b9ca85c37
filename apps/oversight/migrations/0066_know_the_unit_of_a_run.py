"""An item knows in which unit its run was started: a halt there covers it."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("access", "0005_absences"), ("oversight", "0065_let_a_job_have_more")]
    operations = [
        migrations.AddField(
            model_name="escalation",
            name="run_unit",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="access.businessunit"
            ),
        ),
    ]
