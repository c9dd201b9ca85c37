"""One person's say: who may, on what, once, in time; and what a refusal leaves behind: nothing."""

from contextlib import contextmanager

import pytest

from apps.access.models import RoleGrant
from apps.access.services import revoke_role
from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.core.errors import ConflictError, HaltedError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.oversight.models import Escalation, EscalationGroup, Grant, Vote
from apps.oversight.services import cast_vote, withdraw_vote
from tests.factories.access import grant, make_admin, make_approver, make_holder, make_queue, make_role, make_user
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db


@contextmanager
def refused(kind, code, **members):
    """The block raises this refusal and changes nothing."""
    with nothing_happens(), pytest.raises(kind) as caught:
        yield caught
    assert caught.value.code == code
    assert {name: caught.value.members.get(name) for name in members} == members


def entries(item):
    return list(Entry.objects.filter(subject_id=item.pk).order_by("id").values_list("name", flat=True))


def expire(item):
    Escalation.objects.filter(pk=item.pk).update(expires_at=ClockTimestamp())


def test_an_approval_releases_the_action_and_one_grant_bound_to_its_digest():
    payment = make_payment()
    decided = say(payment.ada, payment.item, reason="Known supplier.", view_hash=payment.item.view_hash())
    assert decided.state == "approved"
    assert decided.decided_by == payment.ada
    assert payment.action_now().state == ActionState.APPROVED
    released = Grant.objects.get()
    assert (released.action_id, released.digest, released.state) == (payment.action.pk, payment.action.digest, "live")
    assert released.expires_at > released.created_at
    assert entries(payment.item) == ["escalation.pending", "vote.cast", "escalation.approved"]
    vote = Vote.objects.get()
    assert (vote.voter, vote.view_hash, vote.version) == (payment.ada, payment.item.view_hash(), 1)
    assert not EscalationGroup.objects.filter(is_open=True).exists()


def test_the_entry_of_a_decision_says_what_the_run_needs_to_go_on():
    queue = make_queue()
    ada = make_approver(queue, username="ada")
    item = make_escalation(queue=queue)
    say(ada, item, reason="Fine.")
    told = Entry.objects.get(name="escalation.approved").payload
    wanted = {"kind": "approval", "outcome": "approved", "run_id": str(item.run_id), "step": "approve", "round": 1}
    assert wanted.items() <= told.items()
    assert told["decided_by"] == ["ada"]
    assert told["reason"] == "Fine."
    assert Entry.objects.get(name="escalation.approved").trail_id == item.run_id


def test_a_rejection_ends_the_action_with_reason_and_hint():
    payment = make_payment()
    say(payment.ada, payment.item, "reject", reason="Wrong account.", reason_code="wrong_target", retry="after_change")
    action = payment.action_now()
    assert action.state == ActionState.REJECTED
    assert action.refusal == {
        "code": "wrong_target",
        "reason": "Wrong account.",
        "retry": "after_change",
        "by": payment.ada.username,
        "escalation": str(payment.item.pk),
    }
    assert action.finished_at is not None
    assert not Grant.objects.exists()


def test_a_request_for_changes_sends_the_action_back():
    payment = make_payment()
    say(payment.ada, payment.item, "request_changes", reason="Split it.")
    assert payment.now().state == "changes_requested"
    assert payment.action_now().state == ActionState.CHANGES_REQUESTED
    assert not Grant.objects.exists()


@pytest.mark.parametrize("verdict", ["reject", "request_changes"])
def test_a_no_without_a_reason_is_refused(verdict):
    payment = make_payment()
    with refused(InvalidError, "invalid") as caught:
        say(payment.ada, payment.item, verdict, reason="  ")
    assert set(caught.value.errors) == {"reason"}


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"verdict": "answer", "answer": "yes"}, "verdict"),
        ({"verdict": "approved"}, "verdict"),
        ({"verdict": "reject", "reason": "no", "retry": "later"}, "retry"),
        ({"verdict": "approve", "retry": "never"}, "retry"),
        ({"verdict": "reject", "reason": "x" * 2001}, "reason"),
        ({"verdict": "reject", "reason_code": "x" * 41}, "reason_code"),
        ({"verdict": "reject", "reason": "no", "parameters": {}}, "parameters"),
        ({"verdict": "approve", "answer": "yes"}, "answer"),
        ({"verdict": "approve", "hold_s": 61}, "hold_s"),
    ],
)
def test_words_that_do_not_fit_are_refused(words, field):
    payment = make_payment()
    with refused(InvalidError, "invalid") as caught:
        say(payment.ada, payment.item, **words)
    assert set(caught.value.errors) == {field}


# --- who may --------------------------------------------------------------------------------------------------------


