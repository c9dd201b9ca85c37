from django.db import migrations

DECISIONS = """
UPDATE kpis_approvalfact AS fact SET
  action_id = item.action_id, reason_code = item.reason_code,
  policy_version = CASE
    WHEN fact.rule <> '' AND jsonb_typeof(item.verdict #> '{rules,0,version}') = 'number'
     AND fact.rule = concat_ws('/', item.verdict #>> '{rules,0,policy}',
       CASE WHEN item.verdict #>> '{rules,0,confidential}' = 'true' THEN 'confidential'
       ELSE item.verdict #>> '{rules,0,rule}' END)
    THEN (item.verdict #>> '{rules,0,version}')::integer ELSE 0 END
FROM oversight_escalation AS item WHERE item.id = fact.escalation_id
"""


def fill(apps, schema_editor):
    """What the items say of the decisions that are there. Those of simulated runs have none."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(DECISIONS)


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0040_tell_why_people_reject'),
        ('oversight', '0044_work_through_jobs_and_ask'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
