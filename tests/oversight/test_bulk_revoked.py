"""A right that ends in the middle of a bulk job: what was done stands, what comes after is refused with its reason."""

import pytest
from django.test import Client

from apps.access.models import RoleGrant
from apps.access.services import end_sessions_of, revoke_role
from apps.audit.models import Entry
from apps.oversight.models import Grant, Job, JobItem, Vote
from apps.oversight.services import claim_escalation, delegate_escalation, perform_due_items
from tests.factories.access import grant as give
from tests.factories.access import make_admin, make_role
from tests.oversight.test_absences import away, decider, over
from tests.oversight.test_bulk import ask, many, result_of, states, work

pytestmark = pytest.mark.django_db
GONE = "You may not see it any more, so nothing was decided."


def signed_in(person):
    client = Client()
    client.force_login(person)
    return client


def revoked(person):
    """Every role of ``person`` is taken back, as an administrator does on the page."""
    for held in RoleGrant.objects.filter(user=person, revoked_at=None):
        answer = signed_in(make_admin()).post(f"/access/grants/{held.pk}/revoke/", {"reason": "She moved."})
        assert answer.status_code == 302


def after_two(payment, items, verdict, happens, **words):
    """The id of a job of which two items are done when something happens."""
    job = ask(payment.ada, items, verdict, **words).json()["id"]
    assert perform_due_items(at_once=2) == 2
    happens()
    work()
    return job


def rows_of(job):
    return [(row.state, row.code, row.message) for row in JobItem.objects.filter(job=job).order_by("position")]


@pytest.mark.parametrize(("verdict", "outcome"), [("approve", "approved"), ("reject", "rejected")])
def test_whose_role_is_revoked_decides_nothing_more_and_reads_why(verdict, outcome):
    payment, items = many(5)
    job = after_two(payment, items, verdict, lambda: revoked(payment.ada), reason="Closed.")
    assert states(items) == [outcome] * 2 + ["pending"] * 3
    assert rows_of(job) == [("done", "", "")] * 2 + [("failed", "not_found", GONE)] * 3
    assert Vote.objects.filter(voter=payment.ada).count() == 2
    assert Grant.objects.filter(state="live").count() == (2 if verdict == "approve" else 0)
    found = result_of(payment.ada, job)
    assert (found["state"], found["done"], found["failed"]) == ("done", 5, 3)
    assert Entry.objects.get(name="job.done").payload["counts"] == {"waiting": 0, "done": 2, "excluded": 0, "failed": 3}
    page = signed_in(payment.ada).get(f"/jobs/{job}/").content.decode()
    assert "3 were not decided" in page
    assert page.count(GONE) == 3


def test_who_only_loses_the_right_to_decide_is_told_so():
    payment, items = many(4)
    give(payment.ada, make_role("oversight.view_escalation"), payment.unit)
    right = payment.ada.role_grants.filter(role__permissions__contains=["oversight.decide_escalation"]).get()
    job = after_two(payment, items, "approve", lambda: revoke_role(make_admin(), grant=right))
    assert states(items) == ["approved"] * 2 + ["pending"] * 2
    assert [code for _state, code, _why in rows_of(job)] == ["", "", "not_eligible", "not_eligible"]
    assert all(why for _state, _code, why in rows_of(job)[2:])
    assert Job.objects.get(pk=job).state == "done"


def test_what_is_put_aside_asks_for_the_right_each_time_too():
    payment, items = many(4)
    until = items[0].created_at + (items[0].due_at - items[0].created_at) / 2
    job = after_two(payment, items, "snooze", lambda: revoked(payment.ada), until=until.isoformat())
    assert rows_of(job) == [("done", "", "")] * 2 + [("failed", "not_found", GONE)] * 2


def test_who_stood_in_for_somebody_who_is_back_decides_nothing_more():
    payment, items = many(4)
    cleo = decider(payment.queue)
    window = away(payment.ada, cleo)
    job = ask(cleo, items).json()["id"]
    assert perform_due_items(at_once=2) == 2
    over(window)
    work()
    assert states(items) == ["approved"] * 2 + ["pending"] * 2
    assert [vote.acts_for for vote in Vote.objects.order_by("id")] == [[payment.ada.username]] * 2
    assert [code for _state, code, _why in rows_of(job)] == ["", "", "not_eligible", "not_eligible"]
    assert Job.objects.get(pk=job).state == "done"


def test_what_was_handed_on_and_taken_back_meanwhile_is_decided_in_ones_own_name():
    payment, items = many(4, quorum=2)
    for item in items:
        delegate_escalation(payment.ben, escalation_id=item.pk, to=payment.ada.username)

    def back():
        for item in items[2:]:
            claim_escalation(payment.ben, escalation_id=item.pk)

    after_two(payment, items, "approve", back)
    votes = Vote.objects.filter(voter=payment.ada).order_by("id")
    assert [vote.acts_for for vote in votes] == [[payment.ben.username]] * 2 + [[], []]
    assert states(items) == ["pending"] * 4


def test_what_was_asked_for_before_a_session_ended_is_done():
    """It was sent, like a single decision: ending sessions takes no right away. Revoking a role or an account does."""
    payment, items = many(4)
    job = after_two(payment, items, "approve", lambda: end_sessions_of(make_admin(), user=payment.ada))
    assert states(items) == ["approved"] * 4
    assert Job.objects.get(pk=job).state == "done"
