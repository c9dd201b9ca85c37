"""Handing on, putting aside, giving more time: over HTTP, with who may not and what is refused."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.models import Entry
from apps.halts.services import engage_halt
from apps.oversight.models import Delegation, Escalation, Snooze, Vote
from apps.oversight.rules import acted_for, extension_bound, snooze_problem
from apps.oversight.selectors import inbox_for
from tests.factories.access import grant, make_approver, make_holder, make_queue, make_unit, make_user
from tests.factories.oversight import make_escalation, make_payment, say
from tests.oversight.test_api import BASE, caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def do(person, item, move, **body):
    return post(caller(person), f"{BASE}{item.pk}/{move}/", body)


def mine(person, view="mine"):
    return [row.pk for row in inbox_for(person, view=view)]


def refused(person, item, move, field, **body):
    with nothing_but_a_note():
        answer = do(person, item, move, **body)
    assert answer.status_code == 422, answer.content
    assert set(answer.json()["errors"]) == {field}
    return answer.json()["errors"][field]


def barred(person, item, move, why=None, **body):
    with nothing_but_a_note():
        answer = do(person, item, move, **body)
    assert answer.status_code == 403, answer.content
    if why:
        assert answer.json()["why"] == why


MOVES = [
    ("delegate", {"to": "nobody"}),
    ("reassign", {"to": "nobody", "reason": "Better there."}),
    ("snooze", {"until": None}),
    ("extend", {"by_s": 60, "reason": "They are at lunch."}),
    ("escalate", {"reason": "Too big for us."}),
]


@pytest.mark.parametrize(("move", "body"), MOVES)
def test_strangers_find_nothing_viewers_agents_and_late_comers_are_refused(move, body):
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    with nothing_but_a_note():
        assert do(make_user(), payment.item, move, **body).status_code == 404
        assert do(viewer, payment.item, move, **body).status_code == 403
    say(payment.ada, payment.item)
    with nothing_but_a_note():
        answer = do(payment.ben, payment.item, move, **body)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_decided")


@pytest.mark.parametrize(("move", "body"), MOVES)
def test_a_halt_and_an_expiry_stop_them_all(move, body):
    payment, late = make_payment(), make_payment()
    Escalation.objects.filter(pk=late.item.pk).update(expires_at=late.item.created_at)
    boss = make_holder("halts.engage_halt", unit=payment.unit)
    engage_halt(boss, scope="agent", target=payment.agent.slug, unit=payment.unit, reason="Look first.")
    with nothing_but_a_note():
        assert do(payment.ada, payment.item, move, **body).status_code == 423
        assert do(late.ada, late.item, move, **body).json()["code"] == "expired"


@pytest.mark.parametrize(
    ("move", "body", "field"),
    [
        ("delegate", {}, "to"),
        ("delegate", {"to": 7}, "to"),
        ("delegate", {"to": "x" * 151}, "to"),
        ("delegate", {"to": "ben\x00"}, "to"),
        ("delegate", {"to": "ben", "as": "admin"}, "as"),
        ("reassign", {"queue": "there"}, "reason"),
        ("reassign", {"reason": "No target."}, "to"),
        ("reassign", {"reason": "Both.", "to": "a", "queue": "b"}, "to"),
        ("reassign", {"reason": "Nowhere.", "queue": "no-such-queue"}, "queue"),
        ("reassign", {"reason": "   ", "queue": "b"}, "reason"),
        ("snooze", {}, "until"),
        ("snooze", {"until": "tomorrow"}, "until"),
        ("snooze", {"until": 12}, "until"),
        ("snooze", {"until": "9999-12-31T23:59:59-14:00"}, "until"),
        ("snooze", {"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ("snooze", {"until": "2020-01-01T00:00:00Z"}, "until"),
        ("extend", {"reason": "How long?"}, "until"),
        ("extend", {"reason": "Both.", "by_s": 5, "until": "2030-01-01T00:00:00Z"}, "until"),
        ("extend", {"reason": "Back.", "by_s": 0}, "by_s"),
        ("extend", {"reason": "Back.", "by_s": -9}, "by_s"),
        ("extend", {"reason": "Text.", "by_s": "60"}, "by_s"),
        ("extend", {"reason": "Yes.", "by_s": True}, "by_s"),
        ("extend", {"reason": "For ever.", "by_s": 2**53 - 1}, "by_s"),
        ("extend", {"reason": "For ever.", "until": "9999-12-31T23:59:59Z"}, "until"),
        ("extend", {"by_s": 60}, "reason"),
        ("extend", {"by_s": 60, "reason": "x" * 2001}, "reason"),
        ("escalate", {}, "reason"),
        ("escalate", {"reason": ""}, "reason"),
    ],
)
def test_bodies_that_do_not_fit_are_told_at_their_field(move, body, field):
    payment = make_payment()
    refused(payment.ada, payment.item, move, field, **body)


# Delegating


def test_a_delegate_decides_and_both_are_one_vote():
    payment = make_payment(quorum=2)
    third = payment.approver()
    answer = do(payment.ada, payment.item, "delegate", to=payment.ben.username, reason="I am away.")
    assert answer.status_code == 200
    assert answer.json()["assigned_to"] == payment.ben.username
    assert answer.json()["delegations"] == [{"by": payment.ada.username, "to": payment.ben.username}]
    assert mine(payment.ada) == []
    assert mine(payment.ben) == [payment.item.pk]
    assert say(payment.ben, payment.item).state == "pending"
    assert Vote.objects.get().acts_for == [payment.ada.username]
    with nothing_but_a_note():
        again = post(caller(payment.ada), f"{BASE}{payment.item.pk}/decision/", {"verdict": "approve", "version": 1})
    assert again.json()["code"] == "already_voted"
    assert say(third, payment.item).state == "approved"
    told = Entry.objects.get(name="escalation.delegated")
    assert told.payload["reason"] == "I am away."


def test_whoever_may_not_decide_is_no_delegate_and_nobody_learns_who_exists():
    payment = make_payment(obligations={"exclude": ["agent_owner", "requester"]})
    owner = payment.agent.owner
    grant(owner, payment.queue.role, payment.unit)
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    other = make_approver(make_queue(unit=payment.unit))
    gone = payment.approver(is_active=False)
    names = [owner.username, viewer.username, other.username, gone.username, payment.agent.user.username, "nobody"]
    said = {tuple(refused(payment.ada, payment.item, "delegate", "to", to=name)) for name in names}
    assert said == {("Nobody of this name may decide it.",)}
    assert refused(payment.ada, payment.item, "delegate", "to", to=payment.ada.username) == ["Name somebody else."]


def test_whoever_is_barred_hands_nothing_on_and_decides_through_nobody():
    payment = make_payment(obligations={"exclude": ["agent_owner"]})
    grant(payment.agent.owner, payment.queue.role, payment.unit)
    barred(payment.agent.owner, payment.item, "delegate", "agent_owner", to=payment.ben.username)
    assert do(payment.ada, payment.item, "delegate", to=payment.ben.username).status_code == 200
    payment.agent.owner = payment.ada
    payment.agent.save(update_fields=["owner"])
    with nothing_but_a_note():
        answer = post(caller(payment.ben), f"{BASE}{payment.item.pk}/decision/", {"verdict": "approve", "version": 1})
    assert (answer.status_code, answer.json()["why"]) == (403, "agent_owner")
    assert post(caller(payment.ben), f"{BASE}{payment.item.pk}/release/", {}).status_code == 200
    assert say(payment.ben, payment.item).state == "approved"


def test_a_vote_cast_for_somebody_who_is_barred_later_is_void_at_the_count():
    payment = make_payment(quorum=2, obligations={"exclude": ["agent_owner"]})
    third, fourth = payment.approver(), payment.approver()
    do(payment.ada, payment.item, "delegate", to=payment.ben.username)
    say(payment.ben, payment.item)
    payment.agent.owner = payment.ada
    payment.agent.save(update_fields=["owner"])
    assert say(third, payment.item).state == "pending"
    assert Vote.objects.get(voter=payment.ben).void_why == "agent_owner"
    assert say(fourth, payment.item).state == "approved"


def test_a_chain_is_bounded_and_never_a_circle():
    payment = make_payment()
    people = [payment.ada, payment.ben, payment.approver(), payment.approver(), payment.approver()]
    for giver, taker in pairwise(people[:4]):
        assert do(giver, payment.item, "delegate", to=taker.username).status_code == 200
    refused(people[3], payment.item, "delegate", "to", to=people[0].username)
    refused(people[3], payment.item, "delegate", "to", to=people[4].username)
    say(people[3], payment.item)
    assert Vote.objects.get().acts_for == sorted(person.username for person in people[:3])


def test_claiming_takes_back_and_letting_go_gives_back():
    payment = make_payment()
    client = caller(payment.ada)
    do(payment.ada, payment.item, "delegate", to=payment.ben.username)
    assert post(client, f"{BASE}{payment.item.pk}/claim/", {}).json()["delegations"] == []
    assert mine(payment.ada) == [payment.item.pk]
    do(payment.ada, payment.item, "delegate", to=payment.ben.username)
    answer = post(caller(payment.ben), f"{BASE}{payment.item.pk}/release/", {}).json()
    assert (answer["delegations"], answer["assigned_to"]) == ([], None)
    names = list(Entry.objects.filter(name__startswith="escalation.").order_by("id").values_list("name", flat=True))
    assert [name for name in names if name.endswith("_back")] == ["escalation.taken_back", "escalation.handed_back"]


def test_handing_on_again_replaces_and_voting_takes_back():
    payment = make_payment(quorum=2)
    third = payment.approver()
    do(payment.ada, payment.item, "delegate", to=payment.ben.username)
    do(payment.ada, payment.item, "delegate", to=third.username)
    assert [row.to for row in Delegation.objects.filter(ended_at=None)] == [third]
    say(payment.ada, payment.item)
    assert not Delegation.objects.filter(ended_at=None).exists()
    assert say(third, payment.item).state == "approved"


def test_whoever_voted_hands_nothing_on_and_takes_nothing_over():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    with nothing_but_a_note():
        answer = do(payment.ada, payment.item, "delegate", to=payment.ben.username)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_voted")
    refused(payment.ben, payment.item, "delegate", "to", to=payment.ada.username)


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=8), st.sampled_from("abcde"))
def test_nobody_acts_for_themselves_and_the_chain_is_closed(handed, person):
    found = acted_for(handed, person)
    assert person not in found
    for giver, taker in handed:
        if taker in found | {person} and giver != person:
            assert giver in found


# Reassigning and escalating


def test_an_item_is_given_to_a_person_and_leaves_the_unassigned():
    payment = make_payment()
    assert mine(payment.ada, "unassigned") == [payment.item.pk]
    answer = do(payment.ada, payment.item, "reassign", to=payment.ben.username, reason="She knows them.")
    assert (answer.json()["assigned_to"], answer.json()["version"]) == (payment.ben.username, 1)
    assert mine(payment.ada, "unassigned") == []
    refused(payment.ada, payment.item, "reassign", "to", to="nobody", reason="Who?")


def test_another_queue_decides_and_whoever_brought_it_there_does_not_gain_by_it():
    payment = make_payment()
    there = make_queue(unit=payment.unit)
    payment.queue.escalation = [{"after_s": 9, "to": there.slug}]
    payment.queue.save(update_fields=["escalation"])
    first, second = make_approver(there), make_approver(there)
    answer = do(first, payment.item, "reassign", queue=there.slug, reason="Ours.")
    assert (answer.status_code, answer.json()["queue"], answer.json()["version"]) == (200, there.slug, 2)
    assert Entry.objects.get(name="escalation.reassigned").payload["why"] == "Ours."
    barred(first, payment.item, "decision", "excluded", verdict="approve", version=2)
    assert mine(payment.ada) == []
    assert say(second, payment.item).state == "approved"


def test_a_queue_where_too_few_could_decide_is_refused():
    payment = make_payment(quorum=2)
    there, elsewhere = make_queue(unit=payment.unit), make_queue(unit=make_unit())
    payment.queue.escalation = [{"after_s": 9, "to": there.slug}]
    payment.queue.save(update_fields=["escalation"])
    make_approver(there)
    [make_approver(elsewhere) for _ in range(3)]
    refused(payment.ada, payment.item, "reassign", "queue", queue=there.slug, reason="There.")
    refused(payment.ada, payment.item, "reassign", "queue", queue=elsewhere.slug, reason="Far away.")
    refused(payment.ada, payment.item, "reassign", "queue", queue=payment.queue.slug, reason="Here.")


def test_no_queue_is_talked_out_of_its_say():
    payment = make_payment({"slug": "legal", "when": "true", "effect": "require_approval"})
    legal = make_queue(unit=payment.unit)
    say(payment.ada, payment.item, "reject", reason="Start over.")
    item = make_escalation(queue=payment.queue, groups=[(payment.queue, 1), (legal, 1)])
    make_approver(legal)
    refused(payment.ada, item, "reassign", "queue", queue=payment.queue.slug, reason="We suffice.")


def test_an_item_goes_to_the_next_level_now():
    payment = make_payment()
    boss = make_queue(unit=payment.unit)
    make_approver(boss)
    with nothing_but_a_note():
        answer = do(payment.ada, payment.item, "escalate", reason="Too big.")
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")
    payment.queue.escalation = [{"after_s": 9, "to": boss.slug}]
    payment.queue.save(update_fields=["escalation"])
    answer = do(payment.ada, payment.item, "escalate", reason="Too big.")
    assert (answer.status_code, answer.json()["queue"]) == (200, boss.slug)
    assert Entry.objects.get(name="escalation.escalated").payload["why"] == "Too big."


# Putting aside


def test_what_i_put_aside_waits_for_others_as_before():
    payment = make_payment()
    until = payment.item.created_at + (payment.item.due_at - payment.item.created_at) / 2
    answer = do(payment.ada, payment.item, "snooze", until=until.isoformat())
    assert answer.status_code == 200
    assert answer.json()["snoozed_until"] is not None
    assert (mine(payment.ada), mine(payment.ada, "snoozed")) == ([], [payment.item.pk])
    assert mine(payment.ben) == [payment.item.pk]
    assert mine(payment.ben, "snoozed") == []
    assert do(payment.ada, payment.item, "snooze", until=None).json()["snoozed_until"] is None
    assert mine(payment.ada) == [payment.item.pk]


def test_it_comes_back_when_it_warns_and_never_stays_past_its_deadline():
    payment = make_payment()
    item = payment.item
    do(payment.ada, item, "snooze", until=(item.due_at - timedelta(seconds=1)).isoformat())
    assert Snooze.objects.get().until == item.warn_at
    said = refused(payment.ada, item, "snooze", "until", until=(item.due_at + HOUR).isoformat())
    assert "after its deadline" in said[0]
    Escalation.objects.filter(pk=item.pk).update(warn_at=item.created_at)
    refused(payment.ada, item, "snooze", "until", until=(item.due_at - timedelta(seconds=1)).isoformat())


def test_it_comes_back_at_once_when_it_is_due_earlier():
    payment = make_payment()
    half = payment.item.created_at + (payment.item.due_at - payment.item.created_at) / 2
    do(payment.ada, payment.item, "snooze", until=half.isoformat())
    Escalation.objects.filter(pk=payment.item.pk).update(due_at=half)
    assert mine(payment.ada) == [payment.item.pk]


@given(st.datetimes(), st.datetimes(), st.datetimes(), st.datetimes())
def test_nothing_is_put_aside_past_its_deadline_or_its_warning(until, now, warning, deadline):
    if snooze_problem(until, now=now, warning=warning, deadline=deadline) is None:
        assert now < until <= deadline
        assert min(until, warning) > now


# More time


def test_more_time_moves_both_clocks_and_is_told():
    payment = make_payment()
    answer = do(payment.ada, payment.item, "extend", by_s=3600, reason="Their bank is closed.")
    assert answer.status_code == 200
    now = payment.now()
    assert (now.due_at - payment.item.due_at, now.expires_at - payment.item.expires_at) == (HOUR, HOUR)
    assert now.version == 1
    told = Entry.objects.get(name="escalation.extended").payload
    assert (told["extended_s"], told["reason"]) == (3600, "Their bank is closed.")
    until = now.expires_at + HOUR
    assert do(payment.ada, payment.item, "extend", until=until.isoformat(), reason="More.").status_code == 200
    assert payment.now().expires_at == until


def test_more_time_is_bounded_by_the_queue_however_often_it_is_asked_for():
    payment = make_payment()
    opened, expires_s = payment.item.created_at, payment.queue.expires_s
    bound = extension_bound(opened, expires_s=[expires_s], expires_in_s=None)
    assert do(payment.ada, payment.item, "extend", by_s=expires_s - 60, reason="Long.").status_code == 200
    assert payment.now().expires_at <= bound
    refused(payment.ada, payment.item, "extend", "by_s", by_s=120, reason="Longer.")
    refused(payment.ada, payment.item, "extend", "until", until=opened.isoformat(), reason="Shorter.")


def test_the_time_that_a_rule_gives_is_final():
    payment = make_payment(obligations={"expires_in": "2h"})
    refused(payment.ada, payment.item, "extend", "by_s", by_s=60, reason="A little.")


def test_a_step_without_an_end_is_due_later():
    step = make_escalation()
    person = make_approver(step.groups.get().queue)
    assert do(person, step, "extend", by_s=60, reason="A little.").status_code == 200
    now = Escalation.objects.get(pk=step.pk)
    assert (now.due_at - step.due_at, now.expires_at) == (timedelta(seconds=60), None)
