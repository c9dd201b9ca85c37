"""Claims and words below an item."""

from datetime import timedelta

import pytest

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.oversight.models import Comment
from apps.oversight.services import answer_comment, claim_escalation, comment_escalation, release_escalation
from tests.factories.access import make_holder, make_user
from tests.factories.agents import make_action, make_agent
from tests.factories.oversight import make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db


def test_a_claim_lasts_five_minutes_and_may_be_taken_over():
    payment = make_payment()
    item = claim_escalation(payment.ada, escalation_id=payment.item.pk)
    assert item.claimed_by == payment.ada
    assert timedelta(minutes=4) < item.claimed_until - item.created_at < timedelta(minutes=6)
    assert claim_escalation(payment.ben, escalation_id=payment.item.pk).claimed_by == payment.ben
    told = Entry.objects.filter(name="escalation.claimed").order_by("-id").first()
    assert told.payload["taken_from"] == payment.ada.username
    assert item.version == 1


def test_a_claim_binds_nobody_else():
    payment = make_payment()
    claim_escalation(payment.ada, escalation_id=payment.item.pk)
    assert say(payment.ben, payment.item).state == "approved"
    assert payment.now().claimed_by is None


def test_letting_go_is_one_s_own_to_do():
    payment = make_payment()
    claim_escalation(payment.ada, escalation_id=payment.item.pk)
    with nothing_happens():
        release_escalation(payment.ben, escalation_id=payment.item.pk)
    assert release_escalation(payment.ada, escalation_id=payment.item.pk).claimed_by is None


def test_who_may_not_decide_may_not_claim():
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    for user, error in ((viewer, NotAllowedError), (make_user(), NotFoundError), (payment.agent.user, NotAllowedError)):
        with nothing_happens(), pytest.raises(error):
            claim_escalation(user, escalation_id=payment.item.pk)


def test_what_ended_is_not_claimed():
    payment = make_payment()
    say(payment.ada, payment.item)
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        claim_escalation(payment.ben, escalation_id=payment.item.pk)
    assert caught.value.code == "already_decided"


def test_people_write_below_what_they_see_ended_or_not():
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    comment_escalation(viewer, escalation_id=payment.item.pk, text=" Why twice? ")
    say(payment.ada, payment.item)
    comment_escalation(payment.ada, escalation_id=payment.item.pk, text="It was not.")
    assert list(Comment.objects.order_by("id").values_list("text", flat=True)) == ["Why twice?", "It was not."]
    assert Entry.objects.filter(name="escalation.commented").count() == 2


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001])
def test_nothing_and_too_much_are_not_written(text):
    payment = make_payment()
    with nothing_happens(), pytest.raises(InvalidError):
        comment_escalation(payment.ada, escalation_id=payment.item.pk, text=text)


def test_strangers_and_agents_do_not_write_here():
    payment = make_payment()
    for user, error in ((make_user(), NotFoundError), (payment.agent.user, NotAllowedError)):
        with nothing_happens(), pytest.raises(error):
            comment_escalation(user, escalation_id=payment.item.pk, text="Let me.")


def test_an_agent_answers_in_the_thread_of_its_own_action():
    payment = make_payment()
    comment = answer_comment(payment.agent.user, action=payment.action, text="Because it is due.")
    assert (comment.escalation, comment.author) == (payment.item, payment.agent.user)
    for user in (make_agent().user, payment.ada):
        with nothing_happens(), pytest.raises(NotAllowedError):
            answer_comment(user, action=payment.action, text="Me too.")
    other = make_action(agent=payment.agent)
    with nothing_happens():
        assert answer_comment(payment.agent.user, action=other, text="Hello?") is None
