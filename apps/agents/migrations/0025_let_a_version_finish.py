import apps.agents.rules
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0024_ask_a_second_person'),
    ]

    operations = [
        migrations.AlterField(
            model_name='agentversion',
            name='state',
            field=models.CharField(choices=[('draft', 'Draft'), ('pilot', 'Pilot'), ('active', 'Active'), ('draining', 'Draining'), ('superseded', 'Superseded')], default=apps.agents.rules.VersionState['DRAFT'], max_length=12),
        ),
    ]
