"""Several groups and stages: who is asked when, who counts where, who is still needed."""

import pytest
from django.test import Client

from apps.access.models import RoleGrant
from apps.access.services import revoke_role
from apps.audit.models import Entry
from apps.core.errors import NotAllowedError
from apps.core.services import system_user
from apps.notifications.models import Notice
from apps.notifications.selectors.people import recipients_of
from apps.notifications.services import raise_notice
from apps.oversight.models import EscalationGroup
from apps.oversight.selectors import detail_for, eligible_for, escalation_for, inbox_for, row_for
from apps.oversight.selectors.sheets import sheet_for
from apps.oversight.selectors.stuck import stuck_for
from apps.oversight.services import escalate_unreachable, void_votes_of, withdraw_vote
from tests.factories.access import grant, make_admin, make_approver, make_holder, make_queue, make_role, make_unit
from tests.factories.oversight import make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db


def asks(payment):
    """The groups as the page tells of them: queue, how many of how many, asked or not."""
    item = escalation_for(payment.ada, payment.item.pk)
    parts = detail_for(payment.ada, item)["groups"]
    return {part["queue"]: (part["counted"], part["needed"], part["asked"]) for part in parts}


def is_listed(person, item):
    return inbox_for(person).filter(pk=item.pk).exists()


class Staged:
    """A payment that the queue decides first, above 2,000.00 the board afterwards."""

    def __init__(self, *, risk="medium", parameters=None, sla_s=7_200):
        unit = make_unit()
        self.board = make_queue(unit=unit, sla_s=sla_s)
        quorum = [1, {"queue": self.board.slug, "n": 2, "stage": 2, "over_minor": 200_000}]
        self.payment = make_payment(unit=unit, obligations={"quorum": quorum}, risk=risk, parameters=parameters)
        self.eve, self.fay = make_approver(self.board), make_approver(self.board)
        self.item = self.payment.item

    def group(self):
        return EscalationGroup.objects.get(escalation=self.item, queue=self.board)


def pair(**fields):
    unit = make_unit()
    legal = make_queue(unit=unit)
    payment = make_payment(unit=unit, obligations={"quorum": [1, {"queue": legal.slug}]}, **fields)
    return payment, legal, make_approver(legal)


def test_one_of_each_group_must_agree_and_the_page_says_who_is_needed():
    payment, legal, lea = pair()
    assert asks(payment) == {payment.queue.slug: (0, 1, True), legal.slug: (0, 1, True)}
    say(payment.ada, payment.item)
    assert payment.now().state == "pending"
    assert asks(payment) == {payment.queue.slug: (1, 1, True), legal.slug: (0, 1, True)}
    say(lea, payment.item)
    assert payment.now().state == "approved"
    assert asks(payment) == {payment.queue.slug: (1, 1, True), legal.slug: (1, 1, True)}


def test_two_of_one_group_are_not_one_of_each():
    payment, legal, _ = pair()
    say(payment.ada, payment.item)
    say(payment.ben, payment.item)
    assert payment.now().state == "pending"
    assert asks(payment)[legal.slug] == (0, 1, True)


def test_who_is_in_both_counts_where_it_helps_most():
    payment, legal, lea = pair()
    grant(lea, payment.queue.role, payment.queue.unit)
    say(lea, payment.item)
    assert sum(counted for counted, _, _ in asks(payment).values()) == 1
    say(payment.ada, payment.item)
    assert payment.now().state == "approved"
    parts = sheet_for(payment.ada, escalation_for(payment.ada, payment.item.pk)).progress
    seats = {part.group.queue: [vote.voter for vote in part.approved] for part in parts}
    assert seats == {payment.queue: [payment.ada], legal: [lea]}


def test_a_complete_group_leaves_the_lists_of_the_others_in_it():
    payment, _, lea = pair()
    assert is_listed(payment.ben, payment.item)
    say(payment.ada, payment.item)
    assert not is_listed(payment.ben, payment.item)
    assert is_listed(lea, payment.item)
    withdraw_vote(payment.ada, escalation_id=payment.item.pk)
    assert is_listed(payment.ben, payment.item)


