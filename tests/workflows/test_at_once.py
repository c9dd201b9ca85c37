"""Many at once over HTTP, down to what the system of record was asked to do."""

from collections import Counter

import pytest

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import Effect
from apps.oversight.models import Escalation, Grant, Vote
from tests.factories.access import make_approver
from tests.oversight.edge_cases.doors import Person
from tests.together import at_once
from tests.workflows.actions import make_desk, the_action, the_item, work

pytestmark = pytest.mark.usefixtures("real_db")


def test_twenty_decisions_at_once_are_one_decision_one_grant_and_one_call(system):
    desk = make_desk(system.url)
    desk.ask(250_000)
    item = the_item()
    people = [Person(user) for user in (desk.approver, *(make_approver(desk.queue) for _ in range(19)))]
    answers = at_once(*(lambda person=person: person.decide(item) for person in people))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    winner = Escalation.objects.get().decided_by.username
    lost = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(problem["code"], problem["winner"]["by"]) for problem in lost} == {("already_decided", winner)}
    at_once(*[work] * 4)
    work()
    assert (Vote.objects.count(), Grant.objects.get().state) == (1, "consumed")
    assert (the_action().state, Effect.objects.get().state, Effect.objects.get().attempt) == (
        "succeeded",
        "succeeded",
        1,
    )
    assert Entry.objects.filter(name="effect.dispatched").count() == 1
    assert len(system.asked) == 1


@pytest.mark.parametrize(("amount", "items"), [(50_000, 0), (250_000, 1)])
def test_ten_requests_for_one_thing_at_once_are_one_action(system, amount, items):
    """Nothing was there before: each has its own idempotency key and the same reference."""
    desk = make_desk(system.url)
    answers = at_once(*(lambda: desk.ask(amount, reference="inv-1") for _ in range(10)))
    assert [answer.status_code for answer in answers] == [202] * 10
    assert {answer.json()["id"] for answer in answers} == {str(Action.objects.get().pk)}
    assert the_action().attempts == 10
    assert Escalation.objects.count() == items
    if items:
        assert Person(desk.approver).decide(the_item()).status_code == 200
    at_once(*[work] * 4)
    work()
    assert the_action().state == "succeeded"
    assert Effect.objects.count() == len(system.asked) == 1
