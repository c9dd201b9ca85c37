"""Who entered the baselines from before approvals were asked for: the ledger knows, and they approve no own ones."""

from django.db import migrations

KNOW = """
UPDATE kpis_baseline AS one SET entered_by_id = (
    SELECT said.actor_id FROM audit_entry AS said JOIN core_user AS person ON person.id = said.actor_id
    WHERE said.subject_id = one.id AND said.name IN ('baseline.created', 'baseline.changed')
    ORDER BY said.id DESC LIMIT 1
) WHERE one.entered_by_id IS NULL AND one.approved_at IS NULL AND one.ended_at IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("kpis", "0014_baselines_stay"), ("audit", "0012_keep_the_week_of_a_report")]

    operations = [migrations.RunSQL(KNOW, migrations.RunSQL.noop)]
