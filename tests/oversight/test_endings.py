"""Ends that nobody decided, and what other floors bring about."""

from datetime import timedelta

import pytest

from apps.access.models import RoleGrant
from apps.access.services import end_person, revoke_role
from apps.agents.rules import ActionState
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, HaltedError, NotAllowedError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, EscalationGroup, Grant, Vote
from apps.oversight.services import (
    cancel_escalations,
    claim_escalation,
    climb_ladders,
    expire_escalations,
    mark_overdue,
    reassign_open,
    release_held,
    supersede_escalation,
    undo_decision,
)
from apps.oversight.tasks import sweep_escalations
from tests.factories.access import make_admin, make_approver, make_queue
from tests.factories.oversight import escalate, make_escalation, make_payment, nothing_happens, propose, say

pytestmark = pytest.mark.django_db


def set_back(item, **fields):
    """Move an item's clocks into the past by so many seconds."""
    past = {name: ClockTimestamp() - timedelta(seconds=seconds) for name, seconds in fields.items()}
    Escalation.objects.filter(pk=item.pk).update(**past)


def test_expiry_is_nobody_s_decision_and_ends_the_action():
    payment = make_payment()
    set_back(payment.item, expires_at=1)
    assert sweep_escalations() == 1
    item = payment.now()
    assert (item.state, item.decided_by, item.decided_at) == ("expired", None, None)
    assert item.ended_at is not None
    assert payment.action_now().state == ActionState.EXPIRED
    told = Entry.objects.get(name="escalation.expired")
    assert (told.actor.username, told.payload["decided_by"]) == ("plane", [])
    assert told.payload["action"] == str(payment.action.pk)
    assert sweep_escalations() == 0


def test_what_is_in_time_or_has_no_expiry_stays():
    payment = make_payment()
    step = make_escalation(queue=payment.queue)
    assert step.expires_at is None
    set_back(step, due_at=100)
    assert expire_escalations() == 0
    assert (payment.now().state, Escalation.objects.get(pk=step.pk).state) == ("pending", "pending")


def test_a_step_s_expiry_tells_the_run_where_to_go_on():
    item = make_escalation(expires_s=60)
    set_back(item, expires_at=1)
    expire_escalations()
    told = Entry.objects.get(name="escalation.expired").payload
    assert {"run_id": str(item.run_id), "step": "approve", "round": 1, "outcome": "expired"}.items() <= told.items()


def test_a_cancelled_run_takes_its_items_and_their_actions_with_it():
    payment = make_payment(quorum=2)
    step = make_escalation(queue=payment.queue)
    Escalation.objects.filter(pk=payment.item.pk).update(run_id=step.run_id)
    say(payment.ada, payment.item)
    other = make_escalation(queue=payment.queue)
    assert cancel_escalations(system_user("plane"), run_id=step.run_id, reason="run_over") == 2
    assert payment.now().state == "cancelled"
    assert payment.action_now().state == ActionState.CANCELLED
    assert not Vote.objects.filter(voided_at=None).exists()
    assert Escalation.objects.get(pk=other.pk).state == "pending"
    assert EscalationGroup.objects.filter(is_open=True).count() == 1


def test_cancelling_without_saying_what_is_an_error():
    with pytest.raises(ValueError, match="which"):
        cancel_escalations(system_user("plane"))


def test_a_decided_item_is_not_cancelled():
    payment = make_payment()
    say(payment.ada, payment.item)
    with nothing_happens():
        assert cancel_escalations(system_user("plane"), action_id=payment.action.pk) == 0


def test_a_successor_takes_the_place_and_the_loser_learns_of_it():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    agent = payment.agent.user
    successor = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": 300_000})
    supersede_escalation(agent, action=payment.action, successor=successor.pk)
    item = escalate(successor, payment.operation, supersedes=payment.action)
    assert item.supersedes_id == payment.item.pk
    assert payment.now().state == "superseded"
    assert not Vote.objects.filter(voided_at=None).exists()
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ben, payment.item, version=1)
    assert (caught.value.code, caught.value.members["by"]) == ("superseded", str(item.pk))


