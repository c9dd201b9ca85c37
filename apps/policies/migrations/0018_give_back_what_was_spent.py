"""A change of a budget may give back what an action took and counted as spent."""

import apps.core.rules
import apps.policies.rules.budgets
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('policies', '0017_keep_zones_of_periods'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='budgetchange',
            name='budget_change_waits_once',
        ),
        migrations.AddField(
            model_name='budgetchange',
            name='reservation',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='policies.reservation'),
        ),
        migrations.AlterField(
            model_name='budgetchange',
            name='kind',
            field=models.CharField(choices=[('change', 'Change'), ('end', 'End'), ('return', 'Return')], max_length=6),
        ),
        migrations.AddConstraint(
            model_name='budgetchange',
            constraint=models.UniqueConstraint(condition=models.Q(('state', apps.core.rules.ProposalState['OPEN'])), fields=('budget', 'kind', 'cap', 'exhausted', 'queue', 'reservation'), name='budget_change_waits_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='budgetchange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind', apps.policies.rules.budgets.ChangeKind['RETURN']), ('reservation__isnull', False)), models.Q(models.Q(('kind', apps.policies.rules.budgets.ChangeKind['RETURN']), _negated=True), ('reservation', None)), _connector='OR'), name='budget_change_gives_back_something'),
        ),
    ]
