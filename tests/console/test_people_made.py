"""People on pages: made with a first role, described anew, ended with what follows named first, let in again."""

from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import Client

from apps.access.models import RoleGrant
from apps.access.selectors import live_grants
from apps.access.services import create_token, end_person, make_person
from apps.agents.models import Agent
from apps.agents.services import suspend_ownerless
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from tests.console.offers import signed_in
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.security.test_hosts import soon

pytestmark = pytest.mark.django_db
NEW = "/access/new-person/"
ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "username": "ada", "role": "", "unit": "", "until": ""}


def test_one_is_made_with_a_first_role_and_both_stand_in_the_ledger() -> None:
    admin, unit = make_admin(), make_unit()
    role = make_role("workflows.view_run")
    made = signed_in(admin).post(NEW, {**ADA, "role": role.slug, "unit": unit.slug})
    assert made["Location"] == "/access/people/ada/"
    ada = User.objects.get(username="ada")
    assert (ada.name, ada.email, ada.is_human, ada.is_staff, ada.has_usable_password()) == (
        "Ada Lovelace", "ada@example.com", True, False, False,
    )  # fmt: skip
    held = RoleGrant.objects.get(live_grants(), user=ada)
    assert (held.role, held.unit, held.granted_by) == (role, unit, admin)
    assert {"user.created", "rolegrant.granted"} <= set(
        Entry.objects.filter(actor=admin).values_list("name", flat=True)
    )


def test_they_set_their_own_password_by_mail(settings: Any, mailoutbox: list[EmailMessage]) -> None:
    settings.MAIL = {**settings.MAIL, "host": "127.0.0.1"}
    make_person(make_admin(), username="ada", name="Ada", email="ada@example.com")
    Client().post("/accounts/password/reset/", {"email": "ada@example.com"})
    assert [one.to for one in soon(mailoutbox)] == [["ada@example.com"]]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"username": "BEN"}, "Somebody has this user name."),
        ({"username": "plane"}, "own users have this name"),
        ({"username": "../x"}, "Letters, digits"),
        ({"username": ".."}, "Letters, digits"),
        ({"username": "аda"}, "Letters, digits"),
        ({"email": "BEN@example.com"}, "Somebody else has this address."),
        ({"email": "nobody"}, "Enter a valid email address."),
        ({"unit": "somewhere"}, "Select a valid choice"),
        ({"role": "king"}, "Select a valid choice"),
        ({"until": "2199-01-01"}, "Choose the role that they hold there"),
    ],
)
def test_what_does_not_fit_makes_nobody_and_keeps_what_was_typed(said: dict[str, str], why: str) -> None:
    make_user(username="ben", email="ben@example.com")
    client, before = signed_in(), set(User.objects.values_list("username", flat=True))
    answer = client.post(NEW, {**ADA, **said})
    assert (answer.status_code, why in answer.content.decode()) == (422, True)
    assert 'value="Ada Lovelace"' in answer.content.decode()
    assert set(User.objects.values_list("username", flat=True)) == before


def test_an_agent_has_its_name_too() -> None:
    agent = make_agent()
    with pytest.raises(InvalidError):
        make_person(make_admin(), username=agent.user.username, name="A", email="a@example.com")


@pytest.mark.parametrize("path", [NEW, "/access/people/{}/edit/", "/access/people/{}/leave/"])
def test_who_manages_one_unit_alone_makes_and_changes_nobody(path: str) -> None:
    unit = make_unit()
    manager, ada = make_holder("access.manage_access", unit=unit), make_user(username="ada")
    grant(ada, make_role("workflows.view_run"), unit)
    client = Client()
    client.force_login(manager)
    for answer in (client.get(path.format("ada")), client.post(path.format("ada"), {**ADA, "reason": "x"})):
        assert answer.status_code == 403
    assert client.post("/access/people/ada/return/").status_code == 403
    assert "New person" not in client.get("/access/").content.decode()
    assert User.objects.get(username="ada").is_active


def test_the_address_is_changed_and_nobody_elses_is_taken() -> None:
    ada, _ben = make_user(username="ada", email="a@example.com"), make_user(username="ben", email="ben@example.com")
    client, path = signed_in(), "/access/people/ada/edit/"
    assert "check that it is theirs" in client.get(path).content.decode()
    assert client.post(path, {"name": "Ada", "email": "Ben@example.com"}).status_code == 422
    assert client.post(path, {"name": "Ada L.", "email": "l@example.com"}).status_code == 302
    ada.refresh_from_db()
    assert (ada.name, ada.email) == ("Ada L.", "l@example.com")


def test_before_somebody_leaves_the_page_says_what_follows_and_then_it_does() -> None:
    admin, ada = make_admin(), make_user(username="ada", name="Ada")
    grant(ada, make_role("workflows.view_run"), make_unit())
    create_token(ada, user=ada, name="Nightly")
    agent = make_agent(owner=ada)
    theirs = Client()
    theirs.force_login(ada)
    client, path = signed_in(admin), "/access/people/ada/leave/"
    page = client.get(path).content.decode()
    for words in (
        "1 role is taken away",
        "1 token of theirs",
        f"{agent} stops within a minute",
        "signed out everywhere",
    ):
        assert words in page
    assert client.post(path, {"reason": ""}).status_code == 422
    assert User.objects.get(pk=ada.pk).is_active
    assert client.post(path, {"reason": "Moved to another company."}).status_code == 302
    assert not User.objects.get(pk=ada.pk).is_active
    assert theirs.get("/inbox/").status_code == 302
    assert not RoleGrant.objects.filter(live_grants(), user=ada).exists()
    assert not ada.tokens.filter(revoked_at=None).exists()
    assert Entry.objects.get(name="user.ended").payload["reason"] == "Moved to another company."
    suspend_ownerless()
    assert Agent.objects.get(pk=agent.pk).state == "suspended"
    assert "They have left already." in client.get(path).content.decode()
    assert client.post(path, {"reason": "Again."}).status_code == 404


def test_nobody_ends_themselves_so_that_one_who_administers_is_left() -> None:
    admin = make_admin()
    with pytest.raises(NotAllowedError):
        end_person(admin, user=admin, reason="Enough.")
    client = signed_in(admin)
    assert "They leave" not in client.get(f"/access/people/{admin.username}/").content.decode()
    assert client.post(f"/access/people/{admin.username}/leave/", {"reason": "Enough."}).status_code == 403
    assert User.objects.get(pk=admin.pk).is_active


def test_who_left_is_let_in_again_with_no_role() -> None:
    admin, ada = make_admin(), make_user(username="ada")
    grant(ada, make_role("workflows.view_run"), make_unit())
    end_person(admin, user=ada, reason="Gone.")
    client = signed_in(admin)
    assert "Let them in again" in client.get("/access/people/ada/").content.decode()
    assert client.post("/access/people/ada/return/").status_code == 302
    assert User.objects.get(pk=ada.pk).is_active
    assert not RoleGrant.objects.filter(live_grants(), user=ada).exists()
    assert client.post("/access/people/ada/return/").status_code == 404
