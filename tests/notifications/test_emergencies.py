"""Everybody who administers hears of an emergency account: its opening, each change, its end; whatever they wished."""

from typing import Any

import pytest

from apps.access.services import arm_emergency, open_emergency
from apps.audit.models import Entry
from apps.core.models import User
from apps.halts.services import engage_halt
from apps.notifications.models import Delivery, Preference
from apps.notifications.rules import Channel
from apps.notifications.selectors import notices_for
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.agents import make_agent
from tests.notifications.conftest import mail, tell
from tests.notifications.test_in_app import signed_in

__all__ = ["mail"]
pytestmark = pytest.mark.django_db
WHY = "Ada Byron: see https://evil.example/now, the provider is down."


def heard(person: User) -> list[str]:
    return [f"{row.notice.headline}: {row.notice.title}" for row in reversed(notices_for(person))]


class Break:
    """An emergency account that the administrator armed, the administrator, and others."""

    def __init__(self) -> None:
        self.admin = make_admin(username="root", email="root@example.com")
        self.other = make_admin(username="second", email="second@example.com")
        self.local = make_holder("access.manage_access", unit=make_unit())
        self.nobody = make_user()
        self.owner = make_user(username="owner", email="owner@example.com")
        make_agent(owner=self.owner, state="active")
        self.glass = arm_emergency(self.admin, username="glass")[0].user
        tell()

    def open(self) -> None:
        open_emergency(self.glass, reason=WHY, address="192.0.2.7")
        tell()


@pytest.fixture
def broken() -> Break:
    return Break()


def test_who_arms_one_is_told_to_the_other_administrators(broken: Break) -> None:
    assert heard(broken.admin) == []
    assert heard(broken.other) == heard(broken.local) == ["An emergency account got a new credential: glass"]
    assert heard(broken.nobody) == heard(broken.owner) == []


def test_its_opening_is_told_to_administrators_and_owners_with_the_reason(broken: Break, mail: Any) -> None:
    broken.open()
    said = f"An emergency account was opened: glass: {WHY}"
    assert heard(broken.admin) == heard(broken.owner) == [said]
    assert heard(broken.other)[-1] == heard(broken.local)[-1] == said
    assert heard(broken.nobody) == []
    assert all(mail.to(f"{name}@example.com") for name in ("root", "second", "owner"))
    letter = mail.to("root@example.com")[-1].as_string()
    assert "Ada Byron" in letter
    assert "https://evil.example" not in letter
    (row,) = notices_for(broken.admin)
    assert (row.risk, row.notice.url) == ("critical", "/access/emergency/")
    (line,) = signed_in(broken.admin).get("/api/v1/notifications/").json()["results"]
    assert (line["event"], line["emergency"]) == ("emergency", str(row.notice.emergency_id))


def test_nobody_wishes_the_alarm_away(broken: Break, mail: Any) -> None:
    for channel in (Channel.IN_APP, Channel.EMAIL):
        Preference.objects.create(user=broken.admin, channel=channel, risk="critical", timing="off")
    broken.open()
    rows = Delivery.objects.filter(recipient=broken.admin, notice__event="emergency")
    assert {(row.channel, row.state) for row in rows} == {("in_app", "delivered"), ("email", "delivered")}


def test_each_change_is_told_and_stands_on_the_trail_of_the_opening(broken: Break) -> None:
    broken.open()
    engage_halt(broken.glass, scope="everything", target="", reason="It pays twice.")
    tell()
    tell()
    assert heard(broken.admin)[-1] == "An emergency account changed something: glass: halt.engaged"
    opened, used = Entry.objects.filter(name__in=["emergencyaccess.opened", "emergencyaccess.used"]).order_by("id")
    assert used.trail_id == opened.trail_id
    assert used.payload["name"] == "halt.engaged"
