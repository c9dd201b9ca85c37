from django.db import migrations

ACTIONS = """
UPDATE kpis_actionfact AS fact SET capability = told.capability
FROM (
  SELECT action.id, coalesce(task.capability, tried.capability) AS capability
  FROM agents_action AS action
  LEFT JOIN workflows_task AS task ON task.id = action.task_id
  LEFT JOIN (SELECT DISTINCT ON (task_id) task_id, capability FROM workflows_attempt
             WHERE task_id IS NOT NULL AND state <> 'late' ORDER BY task_id) AS tried ON tried.task_id = action.task_id
  WHERE action.task_id IS NOT NULL) AS told
WHERE told.id = fact.action_id AND told.capability IS NOT NULL
"""


def fill(apps, schema_editor):
    """What the tasks and their tries say of the actions that are there."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(ACTIONS)


class Migration(migrations.Migration):

    dependencies = [
        ('kpis', '0042_tell_capabilities'),
        ('workflows', '0025_versions_and_attempts_are_not_emptied'),
    ]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
