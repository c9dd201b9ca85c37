"""What waits where a rota was asked follows when somebody else is on duty: by the clock, on the database's clock."""

from datetime import timedelta

import pytest

from apps.access.models import Rota
from apps.access.selectors import queues as access
from apps.access.services import end_person, plan_absence, save_rota, swap_duty
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import NotAllowedError
from apps.core.models import ClockTimestamp, database_now
from apps.notifications.models import Notice
from apps.notifications.selectors.people import recipients_of
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.selectors import eligible_for, inbox_for
from apps.oversight.services import claim_escalation, climb_ladders, hand_over_duty
from apps.oversight.tasks import sweep_escalations
from tests.factories.access import grant, make_admin, make_approver, make_queue, make_role, make_unit, make_user
from tests.factories.oversight import make_escalation, nothing_happens, say

pytestmark = pytest.mark.django_db
DECIDES = ("oversight.view_escalation", "oversight.decide_escalation")


class Nights:
    """An item that called whoever is on duty: ben in the first week, carla in the second."""

    def __init__(self, **fields):
        self.unit = make_unit()
        self.ben, self.carla = make_user(name="Ben"), make_user(name="Carla")
        for person in (self.ben, self.carla):
            grant(person, make_role(*DECIDES), self.unit)
        today = database_now().date()
        people = [self.ben.username, self.carla.username]
        self.rota, _ = save_rota(
            make_admin(), slug="nights", unit=self.unit, timezone="UTC", at="00:00", starts=today, people=people
        )
        levels = fields.pop("levels", [{"after_s": 60, "to": {"rota": "nights"}}])
        self.queue = make_queue(unit=self.unit, escalation=levels)
        self.ada = make_approver(self.queue)
        self.item = make_escalation(queue=self.queue, **{"kind": "question", "task_id": None, **fields})
        self.reach_the_next_level()

    def reach_the_next_level(self):
        EscalationGroup.objects.filter(escalation=self.item).update(climbs_at=ClockTimestamp() - timedelta(seconds=1))
        assert climb_ladders() == 1

    def asked(self):
        return [person for person in (self.ada, self.ben, self.carla) if self.item in inbox_for(person)]


@pytest.fixture
def weeks_later(monkeypatch):
    """Let the database's clock, by which rotas are asked, go on by weeks."""

    def go(weeks):
        monkeypatch.setattr(access, "database_now", lambda: database_now() + timedelta(weeks=weeks))

    return go


def handed_over():
    rows = Entry.objects.filter(name="escalation.handed_over").order_by("id")
    return list(rows.values_list("written__content__payload", flat=True))


def test_at_the_handover_the_new_person_is_called_and_told_and_the_old_one_no_longer(weeks_later):
    nights = Nights()
    assert nights.asked() == [nights.ada, nights.ben]
    with nothing_happens():
        assert hand_over_duty() == 0
    weeks_later(1)
    assert sweep_escalations() == 1
    assert hand_over_duty() == 0
    assert nights.asked() == [nights.ada, nights.carla]
    assert handed_over() == [
        {"rota": "nights", "from": [nights.ben.username], "to": nights.carla.username, "queues": [nights.queue.slug]}
    ]
    deliver_reactions()
    notice = Notice.objects.get(entry__name="escalation.handed_over")
    assert recipients_of(notice) == [nights.carla]
    with pytest.raises(NotAllowedError):
        say(nights.ben, nights.item, "answer", answer="yes")
    assert say(nights.carla, nights.item, "answer", answer="yes").state == "answered"


def test_it_goes_round(weeks_later):
    nights = Nights()
    for weeks, person in ((1, nights.carla), (2, nights.ben), (3, nights.carla)):
        weeks_later(weeks)
        assert hand_over_duty() == 1
        assert nights.asked() == [nights.ada, person]


