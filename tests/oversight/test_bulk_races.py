"""Several workers at one job, with real connections and commits."""

import pytest

from apps.audit.models import Entry
from apps.oversight.models import Job, JobItem, Vote
from apps.oversight.services import start_bulk
from tests.oversight.test_bulk import many, states, work
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def test_four_workers_share_a_job_and_nobody_votes_twice():
    payment, items = many(20)
    start_bulk(payment.ada, verdict="approve", ids=[item.pk for item in items])
    assert sum(at_once(work, work, work, work)) == 20
    assert Job.objects.get().state == "done"
    assert set(states(items)) == {"approved"}
    assert Vote.objects.count() == 20
    assert not JobItem.objects.filter(attempts__gt=1).exists()


def test_a_job_whose_worker_died_before_its_end_is_ended_by_the_next_and_once():
    payment, items = many(2)
    job = start_bulk(payment.ada, verdict="approve", ids=[item.pk for item in items])
    JobItem.objects.filter(job=job).update(state="done", outcome="approved")  # as its worker left it
    assert at_once(work, work, work) == [0, 0, 0]
    job.refresh_from_db()
    assert job.state == "done"
    assert Entry.objects.filter(subject_id=job.pk, name="job.done").count() == 1
