"""What is written in entries gets a table of its own, beside the one that says what was erased."""

import django.db.models.deletion
from django.db import migrations, models

import apps.audit.models


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_step_around_an_entry")]

    operations = [
        migrations.CreateModel(
            name="Payload",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="written",
                        serialize=False,
                        to="audit.entry",
                    ),
                ),
                ("salt", models.BinaryField()),
                ("content", apps.audit.models.Verbatim()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="erasure",
                        serialize=False,
                        to="audit.entry",
                    ),
                ),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=160)),
                ("kept", apps.audit.models.Verbatim()),
                (
                    "because",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="erasures", to="audit.entry"
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField(model_name="entry", name="commitment", field=models.BinaryField(null=True)),
    ]