def test_a_group_is_hidden_as_long_as_votes_are():
    payment, _, lea = pair(risk="high")
    say(payment.ada, payment.item, restated=payment.item.restated()[0])
    item = escalation_for(lea, payment.item.pk)
    assert [part["counted"] for part in detail_for(lea, item)["groups"]] == [None, None]
    assert "counted" not in row_for(lea, item)["groups"][0]


def test_a_group_that_nobody_can_fill_goes_up_alone_and_at_once():
    unit = make_unit()
    legal = make_queue(unit=unit)
    chief = make_role("oversight.view_escalation", "oversight.decide_escalation")
    legal.escalation = [{"after_s": 3_600, "to": {"role": chief.slug}}]
    legal.save()
    payment = make_payment(unit=unit, obligations={"quorum": [1, {"queue": legal.slug}]})
    boss = make_approver(make_queue(unit=unit, role=chief))
    assert escalate_unreachable(system_user("plane"), escalation_id=payment.item.pk)
    called = dict(EscalationGroup.objects.filter(escalation=payment.item).values_list("queue__slug", "called"))
    assert called == {payment.queue.slug: [], legal.slug: [{"role": chief.slug}]}
    assert escalation_for(boss, payment.item.pk)


def test_a_no_below_the_threshold_that_leaves_too_few_goes_up_at_once():
    payment, _, lea = pair()
    type(payment.item).objects.filter(pk=payment.item.pk).update(deny_needed=2)
    say(lea, payment.item, "reject", reason="Not like this.")
    assert payment.now().state == "pending"
    assert Entry.objects.filter(name="escalation.unreachable", subject_id=payment.item.pk).exists()


def test_people_of_one_unit_cannot_reach_a_quorum_of_distinct_units():
    payment = make_payment(obligations={"quorum": {"n": 2, "distinct_units": True}})
    escalate_unreachable(system_user("plane"), escalation_id=payment.item.pk)
    assert Entry.objects.filter(name="escalation.unreachable", subject_id=payment.item.pk).exists()


def test_a_small_amount_asks_nobody_further():
    staged = Staged(parameters={"amount_minor": 200_000})
    say(staged.payment.ada, staged.item)
    assert staged.payment.now().state == "approved"


def test_the_second_stage_is_neither_asked_nor_may_it_vote_before_the_first_is_complete():
    staged = Staged()
    assert asks(staged.payment) == {staged.payment.queue.slug: (0, 1, True), staged.board.slug: (0, 2, False)}
    assert not is_listed(staged.eve, staged.item)
    item = escalation_for(staged.eve, staged.item.pk)
    assert (row_for(staged.eve, item)["allowed"], row_for(staged.eve, item)["why_not"]) == ({}, "not_yet_asked")
    assert staged.eve not in [person for people in eligible_for(staged.eve, item).values() for person in people]
    with nothing_happens(), pytest.raises(NotAllowedError) as caught:
        say(staged.eve, staged.item)
    assert caught.value.members["why"] == "not_yet_asked"
    assert (staged.group().climbs_at, staged.group().unseen_at, staged.group().is_open) == (None, None, False)


def test_the_second_stage_is_asked_when_the_first_is_complete_and_has_its_own_time():
    staged = Staged(sla_s=86_400)
    version, due = staged.item.version, staged.item.due_at
    say(staged.payment.ada, staged.item)
    now = staged.payment.now()
    assert (now.state, now.version) == ("pending", version)
    assert now.due_at > due
    assert (now.warned_at, now.reached_at) == (None, None)
    assert staged.group().climbs_at is not None
    told = Entry.objects.get(name="escalation.asked", subject_id=staged.item.pk).payload
    assert (told["queues"], told["needed"]) == ([staged.board.slug], 2)
    assert is_listed(staged.eve, staged.item)
    assert not is_listed(staged.payment.ben, staged.item)
    say(staged.eve, staged.item)
    assert staged.payment.now().state == "pending"
    say(staged.fay, staged.item)
    assert staged.payment.now().state == "approved"


