"""To which queues an item may be handed: never to people whom its rule or step did not mean."""

from typing import Any

import pytest

from apps.access.models import Queue
from apps.audit.models import Entry
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.selectors import other_queues_for
from apps.oversight.services import climb_ladders
from tests.factories.access import make_approver, make_queue, make_unit
from tests.factories.oversight import make_escalation, make_payment, say
from tests.oversight.test_api import BASE, caller, nothing_but_a_note, post
from tests.oversight.test_moves import barred, do, refused

pytestmark = pytest.mark.django_db
OTHERS = "What asks for it says who must agree: it goes up their ladder, or to a queue of the same role."


def leads_to(queue: Queue, *following: Queue) -> None:
    queue.escalation = [{"after_s": 60 * place, "to": to.slug} for place, to in enumerate(following, 1)]
    queue.save(update_fields=["escalation"])


def test_what_a_rule_asks_is_handed_to_no_queue_of_others_who_may_decide_there() -> None:
    payment = make_payment()
    others = make_queue(unit=payment.unit)
    them = make_approver(others)
    assert refused(payment.ada, payment.item, "reassign", "queue", queue=others.slug, reason="Theirs.") == [OTHERS]
    assert refused(them, payment.item, "reassign", "queue", queue=others.slug, reason="Ours.") == [OTHERS]
    barred(them, payment.item, "decision", "not_in_queue", verdict="approve", version=1)
    assert list(other_queues_for(payment.ada, payment.item)) == []


@pytest.mark.parametrize("kind", ["approval", "review"])
def test_nor_is_what_a_step_asks_or_a_review(kind: str) -> None:
    queue = make_queue()
    ada = make_approver(queue)
    item = make_escalation(queue=queue, kind=kind)
    others = make_queue(unit=queue.unit)
    make_approver(others)
    assert refused(ada, item, "reassign", "queue", queue=others.slug, reason="Theirs.") == [OTHERS]


@pytest.mark.parametrize("kind", ["question", "exception", "form"])
def test_what_no_rule_asks_goes_to_any_queue_of_its_unit_or_above(kind: str) -> None:
    above = make_unit()
    queue = make_queue(unit=make_unit(parent=above))
    ada = make_approver(queue)
    item = make_escalation(queue=queue, kind=kind)
    others = make_queue(unit=above)
    make_approver(others)
    answer = do(ada, item, "reassign", queue=others.slug, reason="Theirs.")
    assert (answer.status_code, answer.json()["queue"]) == (200, others.slug)


def test_a_queue_of_the_same_role_there_or_above_may_take_it_and_one_below_may_not() -> None:
    above = make_unit()
    payment = make_payment(unit=make_unit(parent=above))
    role = payment.queue.role
    beside, over = make_queue(unit=payment.unit, role=role), make_queue(unit=above, role=role)
    make_queue(unit=make_unit(parent=payment.unit), role=role)
    boss = make_approver(over)
    assert set(other_queues_for(payment.ada, payment.item)) == {beside, over}
    assert do(payment.ada, payment.item, "reassign", queue=over.slug, reason="Theirs.").status_code == 200
    barred(payment.ada, payment.item, "decision", "not_in_queue", verdict="approve", version=2)
    assert say(boss, payment.item).state == "approved"


def test_handed_up_its_ladder_it_climbs_on_from_there() -> None:
    payment = make_payment()
    heads, board = make_queue(unit=payment.unit), make_queue(unit=payment.unit)
    make_approver(heads)
    director = make_approver(board)
    leads_to(payment.queue, heads, board)
    assert do(payment.ada, payment.item, "reassign", queue=heads.slug, reason="Too big.").status_code == 200
    told = Entry.objects.get(name="escalation.reassigned").payload
    assert told == {"from": [payment.queue.slug], "queues": [heads.slug], "why": "Too big."}
    group = EscalationGroup.objects.get(escalation=payment.item)
    assert (group.queue, group.home, group.rung) == (heads, payment.queue, 1)
    group.climbs_at = payment.item.created_at
    group.save(update_fields=["climbs_at"])
    assert climb_ladders() == 1
    assert say(director, payment.item).state == "approved"


def test_a_chain_of_hands_leads_no_further_than_the_rule_s_own_queue() -> None:
    payment = make_payment()
    heads, friends = make_queue(unit=payment.unit), make_queue(unit=payment.unit)
    boss = make_approver(heads)
    make_approver(friends)
    leads_to(payment.queue, heads)
    twin = make_queue(unit=payment.unit, role=heads.role)
    assert do(payment.ada, payment.item, "reassign", queue=heads.slug, reason="Yours.").status_code == 200
    for queue in (friends, twin):
        assert refused(boss, payment.item, "reassign", "queue", queue=queue.slug, reason="On.") == [OTHERS]
    assert do(boss, payment.item, "reassign", queue=payment.queue.slug, reason="Back.").status_code == 200
    assert EscalationGroup.objects.get(escalation=payment.item).rung == 0
    assert say(payment.ada, payment.item).state == "approved"


def test_a_queue_of_another_unit_answers_as_one_that_is_not_there() -> None:
    payment = make_payment(quorum=2)
    elsewhere = make_queue(unit=make_unit())
    make_approver(elsewhere)
    question = make_escalation(queue=payment.queue, kind="question")
    for item in (payment.item, question):
        said: set[Any] = set()
        for slug in (elsewhere.slug, "no-such-queue"):
            said.add(tuple(refused(payment.ada, item, "reassign", "queue", queue=slug, reason="Far.")))
        assert said == {("There is no such queue.",)}


def test_of_several_groups_none_is_offered_another_queue() -> None:
    queue = make_queue()
    legal, beside = make_queue(unit=queue.unit), make_queue(unit=queue.unit, role=queue.role)
    ada = make_approver(queue)
    make_approver(legal)
    item = make_escalation(queue=queue, groups=[(queue, 1), (legal, 1)])
    assert not other_queues_for(ada, item)
    said = refused(ada, item, "reassign", "queue", queue=beside.slug, reason="Here.")
    assert said == ["Different people must agree on it; it stays with their queues."]


def test_a_quorum_is_taken_along() -> None:
    payment = make_payment(quorum=2)
    beside = make_queue(unit=payment.unit, role=payment.queue.role)
    assert do(payment.ada, payment.item, "reassign", queue=beside.slug, reason="Theirs.").status_code == 200
    assert say(payment.ada, payment.item).state == "pending"
    with nothing_but_a_note():
        again = post(caller(payment.ada), f"{BASE}{payment.item.pk}/decision/", {"verdict": "approve", "version": 2})
    assert again.status_code == 409
    assert say(payment.ben, payment.item).state == "approved"
    assert Escalation.objects.get(pk=payment.item.pk).state == "approved"
