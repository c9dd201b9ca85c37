"""Who may approve a waiver is told that one is asked for; who asked, of the answer, and of its end in time."""

from datetime import timedelta
from typing import Any

import pytest

from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.notifications.selectors import notices_for, unseen_count_for
from apps.policies.models import Policy, Waiver
from apps.policies.services.waivers import approve_waiver, ask_waiver, decline_waiver, end_waiver
from apps.policies.tasks import end_waivers
from tests.factories.access import make_holder, make_unit
from tests.factories.policies import make_policy, make_rule
from tests.notifications.conftest import later, mail, tell
from tests.notifications.test_in_app import signed_in

__all__ = ["mail"]
pytestmark = pytest.mark.django_db
VIEW, LOWER = "policies.view_policy", "policies.lower_enforcement"


class House:
    """A policy of a unit, somebody who asks, somebody who may approve there, and others who may not."""

    def __init__(self) -> None:
        self.unit = make_unit()
        self.policy: Policy = make_policy(make_rule(slug="no", effect="deny"), unit=self.unit, name="Payments")
        self.maker, self.head = self.holder(VIEW, LOWER), self.holder(VIEW, LOWER)
        self.others = [self.holder(VIEW), make_holder(VIEW, LOWER, unit=make_unit())]

    def holder(self, *rights: str) -> User:
        person = make_holder(*rights, unit=self.unit)
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.com")
        return person

    def ask(self, days: int = 9) -> Waiver:
        about = {"rule": "no", "scope": "agent", "target": "robot", "reason": "Bond.", "days": days, "times": 3}
        made = ask_waiver(self.maker, policy=self.policy, **about)  # type: ignore[arg-type]
        tell()
        return made

    def approved(self, **fields: Any) -> Waiver:
        made = approve_waiver(self.head, waiver=self.ask(**fields))
        tell()
        return made

    def heard(self, person: User) -> list[str]:
        return [row.notice.headline for row in reversed(notices_for(person))]


@pytest.fixture
def house() -> House:
    return House()


def test_who_may_approve_is_told_until_it_is_decided_and_nobody_else(house: House, mail: Any) -> None:
    made = house.ask()
    assert house.heard(house.head) == ["Asks for a waiver: another person approves or declines it"]
    assert [house.heard(person) for person in (house.maker, *house.others)] == [[], [], []]
    assert unseen_count_for(house.head) == 1
    (row,) = notices_for(house.head)
    assert signed_in(house.head).get(f"/notifications/{row.pk}/")["Location"] == f"/waivers/{made.pk}/"
    page = signed_in(house.head).get("/notifications/").content.decode()
    assert f"No {house.policy.slug}/no for robot, asked for by {house.maker}" in page
    assert "Bond" not in page
    (line,) = signed_in(house.head).get("/api/v1/notifications/").json()["results"]
    assert (line["event"], line["waiver"]) == ("waiver", str(made.pk))
    decline_waiver(house.head, waiver=made, reason="No.")
    tell()
    assert unseen_count_for(house.head) == 0
    assert house.heard(house.maker) == ["Your waiver was declined"]
    later()
    tell()
    assert mail.to(f"{house.head.username}@example.com") == []
    (letter,) = mail.to(f"{house.maker.username}@example.com")
    assert "Your waiver was declined" in letter.get_body(("plain",)).get_content()


def test_who_asked_is_told_of_the_answer_and_once_in_time_of_the_end(house: House) -> None:
    made = house.approved(days=9)
    assert house.heard(house.maker) == ["Your waiver was approved"]
    for _again in range(2):
        assert end_waivers() == 0
    Waiver.objects.update(until=ClockTimestamp() + timedelta(days=2, hours=23))
    assert [end_waivers(), end_waivers()] == [1, 0]
    tell()
    assert house.heard(house.maker) == ["Your waiver was approved", "Your waiver ends soon"]
    assert Entry.objects.get(name="waiver.due_soon").actor.username == "plane"
    Waiver.objects.update(until=ClockTimestamp() - timedelta(seconds=1))
    assert end_waivers() == 1
    tell()
    assert house.heard(house.maker)[2:] == ["The time of your waiver is over"]
    assert house.heard(house.head) == ["Asks for a waiver: another person approves or declines it"]
    made.refresh_from_db()
    assert made.state == "expired"


def test_of_one_day_the_end_is_near_in_its_last_third(house: House) -> None:
    house.approved(days=1)
    Waiver.objects.update(until=ClockTimestamp() + timedelta(hours=9))
    assert end_waivers() == 0
    Waiver.objects.update(until=ClockTimestamp() + timedelta(hours=7))
    assert end_waivers() == 1


def test_who_ends_their_own_is_told_nothing_and_of_anothers_end_they_are(house: House) -> None:
    end_waiver(house.maker, waiver=house.approved())
    tell()
    assert house.heard(house.maker) == ["Your waiver was approved"]
    end_waiver(house.head, waiver=house.approved(), reason="Enough.")
    tell()
    assert house.heard(house.maker)[-1] == "Your waiver was ended"