def test_the_time_of_a_stage_never_passes_the_expiry():
    staged = Staged(sla_s=30 * 86_400)
    say(staged.payment.ada, staged.item)
    assert staged.payment.now().due_at == staged.item.expires_at


def test_only_those_whose_turn_came_are_told():
    staged = Staged()
    say(staged.payment.ada, staged.item)
    entry = Entry.objects.get(name="escalation.asked", subject_id=staged.item.pk)
    raise_notice(entry.actor, entry=entry)
    notice = Notice.objects.get(entry=entry)
    assert {person.pk for person in recipients_of(notice)} == {staged.eve.pk, staged.fay.pk}


def test_a_vote_of_the_first_stage_never_counts_in_the_second():
    staged = Staged()
    grant(staged.payment.ada, staged.board.role, staged.board.unit)
    say(staged.payment.ada, staged.item)
    say(staged.eve, staged.item)
    assert staged.payment.now().state == "pending"
    assert asks(staged.payment) == {staged.payment.queue.slug: (1, 1, True), staged.board.slug: (1, 2, True)}


def test_a_void_vote_of_the_first_stage_closes_the_second_until_it_is_made_good():
    staged = Staged()
    payment = staged.payment
    say(payment.ada, staged.item)
    say(staged.eve, staged.item)
    revoke_role(system_user("console"), grant=RoleGrant.objects.get(user=payment.ada))
    void_votes_of(system_user("plane"), user=payment.ada, why="rolegrant.revoked")
    with pytest.raises(NotAllowedError) as caught:
        say(staged.fay, staged.item)
    assert caught.value.members["why"] == "not_yet_asked"
    assert is_listed(payment.ben, staged.item)
    say(payment.ben, staged.item)
    say(staged.fay, staged.item)
    assert payment.now().state == "approved"


def test_withdrawing_the_first_stage_s_vote_takes_the_second_stage_s_turn_back():
    staged = Staged()
    say(staged.payment.ada, staged.item)
    withdraw_vote(staged.payment.ada, escalation_id=staged.item.pk)
    assert (staged.group().is_asked, staged.group().is_open, staged.group().climbs_at) == (False, False, None)


def test_a_no_of_the_first_stage_ends_it_before_the_second_is_asked():
    staged = Staged()
    say(staged.payment.ada, staged.item, "reject", reason="Wrong account.")
    assert staged.payment.now().state == "rejected"
    assert not Entry.objects.filter(name="escalation.asked", subject_id=staged.item.pk).exists()


def test_a_no_of_the_first_stage_still_counts_in_the_second_s_turn():
    staged = Staged()
    say(staged.payment.ada, staged.item)
    say(staged.payment.ben, staged.item, "reject", reason="I saw it too late.")
    assert staged.payment.now().state == "rejected"


def test_too_few_is_said_on_the_item_and_among_what_needs_an_administrator_until_somebody_is_there():
    payment = make_payment(obligations={"quorum": 3})
    escalate_unreachable(system_user("plane"), escalation_id=payment.item.pk)
    assert Entry.objects.get(name="escalation.unreachable").payload == {"to": None}
    admin, reader, path = Client(), Client(), f"/inbox/{payment.item.pk}/"
    admin.force_login(make_admin())
    reader.force_login(payment.ada)
    page = reader.get(path).content.decode()
    assert "Too few to decide" in page
    assert f"{payment.queue.name} needs 3, 0 approved, and 2 could still." in page
    assert "1 item has too few to decide it" in admin.get("/control/").content.decode()
    make_approver(payment.queue)
    assert "Too few may decide" not in reader.get(path).content.decode()
    assert "too few to decide" not in admin.get("/control/").content.decode()


def test_who_manages_access_elsewhere_is_not_told_of_it():
    payment = make_payment(obligations={"quorum": 3})
    escalate_unreachable(system_user("plane"), escalation_id=payment.item.pk)
    assert stuck_for(make_holder("access.manage_access", unit=payment.item.unit)) == [payment.item]
    assert stuck_for(make_holder("access.manage_access", unit=make_unit())) == []