def test_a_stranger_finds_nothing():
    payment = make_payment()
    with refused(NotFoundError, "not_found"):
        cast_vote(make_user(), escalation_id=payment.item.pk, verdict="approve", version=1)


def test_seeing_is_not_deciding():
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    with refused(NotAllowedError, "not_eligible", why="no_permission"):
        say(viewer, payment.item)


def test_an_administrator_does_not_decide():
    payment = make_payment()
    with refused(NotAllowedError, "not_eligible", why="no_permission"):
        say(make_admin(), payment.item)


def test_the_right_permission_without_the_queue_s_role_is_not_enough():
    payment = make_payment()
    other = make_holder("oversight.view_escalation", "oversight.decide_escalation", unit=payment.unit)
    with refused(NotAllowedError, "not_eligible", why="not_in_queue"):
        say(other, payment.item)


def test_the_same_role_in_another_unit_is_a_stranger_s():
    payment = make_payment()
    elsewhere = make_user()
    grant(elsewhere, payment.queue.role, make_queue().unit)
    with refused(NotFoundError, "not_found"):
        say(elsewhere, payment.item, version=1)


def test_an_agent_never_votes_whatever_it_was_granted():
    payment = make_payment()
    grant(payment.agent.user, payment.queue.role, payment.unit)
    with refused(NotAllowedError, "not_allowed"):
        say(payment.agent.user, payment.item, version=1)


def test_a_system_never_votes_whatever_it_was_granted():
    payment = make_payment()
    plane = system_user("plane")
    grant(plane, payment.queue.role)
    with refused(NotAllowedError, "not_allowed"):
        say(plane, payment.item, version=1)


def test_a_person_who_left_does_not_vote():
    payment = make_payment()
    payment.ada.is_active = False
    payment.ada.save()
    with refused(NotAllowedError, "not_allowed"):
        say(payment.ada, payment.item, version=1)


def test_the_agent_s_owner_is_barred_where_the_rule_says_so_and_only_there():
    strict = make_payment(obligations={"exclude": ["agent_owner"]})
    grant(strict.agent.owner, strict.queue.role, strict.unit)
    with refused(NotAllowedError, "not_eligible", why="agent_owner"):
        say(strict.agent.owner, strict.item)
    mild = make_payment()
    grant(mild.agent.owner, mild.queue.role, mild.unit)
    assert say(mild.agent.owner, mild.item).state == "approved"


def test_whoever_becomes_the_agent_s_owner_is_barred_from_then_on():
    payment = make_payment(obligations={"exclude": ["agent_owner"]})
    payment.agent.owner = payment.ada
    payment.agent.save(update_fields=["owner"])
    with refused(NotAllowedError, "not_eligible", why="agent_owner"):
        say(payment.ada, payment.item)


def test_the_person_for_whom_was_asked_is_a_requester():
    payment = make_payment(obligations={"exclude": ["requester"]})
    payment.action.on_behalf_of = payment.ada
    payment.action.save(update_fields=["on_behalf_of"])
    with refused(NotAllowedError, "not_eligible", why="requester"):
        say(payment.ada, payment.item)
    assert say(payment.ben, payment.item).state == "approved"


def test_the_author_of_a_matched_rule_is_barred_where_the_rule_says_so():
    payment = make_payment(obligations={"exclude": ["policy_author"]})
    Escalation.objects.filter(pk=payment.item.pk).update(
        verdict={**payment.item.verdict, "authors": [payment.ada.username]}
    )
    with refused(NotAllowedError, "not_eligible", why="policy_author"):
        say(payment.ada, payment.item)


def test_a_step_bars_its_starter_and_whomever_it_names():
    queue = make_queue()
    olga, ada, ben = (make_approver(queue, username=name) for name in ("olga", "ada", "ben"))
    item = make_escalation(queue=queue, exclude=["run_starter", "ada"])
    with refused(NotAllowedError, "not_eligible", why="run_starter"):
        say(olga, item)
    with refused(NotAllowedError, "not_eligible", why="excluded"):
        say(ada, item)
    assert say(ben, item).state == "approved"


# --- once, in time, on what was seen --------------------------------------------------------------------------------


def test_the_loser_learns_who_won_and_so_does_the_winner_who_repeats():
    payment = make_payment()
    say(payment.ada, payment.item)
    for late in (payment.ben, payment.ada):
        with refused(ConflictError, "already_decided") as caught:
            say(late, payment.item, "reject", reason="no", version=99)
        winner = caught.value.members["winner"]
        assert winner["by"] == payment.ada.username
        assert winner["verdict"] == "approve"
        assert winner["at"]


def test_nobody_votes_twice_on_what_still_waits():
    payment = make_payment(quorum=2)
    assert say(payment.ada, payment.item).state == "pending"
    with refused(ConflictError, "already_voted"):
        say(payment.ada, payment.item)


