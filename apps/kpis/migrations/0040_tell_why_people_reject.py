from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0039_mark_invented_changes'),
    ]

    operations = [
        migrations.AddField(
            model_name='approvalfact',
            name='action_id',
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name='approvalfact',
            name='policy_version',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='approvalfact',
            name='reason_code',
            field=models.CharField(blank=True, db_default='', default='', max_length=40),
        ),
    ]