# --- what happens elsewhere -----------------------------------------------------------------------------------------


def test_a_retired_agent_s_items_end_and_are_refused_until_then():
    payment = make_payment()
    change_state(make_admin(), agent=payment.agent, to="retired", reason="replaced")
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ada, payment.item)
    assert caught.value.code == "cancelled"
    deliver_reactions()
    assert payment.now().state == "cancelled"
    assert payment.action_now().state == ActionState.CANCELLED


def test_a_lost_role_voids_the_vote_and_lets_go_of_the_claim():
    payment = make_payment(quorum=2)
    other = make_escalation(queue=payment.queue)
    say(payment.ada, payment.item)
    claim_escalation(payment.ada, escalation_id=other.pk)
    for held in RoleGrant.objects.filter(user=payment.ada):
        revoke_role(make_admin(), grant=held)
    deliver_reactions()
    vote = Vote.objects.get()
    assert (vote.voided_at is None, vote.void_why) == (False, "rolegrant.revoked")
    assert Escalation.objects.get(pk=other.pk).claimed_by is None


def test_a_person_who_leaves_takes_the_vote_along():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    end_person(make_admin(), user=payment.ada, reason="left")
    deliver_reactions()
    assert Vote.objects.get().voided_at is not None


def test_a_quorum_that_nobody_can_reach_moves_to_the_next_level():
    heads = make_queue(slug="heads")
    queue = make_queue(unit=heads.unit, escalation=[{"after_s": 600, "to": "heads"}])
    make_approver(heads)
    item = make_escalation(queue=queue)
    deliver_reactions()
    found = Escalation.objects.get(pk=item.pk)
    assert [group.queue for group in found.group_list()] == [heads]
    assert found.version == 2
    assert Entry.objects.get(name="escalation.unreachable").payload == {"to": "heads"}


def test_a_quorum_that_somebody_can_reach_stays():
    queue = make_queue(escalation=[{"after_s": 600, "to": "heads"}])
    make_approver(queue)
    item = make_escalation(queue=queue)
    deliver_reactions()
    assert Escalation.objects.get(pk=item.pk).version == 1
    assert not Entry.objects.filter(name="escalation.unreachable").exists()


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_an_overdue_item_is_noted_once_and_decided_by_nobody():
    payment = make_payment()
    set_back(payment.item, due_at=5)
    assert (mark_overdue(), mark_overdue()) == (1, 0)
    assert payment.now().state == "pending"
    assert Entry.objects.filter(name="escalation.overdue").count() == 1


def test_an_action_that_waits_too_long_goes_to_the_next_level():
    payment = make_payment()
    heads = make_queue(slug="heads", unit=payment.unit)
    payment.queue.escalation = [{"after_s": 600, "to": "heads"}]
    payment.queue.save(update_fields=["escalation"])
    assert climb_ladders() == 0
    EscalationGroup.objects.update(climbs_at=ClockTimestamp())
    assert climb_ladders() == 1
    assert [group.queue for group in payment.now().group_list()] == [heads]
    assert climb_ladders() == 0
    assert say(make_approver(heads), payment.item).state == "approved"


def test_a_step_with_an_end_of_its_own_climbs_no_ladder():
    heads = make_queue(slug="heads")
    queue = make_queue(unit=heads.unit, escalation=[{"after_s": 1, "to": "heads"}])
    item = make_escalation(queue=queue, needed=2, climbs=False)
    set_back(item, due_at=100)
    assert climb_ladders() == 0
    old = make_approver(queue)
    say(old, item)
    assert reassign_open(system_user("plane"), run_id=item.run_id, step="approve", round=1, queue=heads) == 1
    first, second = make_approver(heads), make_approver(heads)
    assert say(first, item).state == "pending"
    assert Vote.objects.get(voter=old).voided_at is not None
    assert say(second, item).state == "approved"