def test_a_swap_and_a_changed_rota_count_at_once():
    nights = Nights()
    now = database_now()
    swap_duty(
        make_admin(),
        rota=nights.rota,
        begins=now - timedelta(hours=1),
        ends=now + timedelta(hours=1),
        user=nights.carla,
    )
    assert hand_over_duty() == 1
    assert nights.asked() == [nights.ada, nights.carla]
    Rota.objects.update(exceptions=[])
    assert hand_over_duty() == 1
    assert nights.asked() == [nights.ada, nights.ben]


def test_whose_vote_is_there_stays_with_it(weeks_later):
    nights = Nights(kind="approval", needed=2, task_id=None)
    assert say(nights.ben, nights.item).state == "pending"
    weeks_later(1)
    assert hand_over_duty() == 1
    assert hand_over_duty() == 0
    assert say(nights.carla, nights.item).state == "approved"


def test_who_has_it_in_hand_may_finish(weeks_later):
    nights = Nights()
    claim_escalation(nights.ben, escalation_id=nights.item.pk)
    weeks_later(1)
    assert hand_over_duty() == 1
    assert nights.asked() == [nights.ada, nights.ben, nights.carla]
    assert hand_over_duty() == 0
    assert say(nights.ben, nights.item, "answer", answer="yes").state == "answered"


def test_who_serves_the_queue_anyway_still_may(weeks_later):
    nights = Nights()
    grant(nights.ben, nights.queue.role, nights.unit)
    weeks_later(1)
    assert hand_over_duty() == 1
    assert nights.asked() == [nights.ada, nights.ben, nights.carla]


def test_where_nobody_is_on_duty_who_was_called_stays_called():
    nights = Nights()
    Rota.objects.update(starts=database_now().date() + timedelta(days=3))
    with nothing_happens():
        assert hand_over_duty() == 0
    assert nights.asked() == [nights.ada, nights.ben]


def test_who_left_is_followed_by_nobody_until_the_next_turn(weeks_later):
    nights = Nights()
    end_person(make_admin(), user=nights.ben, reason="left")
    assert hand_over_duty() == 0
    weeks_later(1)
    assert hand_over_duty() == 1
    assert nights.asked() == [nights.ada, nights.carla]


def test_a_handover_to_who_may_not_decide_takes_the_next_level(weeks_later):
    heads = make_queue(slug="heads")
    make_approver(heads)
    nights = Nights(levels=[{"after_s": 60, "to": {"rota": "nights"}}, {"after_s": 6000, "to": "heads"}])
    nights.item.exclude = [nights.carla.username]
    nights.item.save(update_fields=["exclude"])
    grant(make_user(), heads.role, nights.unit)
    boss = make_approver(heads)
    grant(boss, make_role(*DECIDES), nights.unit)
    weeks_later(1)
    assert hand_over_duty() == 1
    assert [group.queue.slug for group in Escalation.objects.get(pk=nights.item.pk).group_list()] == ["heads"]
    assert nights.item in inbox_for(boss)
    assert nights.carla not in [person for people in eligible_for(boss, nights.item).values() for person in people]


def test_whoever_stands_in_for_who_is_on_duty_is_told_and_may_decide(weeks_later):
    nights = Nights()
    zoe = make_user(name="Zoe")
    grant(zoe, make_role(*DECIDES), nights.unit)
    now = database_now()
    plan_absence(make_admin(), user=nights.carla, starts_at=now, ends_at=now + timedelta(days=30), delegate=zoe)
    weeks_later(1)
    assert hand_over_duty() == 1
    assert handed_over()[0]["to"] == zoe.username
    assert nights.item in inbox_for(zoe)
    assert say(zoe, nights.item, "answer", answer="yes").state == "answered"


def test_what_ended_is_not_handed_over(weeks_later):
    nights = Nights()
    say(nights.ada, nights.item, "answer", answer="yes")
    weeks_later(1)
    with nothing_happens():
        assert hand_over_duty() == 0


def test_what_was_given_to_the_old_one_is_nobody_s(weeks_later):
    nights = Nights()
    Escalation.objects.filter(pk=nights.item.pk).update(assigned_to=nights.ben)
    weeks_later(1)
    assert hand_over_duty() == 1
    assert Escalation.objects.get(pk=nights.item.pk).assigned_to is None
