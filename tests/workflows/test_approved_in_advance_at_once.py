"""Many requests at once, and an end among them, with real commits."""

from collections import Counter

import pytest

from apps.audit.models import Entry
from apps.oversight.models import Grant, StandingApproval, StandingUse
from apps.oversight.services import end_standing_approval, make_standing_approval
from tests.together import at_once
from tests.workflows.actions import make_desk, the_item, work

pytestmark = pytest.mark.usefixtures("real_db")
LETS = {"times": 20, "days": 7, "up_to_minor": 300_000}


def prepared(times, url="http://127.0.0.1:1029"):
    desk = make_desk(url, obligations={"standing": LETS})
    desk.ask(250_000)
    fields = {"days": 7, "times": times, "up_to_minor": 250_000}
    return desk, make_standing_approval(desk.approver, escalation_id=the_item().pk, version=1, **fields)


def test_twenty_requests_at_once_never_get_more_than_it_lets(system):
    desk, approval = prepared(7, system.url)
    answers = at_once(*(lambda number=number: desk.ask(250_000, reference=f"inv-{number}") for number in range(20)))
    assert Counter(answer.json()["state"] for answer in answers) == {"approved": 7, "pending_approval": 13}
    approval.refresh_from_db()
    assert (approval.used, approval.state) == (7, "used_up")
    assert sorted(StandingUse.objects.values_list("number", flat=True)) == list(range(1, 8))
    assert Entry.objects.filter(name="standingapproval.used").count() == 7
    at_once(*[work] * 3)
    work()
    assert len(system.asked) == 7
    assert Grant.objects.filter(state="consumed").count() == 7


def test_an_end_among_requests_leaves_as_many_uses_as_it_counted():
    desk, approval = prepared(20)
    asks = [lambda number=number: desk.ask(250_000, reference=f"inv-{number}") for number in range(12)]
    at_once(*asks[:6], lambda: end_standing_approval(desk.approver, approval=StandingApproval.objects.get()), *asks[6:])
    approval.refresh_from_db()
    assert approval.state == "ended"
    assert approval.used == StandingUse.objects.count() == Grant.objects.count()
    assert desk.ask(250_000, reference="later").json()["state"] == "pending_approval"
