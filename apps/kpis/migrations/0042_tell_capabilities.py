from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0041_fill_why_people_rejected'),
    ]

    operations = [
        migrations.AddField(
            model_name='actionfact',
            name='capability',
            field=models.CharField(blank=True, db_default='', default='', max_length=63),
        ),
    ]
