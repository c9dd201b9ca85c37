"""Clocks that stand still and go on: for halts, resting runs and questions; counted once, on every way out."""

from datetime import timedelta

import pytest

from apps.audit.models import Entry
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.services import (
    cancel_escalations,
    climb_ladders,
    expire_escalations,
    mark_due_soon,
    mark_overdue,
    release_held,
    rest_clocks,
    wake_clocks,
)
from apps.oversight.services.stops import ASKED, HALTED, RESTS, start_clocks, start_sla, stop_sla
from tests.factories.access import make_approver, make_calendar, make_queue
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db
CLOCKS = ("due_at", "warn_at", "expires_at")


def stands(item, **since):
    """The item's clocks have stood still for so many seconds, by cause."""
    past = {cause: ClockTimestamp() - timedelta(seconds=seconds) for cause, seconds in since.items()}
    Escalation.objects.filter(pk=item.pk).update(**past)
    return Escalation.objects.get(pk=item.pk)


def about(span):
    """In seconds, to the nearest twenty: machines are busy."""
    return round(span.total_seconds() / 20) * 20


def moved(before, *names):
    """By how many seconds the clocks are further ahead than before."""
    now = Escalation.objects.get(pk=before.pk)
    return [about(getattr(now, name) - getattr(before, name)) for name in names or CLOCKS]


def go_on(item, *causes):
    assert start_clocks(Escalation.objects.filter(pk=item.pk), *causes) == 1


def test_what_a_halt_or_a_resting_run_took_is_given_back_to_every_clock():
    for cause in (HALTED, RESTS):
        item = stands(make_escalation(expires_s=7200), **{cause: 100})
        group = item.group_list()[0]
        go_on(item, cause)
        assert moved(item) == [100, 100, 100]
        now = EscalationGroup.objects.get(pk=group.pk)
        assert about(now.climbs_at - group.climbs_at) == 100
        assert about(now.unseen_at - group.unseen_at) == 100
        found = Escalation.objects.get(pk=item.pk)
        assert (getattr(found, cause), about(found.stood)) == (None, 100)


def test_a_question_stops_the_sla_and_not_the_expiry():
    item = stands(make_escalation(expires_s=7200), sla_paused_at=100)
    go_on(item, ASKED)
    assert moved(item) == [100, 100, 0]


def test_overlapping_stops_count_once():
    item = stands(make_escalation(expires_s=7200), sla_paused_at=300, frozen_at=200, paused_at=100)
    go_on(item, HALTED)
    assert moved(item) == [300, 300, 200]
    now = Escalation.objects.get(pk=item.pk)
    assert (now.frozen_at, now.sla_paused_at > item.sla_paused_at, now.paused_at > item.paused_at) == (None, True, True)
    go_on(item, RESTS)
    go_on(item, ASKED)
    assert moved(item) == [300, 300, 200]
    assert about(Escalation.objects.get(pk=item.pk).stood) == 300


def test_open_time_is_given_back_where_a_calendar_counts():
    calendar = make_calendar()
    queue, hours = make_queue(calendar=calendar, sla_s=20 * 3600), calendar.open_hours()
    item = stands(make_escalation(queue=queue, expires_s=30 * 86_400), frozen_at=3 * 86_400)
    left = hours.between(item.frozen_at, item.due_at)
    go_on(item, HALTED)
    now = Escalation.objects.get(pk=item.pk)
    restarted = item.frozen_at + now.stood
    assert hours.between(restarted, now.due_at) == left
    assert moved(item, "expires_at") == [3 * 86_400]


def test_nothing_is_noted_or_ended_while_the_clocks_stand_still():
    payment = make_payment()
    past = ClockTimestamp() - timedelta(seconds=50)
    EscalationGroup.objects.update(climbs_at=past, unseen_at=past)
    Escalation.objects.update(due_at=past, warn_at=past, expires_at=past)
    stands(payment.item, paused_at=100)
    with nothing_happens():
        counts = (expire_escalations(), mark_due_soon(), mark_overdue(), climb_ladders(), release_held())
    assert counts == (0, 0, 0, 0, 0)


def test_a_question_lets_the_expiry_come():
    payment = make_payment()
    stands(payment.item, sla_paused_at=100)
    Escalation.objects.update(expires_at=ClockTimestamp())
    with pytest.raises(ConflictError) as refused:
        say(payment.ada, payment.item)
    assert refused.value.code == "expired"
    assert expire_escalations() == 1
    assert Entry.objects.get(name="escalation.expired").payload["stood_s"] // 20 == 5


def test_the_pause_is_counted_on_every_way_out():
    def approved(item):
        say(make_approver(item.group_list()[0].queue), item)

    def cancelled(item):
        cancel_escalations(system_user("plane"), id=item.pk)

    for leave in (approved, cancelled):
        item = stands(make_escalation(expires_s=7200), sla_paused_at=100, paused_at=40)
        leave(item)
        assert moved(item) == [100, 100, 40]
        now = Escalation.objects.get(pk=item.pk)
        assert (now.state, now.sla_paused_at, now.paused_at) == (leave.__name__, None, None)
        told = Entry.objects.filter(subject_id=item.pk, name=f"escalation.{now.state}").get().payload
        assert (told["stood_s"] // 20, told["due_at"][:19]) == (5, now.due_at.isoformat()[:19])


def test_a_held_decision_ends_the_question_and_keeps_the_rest():
    payment = make_payment(obligations={"hold": "10m"})
    item = stands(payment.item, sla_paused_at=100, paused_at=40)
    say(payment.ada, payment.item)
    held = payment.now()
    assert (held.state, held.sla_paused_at, held.paused_at is None) == ("held", None, False)
    assert moved(item, "due_at") == [100]
    Escalation.objects.update(releases_at=ClockTimestamp())
    assert release_held() == 0


def test_a_refused_decision_leaves_the_pause_as_it_was():
    payment = make_payment()
    stands(payment.item, sla_paused_at=100)
    with nothing_happens(), pytest.raises(ConflictError):
        say(payment.ada, payment.item, version=9)


def test_asking_and_answering_stop_and_start_the_sla():
    item = make_escalation(expires_s=7200)
    assert (stop_sla(item), stop_sla(item)) == (True, False)
    stands(item, sla_paused_at=60)
    assert (start_sla(item), start_sla(item)) == (True, False)
    now = Escalation.objects.get(pk=item.pk)
    assert (now.sla_paused_at, about(now.stood)) == (None, 60)


def test_the_items_of_a_resting_run_rest():
    item, other = make_escalation(expires_s=7200), make_escalation()
    assert rest_clocks(run_id=item.run_id) == 1
    assert rest_clocks(run_id=item.run_id) == 0
    assert Escalation.objects.get(pk=other.pk).paused_at is None
    item = stands(item, paused_at=500)
    assert wake_clocks(run_id=item.run_id) == 1
    assert moved(item) == [500, 500, 500]
