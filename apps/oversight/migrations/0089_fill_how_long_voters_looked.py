from django.db import migrations

LOOKED = """
UPDATE oversight_vote AS vote
SET looked_ms = extract(epoch FROM seen.dwell + least(vote.created_at - seen.last_at, interval '5 minutes')) * 1000
FROM oversight_escalationview AS seen
WHERE seen.escalation_id = vote.escalation_id AND seen.person_id = vote.voter_id AND seen.last_at <= vote.created_at
"""
TOGETHER = """
UPDATE oversight_vote AS vote SET together = told.items
FROM oversight_jobitem AS item
JOIN oversight_job AS job ON job.id = item.job_id
JOIN (SELECT job_id, count(*) AS items FROM oversight_jobitem WHERE state <> 'excluded' GROUP BY job_id) AS told
  ON told.job_id = job.id
WHERE item.escalation_id = vote.escalation_id AND job.person_id = vote.voter_id AND item.state = 'done'
  AND job.verdict IN ('approve', 'reject') AND vote.created_at BETWEEN job.created_at AND coalesce(job.done_at, now())
"""


class Migration(migrations.Migration):

    dependencies = [
        ('oversight', '0088_know_how_long_voters_looked'),
    ]

    operations = [migrations.RunSQL([LOOKED, TOGETHER], migrations.RunSQL.noop)]
