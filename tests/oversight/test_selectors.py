"""What waits for whom; what a page may know."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.agents.models import Action
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.gate import remember
from apps.core.models import ClockTimestamp
from apps.oversight.models import Escalation
from apps.oversight.rules import EXCLUDE_WORDS
from apps.oversight.selectors import (
    allowed_for,
    counts_for,
    detail_for,
    eligible_for,
    escalation_for,
    escalations_for,
    first_for,
    inbox_for,
    precedent_for,
    row_for,
    standing_for,
    timeline_for,
    why_not_for,
)
from apps.oversight.services import claim_escalation
from tests.factories.access import grant, make_approver, make_holder, make_queue, make_user
from tests.factories.oversight import escalate, make_escalation, make_payment, propose, say

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def ids(rows):
    return [row.pk for row in rows]


def test_mine_is_by_due_date_and_without_what_i_said_already():
    payment = make_payment(quorum=2)
    late = make_escalation(queue=payment.queue, due_s=9_000)
    soon = make_escalation(queue=payment.queue, due_s=60)
    assert ids(inbox_for(payment.ada)) == [soon.pk, payment.item.pk, late.pk]
    say(payment.ada, payment.item)
    assert ids(inbox_for(payment.ada)) == [soon.pk, late.pk]
    assert ids(inbox_for(payment.ben)) == [soon.pk, payment.item.pk, late.pk]
    assert ids(inbox_for(payment.ada, view="decided")) == [payment.item.pk]
    assert ids(inbox_for(payment.ada, view="team")) == [soon.pk, payment.item.pk, late.pk]


def test_the_inbox_of_a_viewer_of_a_stranger_and_of_another_queue():
    payment = make_payment()
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    assert ids(inbox_for(viewer)) == []
    assert ids(inbox_for(viewer, view="team")) == [payment.item.pk]
    other = make_approver(make_queue(unit=payment.unit))
    assert ids(inbox_for(other)) == []
    assert ids(inbox_for(other, view="team")) == [payment.item.pk]
    assert ids(inbox_for(make_user(), view="team")) == []


def test_agents_have_no_inbox_even_when_granted_one():
    payment = make_payment()
    grant(payment.agent.user, payment.queue.role)
    for ask in (inbox_for, escalations_for):
        with pytest.raises(NotAllowedError):
            ask(payment.agent.user)
    with pytest.raises(NotAllowedError):
        escalation_for(payment.agent.user, payment.item.pk)
    assert counts_for(payment.agent.user).mine == 0


def test_what_i_hold_is_mine_until_it_runs_out():
    payment = make_payment()
    claim_escalation(payment.ada, escalation_id=payment.item.pk)
    assert ids(inbox_for(payment.ada, view="claimed")) == [payment.item.pk]
    assert ids(inbox_for(payment.ben, view="claimed")) == []
    Escalation.objects.update(claimed_until=ClockTimestamp())
    assert ids(inbox_for(payment.ada, view="claimed")) == []


def items_at_random(chance):
    """Forty items with every combination of exclusions, edits and stations; the people who meet them."""
    payment = make_payment()
    queues = [payment.queue, make_queue(unit=payment.unit), make_queue()]
    people = [make_approver(queue) for queue in queues for _ in range(2)]
    people += [payment.agent.owner, make_holder("oversight.view_escalation", unit=payment.unit)]
    grant(people[0], queues[1].role, queues[1].unit)
    grant(payment.agent.owner, payment.queue.role, payment.unit)
    names = [person.username for person in people]
    for _ in range(40):
        action = None
        if chance.random() < 0.5:
            action = propose(
                payment.agent,
                payment.operation,
                payment.action.parameters,
                on_behalf_of=chance.choice([None, *people]),
            )
        item = make_escalation(
            queue=chance.choice(queues),
            action=action,
            agent=chance.choice([None, payment.agent]),
            run_starter=chance.choice(["", *names]),
            exclude=chance.sample([*EXCLUDE_WORDS, *names], chance.randint(0, 3)),
            verdict=chance.choice([{}, {"authors": chance.sample(names, 2)}]),
        )
        Escalation.objects.filter(pk=item.pk).update(editors=chance.sample(names, chance.randint(0, 1)))
    return people


def test_the_inbox_asks_in_sql_what_the_rules_ask_of_one_item():
    people = items_at_random(random.Random(7))
    everything = list(Escalation.objects.select_related("agent__owner", "action__principal", "action__on_behalf_of"))
    for person in people:
        standing = standing_for(person)
        visible = set(ids(escalations_for(person)))
        wanted = {item.pk for item in everything if item.pk in visible and standing.why_not(item) is None}
        assert set(ids(inbox_for(person))) == wanted, person


def test_every_page_reads_of_what_waits_what_the_inbox_lists():
    """Also of what somebody voted on, for themselves or another, handed on or put aside."""
    chance = random.Random(11)
    people = items_at_random(chance)
    for item in Escalation.objects.all():
        one, other = chance.sample(people, 2)
        match chance.randint(0, 4):
            case 0:
                item.votes.create(voter=one, verdict="approve", version=1, digest="", acts_for=[other.username])
            case 1:
                item.delegations.create(by=one, to=other, ended_at=chance.choice([None, item.created_at]))
            case 2:
                until = item.created_at + timedelta(days=chance.choice([-1, 1]))
                item.snoozes.create(person=one, until=until, due_at=item.due_at + chance.choice([-1, 1]) * SECOND)
    found = [[waiting.id for waiting in first_for(person)] for person in people]
    assert found == [ids(inbox_for(person)) for person in people]
    assert len({len(some) for some in found}) > 3  # each of them another share


def test_a_page_names_the_first_of_those_who_could_decide():
    people = items_at_random(random.Random(13))
    for item in Escalation.objects.all():
        everybody = eligible_for(people[0], item)
        assert eligible_for(people[0], item, most=1) == {key: some[:1] for key, some in everybody.items()}


def test_counts_stop_at_their_cap_and_say_so():
    payment = make_payment()
    for risk in ("high", "low", "critical"):
        make_escalation(queue=payment.queue, risk=risk)
    counts = counts_for(payment.ada)
    assert (counts.mine, counts.grave, counts.is_capped, str(counts)) == (4, 2, False, "4")
    capped = counts_for(payment.ada, cap=3)
    assert (capped.mine, capped.is_capped, str(capped)) == (3, True, "3+")


def test_filters_keep_what_they_name():
    payment = make_payment()
    step = make_escalation(queue=payment.queue, risk="high", workflow="onboarding", title="Open the account")
    for filters, found in (
        ({"kind": "action"}, payment.item),
        ({"risk": "high"}, step),
        ({"agent": payment.agent.slug}, payment.item),
        ({"workflow": "onboarding"}, step),
        ({"operation": payment.operation.slug}, payment.item),
        ({"q": "ACCOUNT"}, step),
        ({"run": str(step.run_id)}, step),
    ):
        assert ids(inbox_for(payment.ada, **filters)) == [found.pk], filters
    assert ids(inbox_for(payment.ada, queue="other")) == []


def test_an_item_is_its_viewers_and_nobody_else_s():
    payment = make_payment()
    assert escalation_for(payment.ada, payment.item.pk) == payment.item
    with pytest.raises(NotFoundError):
        escalation_for(make_user(), payment.item.pk)


def test_what_is_allowed_follows_the_person_the_tier_and_the_state():
    payment = make_payment(risk="high", quorum=2)
    item = escalation_for(payment.ada, payment.item.pk)
    assert allowed_for(payment.ada, item)["approve"] == {"restate": "amount_minor", "step_up": False, "edit": True}
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    assert (allowed_for(viewer, item), why_not_for(viewer, item)) == ({}, "no_permission")
    say(payment.ada, payment.item, restated=250_000)
    item = escalation_for(payment.ada, payment.item.pk)
    assert (allowed_for(payment.ada, item), why_not_for(payment.ada, item)) == ({}, "already_voted")
    say(payment.ben, payment.item, restated=250_000)
    item = escalation_for(payment.ada, payment.item.pk)
    assert (allowed_for(payment.ada, item), why_not_for(payment.ada, item)) == ({}, "ended")


def test_who_could_still_decide():
    payment = make_payment(quorum=2, obligations={"exclude": ["agent_owner"]})
    grant(payment.agent.owner, payment.queue.role, payment.unit)
    make_user(is_active=False)
    say(payment.ada, payment.item)
    item = escalation_for(payment.ben, payment.item.pk)
    assert eligible_for(payment.ben, item) == {payment.queue.slug: [payment.ben]}


def test_a_list_costs_the_same_whatever_its_length():
    payment = make_payment()

    def cost():
        remember(payment.ada)  # as every request that reads
        with CaptureQueriesContext(connection) as queries:
            standing = standing_for(payment.ada)
            for item in inbox_for(payment.ada)[:50]:
                row_for(payment.ada, item, standing)
        return len(queries)

    one = cost()
    for _ in range(20):
        make_escalation(queue=payment.queue)
    assert cost() == one
    assert one <= 18


def test_a_detail_costs_few_queries():
    payment = make_payment(quorum=2)
    say(payment.ben, payment.item)
    with CaptureQueriesContext(connection) as queries:
        detail_for(payment.ada, escalation_for(payment.ada, payment.item.pk))
    assert len(queries) <= 20


def test_the_timeline_tells_votes_words_and_one_line_of_retries():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item, reason="Known.")
    escalation = escalation_for(payment.ada, payment.item.pk)
    lines = timeline_for(payment.ada, escalation)
    assert [line["name"] for line in lines] == ["action.pending_approval", "escalation.pending", "vote.cast"]
    assert lines[-1]["verdict"] == "approve"
    assert lines[-1]["reason"] == "Known."


def test_precedent_counts_what_was_decided_on_the_same_agent_and_operation():
    payment = make_payment()
    say(payment.ada, payment.item)
    for verdict, parameters in (("reject", {"amount_minor": 900_000}), ("approve", {"iban": "DE0099"})):
        action = propose(payment.agent, payment.operation, {**payment.action.parameters, **parameters})
        say(payment.ben, escalate(action, payment.operation), verdict, reason="x")
    now = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": 400_000})
    item = escalation_for(payment.ada, escalate(now, payment.operation).pk)
    found = precedent_for(payment.ada, item)
    assert (found.approved, found.rejected, found.total) == (2, 1, 3)
    assert sorted((row.path, row.was, row.now) for row in found.differs) == [
        ("amount_minor", "250000", "400000"),
        ("iban", "DE0099", "DE0017"),
    ]
    assert (found.same_target, found.reversed) == (2, 0)
    other = make_payment()
    assert precedent_for(other.ada, escalation_for(other.ada, other.item.pk)).total == 0


def test_precedent_counts_what_was_approved_and_failed_afterwards():
    payment = make_payment()
    older = [propose(payment.agent, payment.operation, payment.action.parameters) for _ in range(3)]
    for action in older:
        say(payment.ada, escalate(action, payment.operation))
    Action.objects.filter(pk__in=[action.pk for action in older[:2]]).update(state="failed")
    assert precedent_for(payment.ada, escalation_for(payment.ada, payment.item.pk)).failed == 2
    client = Client()
    client.force_login(payment.ada)
    page = client.get(f"/inbox/{payment.item.pk}/").content.decode()
    assert "3 approved, 0 rejected, 2 failed" in page
    assert "2 of 3 that were approved failed afterwards." in page


def test_the_rows_of_a_list_hide_what_the_detail_hides():
    payment = make_payment(risk="high", quorum=2)
    say(payment.ben, payment.item, restated=250_000)
    row = row_for(payment.ada, escalation_for(payment.ada, payment.item.pk))
    assert row["quorum"] == {"needed": 2, "votes": [], "hidden": True}
    seen = row_for(payment.ben, escalation_for(payment.ben, payment.item.pk))
    assert [vote["by"] for vote in seen["quorum"]["votes"]] == [payment.ben.username]
