from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0031_look_at_minutes'),
    ]

    operations = [
        migrations.AddField(
            model_name='rollupday',
            name='amended',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='rollupday',
            name='turned_down',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='runfact',
            name='amended',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='runfact',
            name='turned_down',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
