"""Two requests at once, with real threads and commits: one address has one person, and ten browsers are ten."""

import pytest

from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError
from apps.notifications.models import Browser
from apps.notifications.rules import BROWSERS_MAX
from tests.factories.access import make_user
from tests.notifications.phone import Phone
from tests.together import at_once

pytestmark = pytest.mark.usefixtures("real_db")
FCM = "https://fcm.googleapis.com"


def test_one_browser_tells_one_person_whoever_is_faster() -> None:
    phone, people = Phone(FCM), [make_user() for _ in range(6)]
    results = at_once(*(lambda person=person: phone.of(person) for person in people))
    made = [one for one in results if isinstance(one, Browser)]
    assert made
    assert all(isinstance(one, Browser | ConflictError) for one in results)
    assert Browser.objects.filter(gone_at=None).count() == 1
    added, ended = (Entry.objects.filter(name=f"browser.{how}").count() for how in ("added", "handed_over"))
    assert added == ended + 1 == len(made)


def test_ten_are_ten_however_many_ask_at_once() -> None:
    person = make_user()
    for _ in range(BROWSERS_MAX - 1):
        Phone(FCM).of(person)
    results = at_once(*(lambda phone=phone: phone.of(person) for phone in [Phone(FCM) for _ in range(5)]))
    assert sum(isinstance(one, Browser) for one in results) == 1
    assert sum(isinstance(one, InvalidError) for one in results) == 4
    assert Browser.objects.filter(user=person, gone_at=None).count() == BROWSERS_MAX