def test_a_decision_after_expiry_is_refused_before_any_sweep():
    payment = make_payment()
    expire(payment.item)
    with refused(ConflictError, "expired"):
        say(payment.ada, payment.item)
    assert payment.now().state == "pending"


def test_a_first_vote_after_expiry_is_refused_too():
    payment = make_payment(quorum=2)
    expire(payment.item)
    with refused(ConflictError, "expired"):
        say(payment.ada, payment.item)


def test_what_ended_otherwise_says_so_before_it_says_stale():
    payment = make_payment()
    ends = [
        ("expired", {}),
        ("cancelled", {}),
        ("superseded", {"by": None}),
        ("invalidated", {"why": "schema changed"}),
    ]
    for state, members in ends:
        item = make_escalation(queue=payment.queue)
        Escalation.objects.filter(pk=item.pk).update(
            state=state, ended_at=ClockTimestamp(), reason=members.get("why", "")
        )
        with refused(ConflictError, state, **members):
            say(payment.ada, item, version=99)


def test_a_vote_on_another_version_is_stale():
    payment = make_payment()
    with refused(ConflictError, "stale", version=1):
        say(payment.ada, payment.item, version=2)


def test_a_vote_on_another_view_is_stale():
    payment = make_payment()
    with refused(ConflictError, "stale", version=1):
        say(payment.ada, payment.item, view_hash="sha256:0")


def test_a_halt_stops_decisions():
    payment = make_payment()
    Halt.objects.create(scope="operation", target=payment.operation.slug, reason="drill", engaged_by=make_user())
    with refused(HaltedError, "halted", scope="operation", reason="drill"):
        say(payment.ada, payment.item)


# --- friction -------------------------------------------------------------------------------------------------------


def test_a_high_tier_wants_the_value_again():
    payment = make_payment(risk="high")
    for wrong in (None, "2,500.01", 1):
        with refused(InvalidError, "invalid") as caught:
            say(payment.ada, payment.item, restated=wrong)
        assert set(caught.value.errors) == {"restated"}
    assert say(payment.ada, payment.item, restated="2,500.00").state == "approved"
    assert Vote.objects.get().restated


def test_a_rejection_of_a_high_tier_needs_no_restating():
    payment = make_payment(risk="high")
    assert say(payment.ada, payment.item, "reject", reason="no").state == "rejected"


def test_a_rule_s_risk_counts_as_the_agent_s_does():
    payment = make_payment({"when": "true", "effect": "flag", "risk": "high"})
    assert payment.item.risk == "high"


def test_a_critical_tier_takes_two_people_and_a_fresh_sign_in():
    payment = make_payment(risk="critical")
    with refused(NotAllowedError, "not_eligible", why="step_up"):
        say(payment.ada, payment.item, restated=250_000)
    fresh = {"restated": 250_000, "stepped_up": True}
    assert say(payment.ada, payment.item, **fresh).state == "pending"
    assert say(payment.ben, payment.item, **fresh).state == "approved"


def test_a_rule_may_ask_for_a_fresh_sign_in():
    payment = make_payment(obligations={"step_up": True})
    with refused(NotAllowedError, "not_eligible", why="step_up"):
        say(payment.ada, payment.item)
    assert say(payment.ada, payment.item, stepped_up=True).state == "approved"


# --- quorum ---------------------------------------------------------------------------------------------------------


def test_two_of_one_queue():
    payment = make_payment(quorum=2)
    assert say(payment.ada, payment.item).state == "pending"
    assert payment.action_now().state == ActionState.PENDING_APPROVAL
    assert not Grant.objects.exists()
    decided = say(payment.ben, payment.item)
    assert decided.state == "approved"
    names = sorted([payment.ada.username, payment.ben.username])
    assert Entry.objects.get(name="escalation.approved").payload["decided_by"] == names
    assert Grant.objects.count() == 1


def test_one_of_each_queue_and_a_person_of_both_counts_once():
    finance, legal = make_queue(), make_queue()
    item = make_escalation(queue=finance, groups=[(finance, 1), (legal, 1)], unit=finance.unit)
    both, lawyer = make_approver(finance), make_approver(legal)
    grant(both, legal.role, legal.unit)
    grant(lawyer, make_role("oversight.view_escalation", "oversight.decide_escalation"), finance.unit)
    assert say(both, item).state == "pending"
    assert say(lawyer, item).state == "approved"


def test_two_of_a_queue_are_not_one_of_each():
    finance, legal = make_queue(), make_queue()
    item = make_escalation(queue=finance, groups=[(finance, 1), (legal, 1)], unit=finance.unit)
    for _ in range(2):
        assert say(make_approver(finance), item).state == "pending"


