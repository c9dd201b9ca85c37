"""Up the ladder: level by level, in loops, to roles and people, to the last resort; and when nobody has seen it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.rules import MAX_LEVELS, MAX_REPEAT, Policy, ladder
from apps.access.services import save_rota
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp, database_now
from apps.core.services import system_user
from apps.notifications.models import Notice
from apps.notifications.selectors.people import recipients_of
from apps.oversight.models import Escalation, EscalationGroup, EscalationView
from apps.oversight.selectors import inbox_for
from apps.oversight.services import Reach, climb_ladders, climb_unheard, mark_due_soon, note_reach, note_view
from tests.factories.access import (
    grant,
    make_admin,
    make_approver,
    make_calendar,
    make_queue,
    make_role,
    make_unit,
    make_user,
)
from tests.factories.oversight import make_escalation, make_payment, nothing_happens, say

QUEUES = ["a", "b", "c", "d"]
levels = st.lists(st.builds(lambda to: {"after_s": 60, "to": to}, st.sampled_from(QUEUES)), max_size=MAX_LEVELS)
policies = st.dictionaries(st.sampled_from(QUEUES), st.builds(Policy, levels, st.integers(0, MAX_REPEAT)))


@given(st.sampled_from(QUEUES), policies, st.none() | st.sampled_from(QUEUES))
def test_every_ladder_ends_and_ends_with_the_last_resort(start, found, last):
    rungs = ladder(start, found, last_resort=last)
    assert len(rungs) <= 1 + len(QUEUES) * MAX_LEVELS * (1 + MAX_REPEAT)
    stands = rungs[-1].target.name if rungs else start
    assert last is None or stands == last


def test_a_ladder_goes_on_with_the_policy_of_where_it_led():
    found = {"a": Policy([{"after_s": 1, "to": "b"}], 1), "b": Policy([{"after_s": 2, "to": "a"}])}
    assert [(rung.after_s, str(rung.target)) for rung in ladder("a", found, last_resort="z")] == [
        (1, "b"),
        (1, "b"),
        (2, "a"),
        (2, "z"),
    ]
    assert [(rung.after_s, str(rung.target)) for rung in ladder("d", {}, last_resort="z")] == [(None, "z")]


def it_is_time(item, name="climbs_at"):
    EscalationGroup.objects.filter(escalation=item).update(**{name: ClockTimestamp() - timedelta(seconds=1)})


def stands_in(item):
    return [group.queue.slug for group in Escalation.objects.get(pk=item.pk).group_list()]


def told(name="escalation.escalated"):
    return list(Entry.objects.filter(name=name).order_by("id").values_list("written__content__payload", flat=True))


@pytest.mark.django_db
class TestLevels:
    def test_each_level_counts_from_when_it_came_there(self):
        unit = make_unit()
        heads, board = make_queue(slug="heads", unit=unit), make_queue(slug="board", unit=unit)
        levels = [{"after_s": 600, "to": "heads"}, {"after_s": 7200, "to": "board"}]
        queue = make_queue(unit=unit, escalation=levels)
        for each in (queue, heads, board):
            make_approver(each)
        item = make_escalation(queue=queue, kind="question", task_id=None)
        group = item.group_list()[0]
        assert abs(group.climbs_at - item.created_at - timedelta(seconds=600)) < timedelta(seconds=2)
        assert climb_ladders() == 0
        it_is_time(item)
        assert (climb_ladders(), climb_ladders()) == (1, 0)
        assert stands_in(item) == ["heads"]
        after = EscalationGroup.objects.get(pk=group.pk).climbs_at - Entry.objects.latest("id").occurred_at
        assert abs(after - timedelta(seconds=7200)) < timedelta(seconds=2)
        deliver_reactions()
        notice = Notice.objects.get(event="escalated")
        assert [person.role_grants.get().role for person in recipients_of(notice)] == [heads.role]
        it_is_time(item)
        assert climb_ladders() == 1
        assert stands_in(item) == ["board"]
        assert EscalationGroup.objects.get(pk=group.pk).climbs_at is None
        assert [(entry["to"], entry["rung"], entry["why"]) for entry in told()] == [
            ("heads", 1, "overdue"),
            ("board", 2, "overdue"),
        ]
        assert say(make_approver(board), item, "answer", answer="yes").state == "answered"

    def test_a_role_and_a_person_are_called_and_the_queue_may_still_decide(self):
        queue = make_queue()
        deciding = make_role("oversight.view_escalation", "oversight.decide_escalation", slug="controller")
        carla, dora = make_user(username="carla"), make_user(username="dora")
        outsider = make_user(username="outsider")
        grant(carla, make_role("oversight.view_escalation", "oversight.decide_escalation"), queue.unit)
        grant(dora, deciding, queue.unit)
        grant(outsider, deciding, make_unit())
        queue.escalation = [{"after_s": 60, "to": {"role": "controller"}}, {"after_s": 60, "to": {"user": "carla"}}]
        queue.save(update_fields=["escalation"])
        item = make_escalation(queue=queue, needed=3)
        make_approver(queue)
        assert not inbox_for(dora).exists()
        it_is_time(item)
        climb_ladders()
        assert [list(inbox_for(person)) for person in (dora, carla, outsider)] == [[item], [], []]
        it_is_time(item)
        climb_ladders()
        assert list(inbox_for(carla)) == [item]
        assert Escalation.objects.get(pk=item.pk).version == 1
        for person in (dora, make_approver(queue)):
            assert say(person, item).state == "pending"
        assert say(carla, item).state == "approved"

    def test_a_rota_without_anybody_on_duty_is_passed_over(self):
        unit = make_unit()
        heads = make_queue(slug="heads", unit=unit)
        queue = make_queue(unit=unit)
        for each in (queue, heads):
            make_approver(each)
        tomorrow = database_now().date() + timedelta(days=1)
        save_rota(make_admin(), slug="r", unit=unit, timezone="UTC", starts=tomorrow, people=[make_user().username])
        queue.escalation = [{"after_s": 60, "to": {"rota": "r"}}, {"after_s": 60, "to": "heads"}]
        queue.save()
        item = make_escalation(queue=queue, kind="question", task_id=None)
        it_is_time(item)
        assert climb_ladders() == 1
        assert stands_in(item) == ["heads"]

    def test_who_is_excluded_is_not_reached_by_a_call(self):
        queue = make_queue(escalation=[{"after_s": 60, "to": {"user": "carla"}}, {"after_s": 60, "to": "heads"}])
        heads = make_queue(slug="heads", unit=queue.unit)
        make_approver(heads), make_approver(queue)
        carla = make_user(username="carla")
        grant(carla, make_role("oversight.view_escalation", "oversight.decide_escalation"), queue.unit)
        item = make_escalation(queue=queue, exclude=["carla"])
        it_is_time(item)
        climb_ladders()
        assert stands_in(item) == ["heads"]
        assert not inbox_for(carla).exists()

    def test_loops_are_bounded_and_the_last_resort_takes_what_is_left(self):
        above = make_unit()
        last = make_queue(slug="last", unit=above, last_resort=True)
        unit = make_unit(parent=above)
        queue = make_queue(unit=unit, escalation=[{"after_s": 60, "to": "heads"}], repeat=2)
        heads = make_queue(slug="heads", unit=unit)
        make_approver(heads), make_approver(last), make_approver(queue)
        item = make_escalation(queue=queue)
        seen = []
        for _ in range(6):
            it_is_time(item)
            climb_ladders()
            seen += stands_in(item)
        assert seen == ["heads", "heads", "heads", "last", "last", "last"]
        assert [entry["to"] for entry in told()] == ["heads", "heads", "heads", "last"]
        assert Escalation.objects.get(pk=item.pk).version == 3

    def test_without_levels_the_last_resort_takes_it_when_it_is_due(self):
        queue = make_queue()
        make_queue(slug="last", unit=queue.unit, last_resort=True)
        item = make_escalation(queue=queue)
        assert item.group_list()[0].climbs_at == item.due_at
        it_is_time(item)
        climb_ladders()
        assert stands_in(item) == ["last"]

    def test_a_step_s_own_target_comes_first_and_at_its_own_time(self):
        queue = make_queue(escalation=[{"after_s": 5, "to": "heads"}])
        make_queue(slug="heads", unit=queue.unit)
        chief = make_queue(slug="chief", unit=queue.unit)
        item = make_escalation(queue=queue, due_s=1200, escalate_to=chief)
        assert item.group_list()[0].climbs_at == item.due_at
        it_is_time(item)
        climb_ladders()
        assert stands_in(item) == ["chief"]

    def test_the_levels_count_open_time(self):
        calendar = make_calendar()
        queue = make_queue(calendar=calendar, escalation=[{"after_s": 3 * 3600, "to": "heads"}])
        item = make_escalation(queue=queue)
        found = calendar.open_hours().between(item.created_at, item.group_list()[0].climbs_at)
        assert abs(found - timedelta(hours=3)) < timedelta(seconds=2)

    def test_groups_climb_each_for_itself_and_meet_in_one_queue(self):
        unit = make_unit()
        heads = make_queue(slug="heads", unit=unit)
        one, two = (make_queue(unit=unit, escalation=[{"after_s": 60, "to": "heads"}]) for _ in range(2))
        item = make_escalation(queue=one, groups=[(one, 1), (two, 1)])
        first, second = item.group_list()
        EscalationGroup.objects.filter(pk=first.pk).update(climbs_at=ClockTimestamp())
        climb_ladders()
        assert stands_in(item) == ["heads", two.slug]
        EscalationGroup.objects.filter(pk=second.pk).update(climbs_at=ClockTimestamp())
        climb_ladders()
        assert stands_in(item) == ["heads"]
        assert say(make_approver(heads), item).state == "pending"
        assert say(make_approver(heads), item).state == "approved"

    def test_what_cannot_be_reached_climbs_until_somebody_can(self):
        unit = make_unit()
        make_queue(slug="heads", unit=unit)
        board = make_queue(slug="board", unit=unit)
        queue = make_queue(unit=unit, escalation=[{"after_s": 60, "to": "heads"}, {"after_s": 60, "to": "board"}])
        make_approver(board)
        item = make_escalation(queue=queue)
        deliver_reactions()
        assert stands_in(item) == ["board"]
        assert told("escalation.unreachable") == [{"to": "board"}]

    def test_what_expired_or_stands_still_does_not_climb(self):
        payment = make_payment()
        for stop in ("frozen_at", "paused_at", "sla_paused_at"):
            Escalation.objects.filter(pk=payment.item.pk).update(**{stop: ClockTimestamp()})
            it_is_time(payment.item)
            assert climb_ladders() == 0
            Escalation.objects.filter(pk=payment.item.pk).update(**{stop: None})
        Escalation.objects.filter(pk=payment.item.pk).update(expires_at=ClockTimestamp())
        with nothing_happens():
            assert climb_ladders() == 0


@pytest.mark.django_db
class TestSeen:
    def test_what_nobody_saw_in_half_its_time_goes_up(self):
        queue = make_queue(escalation=[{"after_s": 3000, "to": "heads"}])
        make_queue(slug="heads", unit=queue.unit)
        item = make_escalation(queue=queue)
        make_approver(queue)
        group = item.group_list()[0]
        assert abs(group.unseen_at - item.created_at - timedelta(seconds=1800)) < timedelta(seconds=2)
        it_is_time(item, "unseen_at")
        assert climb_ladders() == 1
        assert (stands_in(item), told()[0]["why"]) == (["heads"], "unseen")
        assert told("escalation.unseen") == [{"queue": queue.slug}]

    def test_what_somebody_saw_who_may_decide_stays(self):
        queue = make_queue(escalation=[{"after_s": 3000, "to": "heads"}], unseen_after_s=60)
        make_queue(slug="heads", unit=queue.unit)
        item = make_escalation(queue=queue)
        looker = make_user()
        grant(looker, make_role("oversight.view_escalation"), queue.unit)
        note_view(looker, item=item)
        assert EscalationGroup.objects.get().unseen_at is not None
        approver = make_approver(queue)
        note_view(approver, item=item)
        note_view(approver, item=item)
        assert EscalationGroup.objects.get().unseen_at is None
        seen = EscalationView.objects.get(person=approver)
        assert (seen.opened, seen.first_at < seen.last_at) == (2, True)
        assert abs(seen.last_at - seen.first_at - seen.dwell) < timedelta(milliseconds=50)
        assert climb_ladders() == 0

    def test_the_time_between_two_looks_counts_five_minutes_at_most(self):
        item = make_escalation()
        approver = make_approver(item.group_list()[0].queue)
        note_view(approver, item=item)
        EscalationView.objects.update(looking_since=ClockTimestamp() - timedelta(hours=2))
        note_view(approver, item=item)
        assert EscalationView.objects.get().dwell == timedelta(minutes=5)

    def test_what_nobody_could_be_told_of_goes_up_at_once_unless_somebody_saw_it(self):
        queue = make_queue(escalation=[{"after_s": 3000, "to": "heads"}])
        make_queue(slug="heads", unit=queue.unit)
        item, seen = make_escalation(queue=queue), make_escalation(queue=queue)
        note_view(make_approver(queue), item=seen)
        assert climb_unheard() == 0
        failures = [Reach(escalation_id=each.pk, channel="mail", event="new", unheard=True) for each in (item, seen)]
        note_reach(system_user("plane"), reports=failures)
        assert (climb_unheard(), climb_unheard()) == (1, 0)
        assert (stands_in(item), stands_in(seen)) == (["heads"], [queue.slug])

    def test_the_page_counts_and_a_look_ahead_does_not(self, client):
        payment = make_payment()
        client.force_login(payment.ada)
        address = f"/inbox/{payment.item.pk}/"
        for words in ({"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
            assert client.get(address, headers=words).status_code == 200
        assert client.head(address).status_code == 405
        assert not EscalationView.objects.exists()
        with nothing_happens():
            assert client.get(address).status_code == 200
            assert client.get(address, headers={"HX-Request": "true"}).status_code == 200
        seen = EscalationView.objects.get()
        assert (seen.person, seen.opened) == (payment.ada, 2)
        assert payment.now().state == "pending"

    def test_a_warning_comes_once_after_four_fifths(self):
        item = make_escalation()
        assert abs((item.warn_at - item.created_at) - timedelta(seconds=2880)) < timedelta(seconds=2)
        assert mark_due_soon() == 0
        Escalation.objects.update(warn_at=ClockTimestamp())
        assert (mark_due_soon(), mark_due_soon()) == (1, 0)
        assert told("escalation.due_soon")[0]["queues"] == [item.group_list()[0].queue.slug]

    def test_what_is_overdue_needs_no_warning(self):
        make_escalation()
        Escalation.objects.update(warn_at=ClockTimestamp(), due_at=ClockTimestamp())
        assert mark_due_soon() == 0
