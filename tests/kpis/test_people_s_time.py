"""What people's time is counted as: what they looked at, else an estimate that says so; never what an item waited."""

from datetime import timedelta

import pytest
from django.test import Client

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp
from apps.kpis.models import CostItem
from apps.kpis.rules.costs import HUMAN_CAP_S, human_time_ms
from apps.kpis.services.folding import fold_entries
from apps.oversight.models import Escalation, EscalationView, Job, Vote
from apps.oversight.services import cast_vote, perform_due_items, start_bulk
from tests.factories.oversight import PAYMENT, Payment, escalate, make_payment, propose

pytestmark = pytest.mark.django_db
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def waiting_for(time: timedelta) -> Payment:
    payment = make_payment()
    Escalation.objects.filter(pk=payment.item.pk).update(created_at=ClockTimestamp() - time)
    return payment


def open_page(payment: Payment, *, ago: timedelta) -> None:
    """The approver opens the item's page, so long ago."""
    client = Client()
    client.force_login(payment.ada)
    assert client.get(f"/inbox/{payment.item.pk}/").status_code == 200
    own = EscalationView.objects.filter(escalation=payment.item, person=payment.ada)
    own.update(looking_since=ClockTimestamp() - ago)


def approve(payment: Payment) -> None:
    cast_vote(payment.ada, escalation_id=payment.item.pk, verdict="approve", version=payment.now().version)


def people_s_time() -> CostItem:
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))
    return CostItem.objects.get(kind="human")


def test_it_is_how_long_the_page_was_open_not_how_long_the_item_lay() -> None:
    payment = waiting_for(3 * HOUR)
    open_page(payment, ago=20 * SECOND)
    approve(payment)
    cost = people_s_time()
    assert 20_000 <= cost.quantity < 25_000
    assert (cost.is_estimated, cost.priced_by) == (False, "hourly_rate")


def test_all_their_looks_count_and_an_absence_does_not() -> None:
    payment = waiting_for(8 * HOUR)
    open_page(payment, ago=6 * HOUR)  # they went away: five minutes of it count
    open_page(payment, ago=40 * SECOND)
    approve(payment)
    assert 340_000 <= people_s_time().quantity < 345_000


def test_one_looks_at_one_item_at_a_time() -> None:
    """Twenty items opened one after the other and decided later are not twenty times the time until then."""
    first = make_payment()
    second = escalate(propose(first.agent, first.operation, PAYMENT), first.operation)
    client = Client()
    client.force_login(first.ada)
    views = EscalationView.objects.filter(person=first.ada)
    client.get(f"/inbox/{first.item.pk}/")
    views.update(looking_since=ClockTimestamp() - 30 * SECOND)
    client.get(f"/inbox/{second.pk}/")
    views.filter(escalation=second).update(looking_since=ClockTimestamp() - 200 * SECOND)
    client.get("/inbox/")
    approve(first)
    assert 30_000 <= Vote.objects.get().looked_ms < 35_000
    cast_vote(first.ada, escalation_id=second.pk, verdict="approve", version=1)
    assert 200_000 <= Vote.objects.get(escalation=second).looked_ms < 205_000
    assert not views.exclude(looking_since=None).exists()


def test_the_item_that_follows_a_decision_is_before_them_from_then_on() -> None:
    first = make_payment()
    second = escalate(propose(first.agent, first.operation, PAYMENT), first.operation)
    client = Client()
    client.force_login(first.ada)
    client.get(f"/inbox/{first.item.pk}/")
    sent = {"verdict": "approve", "version": first.now().version, "shown": [first.item.pk, second.pk]}
    answer = client.post(f"/inbox/{first.item.pk}/decision/", sent, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.content
    assert str(second.pk) in answer["HX-Push-Url"]
    assert EscalationView.objects.filter(escalation=second, looking_since__isnull=False).exists()


def test_many_that_were_looked_at_count_what_was_looked_and_a_vote_keeps_no_more_than_it_can() -> None:
    payment = make_payment()
    open_page(payment, ago=20 * SECOND)
    EscalationView.objects.update(dwell=timedelta(days=300))
    approve(payment)
    assert Vote.objects.get().looked_ms == 2**31 - 1


def test_what_they_look_at_after_their_vote_is_not_its_time() -> None:
    payment = make_payment(quorum=2)
    open_page(payment, ago=20 * SECOND)
    approve(payment)
    open_page(payment, ago=20 * SECOND)
    assert 20_000 <= Vote.objects.get().looked_ms < 25_000
    approved = cast_vote(payment.ben, escalation_id=payment.item.pk, verdict="approve", version=payment.now().version)
    assert approved.state == "approved"
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))
    first, second = CostItem.objects.filter(kind="human").order_by("incurred_at")
    assert (first.quantity < 25_000, first.is_estimated, second.is_estimated) == (True, False, True)


@pytest.mark.parametrize(("waited", "counted_s"), [(3 * HOUR, 15 * 60), (2 * 60 * SECOND, 120)])
def test_without_a_look_it_is_estimated_and_says_so(waited: timedelta, counted_s: int) -> None:
    payment = waiting_for(waited)
    approve(payment)
    cost = people_s_time()
    assert counted_s * 1000 <= cost.quantity < counted_s * 1000 + 5_000
    assert cost.is_estimated


def test_many_decided_with_one_act_are_one_estimate_among_them() -> None:
    first = make_payment()
    more = [escalate(propose(first.agent, first.operation, PAYMENT), first.operation) for _ in range(2)]
    ids = [first.item.pk, *(item.pk for item in more)]
    Escalation.objects.filter(pk__in=ids).update(created_at=ClockTimestamp() - 3 * HOUR)
    start_bulk(first.ada, verdict="reject", ids=ids, reason="The supplier is closed.")
    while perform_due_items():
        pass
    assert set(Vote.objects.values_list("together", flat=True)) == {3}
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))
    times = CostItem.objects.filter(kind="human").values_list("quantity", flat=True)
    assert (len(times), sum(times)) == (3, HUMAN_CAP_S * 1000)
    assert Job.objects.get().state == "done"


def test_an_estimate_is_a_quarter_of_an_hour_at_most_and_never_negative() -> None:
    assert human_time_ms(60_000) == 60_000
    assert human_time_ms(10**9) == 15 * 60_000
    assert human_time_ms(10**9, together=3) == 5 * 60_000
    assert human_time_ms(-5) == 0
