"""Many at once, with real threads, connections and commits. The edge cases race over HTTP; these race below it."""

from collections import Counter
from threading import Event, Timer

import pytest
from django.db import transaction

from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.core.errors import DomainError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation, Grant, Vote
from apps.oversight.services import (
    cancel_escalations,
    cast_vote,
    expire_escalations,
    freeze_clocks,
    open_action_escalation,
    thaw_clocks,
)
from apps.policies.rules import verdict_of
from tests.factories.access import make_admin
from tests.factories.oversight import make_payment, say
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")


def codes(results):
    return Counter(result.code if isinstance(result, DomainError) else "done" for result in results)


def test_a_quorum_of_three_takes_three_of_twenty():
    payment = make_payment(quorum=3)
    people = [payment.ada, payment.ben, *(payment.approver() for _ in range(18))]
    results = at_once(*(lambda person=person: say(person, payment.item) for person in people))
    assert codes(results) == {"done": 3, "already_decided": 17}
    assert payment.now().state == "approved"
    assert (Vote.objects.count(), Grant.objects.count()) == (3, 1)


def test_one_person_with_ten_windows_has_one_vote():
    payment = make_payment(quorum=2)
    results = at_once(*(lambda: say(payment.ada, payment.item) for _ in range(10)))
    assert codes(results) == {"done": 1, "already_voted": 9}
    assert Vote.objects.count() == 1
    assert payment.now().state == "pending"


def test_approving_and_rejecting_at_once_end_in_one_of_them():
    payment = make_payment()
    results = at_once(
        lambda: say(payment.ada, payment.item), lambda: say(payment.ben, payment.item, "reject", reason="no")
    )
    assert codes(results) == {"done": 1, "already_decided": 1}
    approved = payment.now().state == "approved"
    assert payment.action_now().state == (ActionState.APPROVED if approved else ActionState.REJECTED)
    assert Grant.objects.count() == (1 if approved else 0)


def test_editing_and_approving_at_once_never_approve_what_nobody_saw():
    payment = make_payment(quorum=2)
    results = at_once(
        lambda: say(payment.ada, payment.item, parameters={**payment.action.parameters, "amount_minor": 240_000}),
        lambda: cast_vote(payment.ben, escalation_id=payment.item.pk, verdict="approve", version=1),
    )
    item = payment.now()
    assert item.state == "pending"
    assert item.version == 2
    live = Vote.objects.filter(voided_at=None)
    assert [vote.version for vote in live] == [2]
    assert codes(results)["done"] >= 1
    assert set(codes(results)) <= {"done", "stale"}


def test_cancelling_and_approving_at_once_end_in_one_of_them():
    payment = make_payment()
    plane = system_user("plane")
    at_once(
        lambda: say(payment.ada, payment.item),
        lambda: cancel_escalations(plane, action_id=payment.action.pk),
    )
    state = payment.now().state
    assert state in {"approved", "cancelled"}
    assert payment.action_now().state == state
    assert Grant.objects.count() == (1 if state == "approved" else 0)


def test_expiring_and_approving_at_once_end_in_one_of_them():
    payment = make_payment()
    Escalation.objects.filter(pk=payment.item.pk).update(expires_at=ClockTimestamp())
    results = at_once(lambda: say(payment.ada, payment.item), expire_escalations, expire_escalations)
    assert codes(results[:1]) == {"expired": 1}
    assert sum(results[1:]) == 1
    assert payment.now().decided_by is None
    assert payment.action_now().state == ActionState.EXPIRED


def test_ten_retries_of_one_action_are_one_item():
    payment = make_payment()
    verdict = verdict_of(payment.action.verdict)
    agent = payment.agent.user

    def retry():
        return open_action_escalation(agent, action=payment.action, verdict=verdict, risk="medium")

    results = at_once(*([retry] * 10))
    assert {item.pk for item in results} == {payment.item.pk}
    assert payment.now().attempts == 11
    assert Entry.objects.filter(name="escalation.pending").count() == 1


def test_a_decision_and_the_end_of_a_halt_do_not_trip_over_each_other():
    payments = [make_payment() for _ in range(4)]
    halts = []
    for payment in payments:
        halts.append(
            engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="drill")
        )
        freeze_clocks(system_user("plane"), halt=halts[-1])
        lift_halt(make_admin(), halt_id=halts[-1].pk, reason="done")
    plane = system_user("plane")
    for payment, halt in zip(payments, halts, strict=True):
        decided = at_once(
            lambda payment=payment: say(payment.ada, payment.item),
            lambda halt=halt: thaw_clocks(plane, halt=halt),
        )
        assert codes(decided) == {"done": 2}
        assert payment.now().state == "approved"


def test_what_was_decided_while_the_clocks_wait_for_its_lock_keeps_its_end():
    payment = make_payment()
    halt = engage_halt(make_admin(), scope="agent", target=payment.agent.slug, unit=payment.unit, reason="drill")
    freeze_clocks(system_user("plane"), halt=halt)
    lift_halt(make_admin(), halt_id=halt.pk, reason="done")
    decided, waits = Event(), Event()

    def decide():
        with transaction.atomic():
            say(payment.ada, payment.item)
            decided.set()
            waits.wait(timeout=10)

    def thaw():
        decided.wait(timeout=10)
        Timer(0.5, waits.set).start()  # by then the other transaction stands at the row's lock
        return thaw_clocks(system_user("plane"), halt=halt)

    assert at_once(decide, thaw)[1] == 0
    assert payment.now().state == "approved"
