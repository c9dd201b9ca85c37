"""Who may decide is asked at the vote, at the count, and once more before anything runs."""

import pytest

from apps.access.services import revoke_role
from apps.agents.models import Action
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import NotAllowedError
from apps.oversight.models import Escalation, Grant, Vote
from apps.oversight.services import consume_grant
from tests.factories.access import make_admin, make_approver, make_queue
from tests.factories.oversight import make_payment, say
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db


def leave(person):
    person.role_grants.all().delete()


def approved(desk, **more):
    """An action that a person approved and nobody carried out yet."""
    action = desk.ask(150_000, **more).json()
    item = Escalation.objects.get(action=action["id"])
    assert say(desk.approver, item).state == "approved"
    return Action.objects.get(pk=action["id"]), item


def test_a_role_lost_before_the_agent_consumes_voids_the_grant_and_asks_others():
    desk = make_desk(execution="agent")
    second = make_approver(desk.queue)
    action, item = approved(desk, execution="agent")
    leave(desk.approver)
    answer = desk.post(f"actions/{action.pk}/consume/", {"digest": action.digest})
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")
    action.refresh_from_db()
    assert action.state == "pending_approval"
    assert Grant.objects.get().state == "revoked"
    again = Escalation.objects.get(action=action, state="pending")
    assert again.supersedes == item
    say(second, again)
    answer = desk.post(f"actions/{action.pk}/consume/", {"digest": action.digest})
    assert (answer.status_code, answer.json()["state"]) == (200, "executing")


def test_a_role_lost_before_the_plane_carries_out_sends_nothing():
    desk = make_desk()
    action, _item = approved(desk)
    leave(desk.approver)
    work()
    action.refresh_from_db()
    assert action.state == "pending_approval"
    assert Escalation.objects.filter(action=action, state="pending").count() == 1
    assert not Entry.objects.filter(name="action.executing").exists()


def test_whoever_became_the_agent_s_owner_approved_for_nothing():
    payment = make_payment(obligations={"exclude": ["agent_owner"]})
    say(payment.ada, payment.item)
    payment.agent.owner = payment.ada
    payment.agent.save(update_fields=["owner"])
    with pytest.raises(NotAllowedError) as caught:
        consume_grant(payment.agent.user, action=payment.action, digest=payment.action.digest)
    assert (caught.value.code, caught.value.members["why"]) == ("not_eligible", "approval_void")
    assert Grant.objects.get().state == "live"


def test_of_more_votes_than_needed_one_may_fall():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    say(payment.ben, payment.item)
    grant = Grant.objects.get()
    leave(payment.approver())
    assert consume_grant(payment.agent.user, action=payment.action, digest=payment.action.digest) == grant


def test_one_of_two_that_fell_is_one_too_few():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    say(payment.ben, payment.item)
    leave(payment.ben)
    with pytest.raises(NotAllowedError):
        consume_grant(payment.agent.user, action=payment.action, digest=payment.action.digest)


def test_a_role_that_is_taken_moves_what_nobody_else_can_decide():
    payment = make_payment(quorum=2)
    boss = make_queue(unit=payment.unit)
    for _ in range(2):
        make_approver(boss)
    payment.queue.escalation = [{"after_s": 9_999, "to": boss.slug}]
    payment.queue.save(update_fields=["escalation"])
    deliver_reactions()
    say(payment.ada, payment.item)
    revoke_role(make_admin(), grant=payment.ada.role_grants.get())
    while deliver_reactions():
        pass
    assert Vote.objects.get().void_why == "rolegrant.revoked"
    assert Entry.objects.get(name="escalation.unreachable").payload == {"to": boss.slug}
    assert [group.queue for group in payment.now().group_list()] == [boss]