def test_a_group_narrowed_to_a_role_wants_that_role_too():
    board = make_role()
    payment = make_payment(
        {
            "when": "true",
            "effect": "require_approval",
            "obligations": {"quorum": {"n": 1, "role": board.slug}},
        }
    )
    member = payment.approver()
    grant(member, board, payment.unit)
    assert say(payment.ada, payment.item).state == "pending"
    assert say(payment.ben, payment.item).state == "pending"
    assert say(member, payment.item).state == "approved"


def test_people_of_one_unit_do_not_make_a_quorum_of_distinct_units():
    payment = make_payment(obligations={"quorum": {"n": 2, "distinct_units": True}})
    assert say(payment.ada, payment.item).state == "pending"
    assert say(payment.ben, payment.item).state == "pending"
    other = make_user()
    grant(other, payment.queue.role)
    assert say(other, payment.item).state == "approved"


def test_a_rejection_decides_whatever_approvals_there_are():
    payment = make_payment(quorum=3)
    say(payment.ada, payment.item)
    assert say(payment.ben, payment.item, "reject", reason="no").state == "rejected"
    assert payment.action_now().state == ActionState.REJECTED


def test_a_threshold_of_two_rejections_needs_two():
    queue = make_queue()
    item = make_escalation(queue=queue, needed=2, deny_needed=2)
    assert say(make_approver(queue), item, "reject", reason="no").state == "pending"
    assert say(make_approver(queue), item, "reject", reason="no").state == "rejected"


def test_a_voter_who_lost_the_role_does_not_count():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    for held in RoleGrant.objects.filter(user=payment.ada):
        revoke_role(system_user("console"), grant=held)
    assert say(payment.ben, payment.item).state == "pending"
    vote = Vote.objects.get(voter=payment.ada)
    assert vote.voided_at is not None
    assert vote.void_why == "no_permission"
    assert "vote.voided" in entries(payment.item)
    assert say(payment.approver(), payment.item).state == "approved"


def test_a_vote_may_be_withdrawn_until_the_end():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    withdraw_vote(payment.ada, escalation_id=payment.item.pk)
    assert say(payment.ben, payment.item).state == "pending"
    assert say(payment.ada, payment.item).state == "approved"
    with refused(ConflictError, "already_decided"):
        withdraw_vote(payment.ada, escalation_id=payment.item.pk)


def test_nothing_to_withdraw_is_a_conflict():
    payment = make_payment()
    with refused(ConflictError, "invalid_state"):
        withdraw_vote(payment.ada, escalation_id=payment.item.pk)


# --- answers --------------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["supplier", "amount_minor"],
    "properties": {"supplier": {"type": "string"}, "amount_minor": {"type": "integer", "minimum": 1}},
}


def form(queue, **fields):
    return make_escalation(queue=queue, kind="form", step="select_vendor", schema=SCHEMA, **fields)


def test_a_form_is_answered_once_with_what_fits():
    queue = make_queue()
    ada = make_approver(queue)
    item = form(queue)
    answer = {"supplier": "ACME", "amount_minor": 5}
    decided = say(ada, item, "answer", answer=answer)
    assert (decided.state, decided.answer) == ("answered", answer)
    told = Entry.objects.get(name="escalation.answered").payload
    assert told["answer"] == answer
    assert told["decided_by"] == [ada.username]


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ({}, {"answer.supplier", "answer.amount_minor"}),
        ({"supplier": "ACME", "amount_minor": "5"}, {"answer.amount_minor"}),
        ({"supplier": "ACME", "amount_minor": 0}, {"answer.amount_minor"}),
        ({"supplier": "ACME", "amount_minor": 5, "extra": 1}, {"answer"}),
        (None, {"answer"}),
        ("ACME", {"answer"}),
    ],
)
def test_an_answer_that_misses_the_schema_leaves_the_item_pending(answer, fields):
    queue = make_queue()
    item = form(queue)
    with refused(InvalidError, "invalid") as caught:
        say(make_approver(queue), item, "answer", answer=answer)
    assert set(caught.value.errors) == fields


def test_an_answer_is_not_an_approval_and_silence_is_no_answer():
    queue = make_queue()
    item = form(queue)
    for verdict, field in (("approve", "verdict"), ("reject", "verdict"), ("answer", "answer")):
        with refused(InvalidError, "invalid") as caught:
            say(make_approver(queue), item, verdict)
        assert set(caught.value.errors) == {field}


def test_options_are_all_that_can_be_answered():
    queue = make_queue()
    item = make_escalation(queue=queue, kind="question", options=["yes", "no", 3])
    with refused(InvalidError, "invalid"):
        say(make_approver(queue), item, "answer", answer="maybe")
    assert say(make_approver(queue), item, "answer", answer=3).answer == 3
