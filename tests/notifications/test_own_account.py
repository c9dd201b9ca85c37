"""Whoever signs in hears of each change of how they do, whoever made it and whatever they wished."""

import time
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from apps.access.services import reset_factors, save_person
from apps.core.models import ClockTimestamp, User
from apps.notifications.headlines import SIGN_IN
from apps.notifications.models import Delivery, Preference
from apps.notifications.rules import EVENTS, Channel, Event
from apps.notifications.selectors import notices_for
from tests.access.test_second_factor import set_up
from tests.factories.access import make_admin, make_user
from tests.notifications.conftest import mail, tell
from tests.notifications.test_in_app import signed_in

__all__ = ["mail"]
pytestmark = pytest.mark.django_db
PASSWORD, OTHER = "a long one that nobody guesses", "another long one nobody guesses"


@pytest.fixture
def ada(settings: Any) -> User:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # slow on purpose elsewhere
    return make_user(username="ada", email="ada@example.com", password=PASSWORD)


def heard(person: User) -> list[str]:
    return [row.notice.headline for row in reversed(notices_for(person))]


def by_password(name: str) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": name, "password": PASSWORD})
    assert client.session["account_authentication_methods"][0]["at"] <= time.time()
    return client


def test_whose_second_factors_were_taken_away_is_told_by_mail_and_where_to_look(ada: User, mail: Any) -> None:
    TOTP.activate(ada, generate_totp_secret())
    reset_factors(make_admin(), user=ada, reason="Seen in person, with a passport.")
    tell()
    assert heard(ada) == ["An administrator took your second factors away"]
    (letter,) = mail.to("ada@example.com")
    assert letter["Subject"].startswith("[Critical] An administrator took your second factors away: If it was not you")
    for kind in ("plain", "html"):
        words = letter.get_body((kind,)).get_content()
        assert "https://plane.example/settings/sessions/" in words
        assert "passport" not in words
    page = signed_in(ada).get("/settings/sessions/").content.decode()
    assert "An administrator took your second factors away" in page


def test_who_does_it_in_their_name_cannot_keep_it_from_them(ada: User, mail: Any, settings: Any) -> None:
    for channel in (Channel.IN_APP, Channel.EMAIL):
        Preference.objects.create(user=ada, channel=channel, risk="critical", timing="off")
    settings.ACP_SECOND_FACTOR = "everybody"
    client = by_password("ada")
    assert set_up(client).status_code == 302
    tell()
    assert "A second factor was added to your account" in heard(ada)
    sent = Delivery.objects.filter(recipient=ada, notice__event=Event.SIGN_IN, channel=Channel.EMAIL)
    assert {row.state for row in sent} == {"delivered"}
    assert len(mail.to("ada@example.com")) == sent.count()


def by_page(client: Client, body: dict[str, str]) -> Any:
    return client.post("/accounts/password/change/", body)


def test_a_changed_password_is_told_to_whom_it_belongs(ada: User, mail: Any) -> None:
    client = by_password("ada")
    body = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    assert by_page(client, body).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(OTHER)
    tell()
    assert heard(ada) == ["Your password was changed"]
    assert [letter["To"] for letter in mail.letters] == ["ada@example.com"]


def test_a_password_that_an_administrator_sets_is_told_but_for_the_first(ada: User, mail: Any) -> None:
    save_person(make_admin(), username="new", name="New", email="new@example.com", password=PASSWORD)
    tell()
    assert not mail.letters
    User.objects.filter(pk=ada.pk).update(last_login=ClockTimestamp())
    save_person(make_admin(username="two"), username="ada", name="Ada", email="ada@example.com", password=OTHER)
    tell()
    assert heard(ada) == ["An administrator set your password"]
    assert len(mail.to("ada@example.com")) == 1


def test_every_such_event_has_a_headline() -> None:
    names = {name.removeprefix("user.") for name, event in EVENTS.items() if event == Event.SIGN_IN}
    assert names == set(SIGN_IN)