def test_a_halt_stops_the_clocks_and_lifting_gives_the_time_back():
    payment = make_payment()
    free = make_escalation(expires_s=60)
    halt = engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="drill")
    assert expire_escalations() == 0
    deliver_reactions()
    frozen = payment.now()
    assert frozen.frozen_at is not None
    assert Escalation.objects.get(pk=free.pk).frozen_at is None
    with pytest.raises(HaltedError):
        say(payment.ada, payment.item)
    set_back(payment.item, frozen_at=100, expires_at=50)
    frozen = payment.now()
    assert expire_escalations() == 0
    lift_halt(make_admin(), halt_id=halt.pk, reason="done")
    deliver_reactions()
    thawed = payment.now()
    assert thawed.frozen_at is None
    for name in ("due_at", "expires_at"):
        moved = getattr(thawed, name) - getattr(frozen, name)
        assert moved >= timedelta(seconds=100)
    assert say(payment.ada, payment.item).state == "approved"


def test_a_second_halt_keeps_the_clocks_still():
    payment = make_payment()
    one = engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="drill")
    engage_halt(make_admin(), scope="unit", target=payment.unit.slug, unit=payment.unit, reason="drill")
    deliver_reactions()
    lift_halt(make_admin(), halt_id=one.pk, reason="done")
    deliver_reactions()
    assert payment.now().frozen_at is not None


@pytest.mark.parametrize("scope", ["everything", "unit", "agent", "version", "connector", "operation"])
def test_every_scope_of_a_halt_freezes_what_it_stops(scope):
    payment = make_payment()
    other = make_payment()
    target = {
        "everything": "",
        "unit": payment.unit.slug,
        "agent": payment.agent.slug,
        "version": f"{payment.agent.slug}@1",
        "connector": payment.operation.connector.slug,
        "operation": payment.operation.slug,
    }[scope]
    engage_halt(make_admin(), scope=scope, target=target, unit=payment.unit, reason="drill")
    deliver_reactions()
    assert payment.now().frozen_at is not None
    assert (other.now().frozen_at is not None) == (scope == "everything")
    with pytest.raises(HaltedError):
        say(payment.ada, payment.item)


# --- hold -----------------------------------------------------------------------------------------------------------


def test_a_rule_s_hold_keeps_the_grant_back_until_its_time():
    payment = make_payment(obligations={"hold": "10m"})
    item = say(payment.ada, payment.item)
    assert (item.state, item.decided_by, item.outcome) == ("held", payment.ada, "approved")
    assert item.releases_at > item.decided_at + timedelta(minutes=9)
    assert payment.action_now().state == ActionState.PENDING_APPROVAL
    assert not Grant.objects.exists()
    assert release_held() == 0
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ben, payment.item, "reject", reason="no")
    assert caught.value.code == "already_decided"
    set_back(payment.item, releases_at=1)
    assert release_held() == 1
    assert payment.now().state == "approved"
    assert payment.action_now().state == ActionState.APPROVED
    assert Grant.objects.count() == 1
    assert Entry.objects.get(name="escalation.approved").payload["decided_by"] == [payment.ada.username]


def test_a_held_decision_is_undone_by_its_decider_alone():
    payment = make_payment(obligations={"hold": "10m"})
    say(payment.ada, payment.item)
    with nothing_happens(), pytest.raises(NotAllowedError):
        undo_decision(payment.ben, escalation_id=payment.item.pk)
    undone = undo_decision(payment.ada, escalation_id=payment.item.pk)
    assert (undone.state, undone.decided_by, undone.outcome) == ("pending", None, "")
    assert say(payment.ben, payment.item).state == "held"


def test_what_was_released_is_not_undone():
    payment = make_payment()
    say(payment.ada, payment.item)
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        undo_decision(payment.ada, escalation_id=payment.item.pk)
    assert caught.value.code == "already_decided"


def test_a_halt_keeps_a_held_decision_back():
    payment = make_payment(obligations={"hold": "10m"})
    say(payment.ada, payment.item)
    set_back(payment.item, releases_at=1)
    engage_halt(make_admin(), scope="operation", target=payment.operation.slug, unit=payment.unit, reason="drill")
    assert release_held() == 0
    assert not Grant.objects.exists()


def test_a_decision_before_the_deadline_stands_however_late_the_workers():
    payment = make_payment()
    say(payment.ada, payment.item)
    assert expire_escalations() == 0
    assert payment.now().state == "approved"
