"""Who has left stays out until somebody says that they come back, and then begins anew."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from apps.access.models import PersonalToken, RoleGrant, Session
from apps.access.selectors import live_grants
from apps.access.services import create_token, end_person, find_token_holder, grant_role, save_person
from apps.audit.models import Entry
from apps.configuration.selectors import export_for
from apps.configuration.services import ConfigurationError, apply_texts
from apps.core.errors import ConflictError, NotAllowedError, NotAuthenticatedError
from apps.core.gate import holds
from apps.core.models import User
from apps.core.services import system_user
from tests.factories.access import grant, make_admin, make_holder, make_role, make_user

pytestmark = pytest.mark.django_db
SEE = "kpis.view_kpi"


@pytest.fixture
def leaver() -> User:
    """Somebody who held a role, and has left."""
    person = make_user(username="lena", name="Lena", email="lena@example.com")
    grant(person, make_role(SEE))
    end_person(make_admin(), user=person, reason="left")
    person.refresh_from_db()
    return person


def told(user: User) -> dict[str, str]:
    return {"username": user.username, "name": user.name, "email": user.email}


def is_out(user: User) -> bool:
    user.refresh_from_db()
    return not user.is_active and not Entry.objects.filter(name="user.reinstated").exists()


def test_saving_who_has_left_is_refused_and_nothing_happens(leaver: User) -> None:
    before = Entry.objects.count()
    with pytest.raises(ConflictError) as refused:
        save_person(make_admin(), **{**told(leaver), "name": "Other"}, password="a-new-password-1")
    assert refused.value.code == "has_left"
    assert is_out(leaver)
    assert (leaver.name, leaver.check_password("a-new-password-1")) == ("Lena", False)
    assert Entry.objects.count() == before


@pytest.mark.parametrize("holds_here", ["", "kpis.view_kpi"])
def test_who_does_not_manage_everything_brings_nobody_back(leaver: User, holds_here: str) -> None:
    actor = make_holder(holds_here) if holds_here else make_user()
    with pytest.raises(NotAllowedError):
        save_person(actor, **told(leaver), reinstate=True)
    assert is_out(leaver)


def test_back_they_have_none_of_what_they_held() -> None:
    admin, browser = make_admin(), Client()
    person = make_user(username="lena", name="Lena", email="lena@example.com")
    grant(person, make_role(SEE))
    browser.force_login(person)
    text = create_token(person, user=person)
    end_person(admin, user=person, reason="left")
    person.refresh_from_db()
    # What was given to the account since, past the commands, counts no more than what was theirs.
    grant(person, make_role("agents.view_agent"))
    PersonalToken.objects.filter(user=person).update(revoked_at=None)
    assert Session.objects.filter(user=person).exists()
    back, outcome = save_person(admin, **told(person), reinstate=True)
    assert (back.pk, back.is_active, outcome) == (person.pk, True, "changed")
    assert not RoleGrant.objects.filter(live_grants(), user=person).exists()
    assert not holds(back, SEE)
    assert not holds(back, "agents.view_agent")
    assert not Session.objects.filter(user=person).exists()
    assert browser.get("/settings/tokens/").status_code == 302
    with pytest.raises(NotAuthenticatedError):
        find_token_holder(text)
    (entry,) = Entry.objects.filter(name="user.reinstated")
    assert (entry.actor, entry.subject_id) == (admin, person.pk)


def test_who_has_left_is_given_no_role(leaver: User, client: Client) -> None:
    admin, role = make_admin(), make_role("agents.view_agent", slug="seer")
    before = Entry.objects.count()
    with pytest.raises(ConflictError) as refused:
        grant_role(admin, user=leaver, role=role)
    assert refused.value.code == "has_left"
    assert Entry.objects.count() == before
    client.force_login(admin)
    page = client.get(f"/access/people/{leaver.username}/").content.decode()
    assert "whoever has left is given no role" in page
    assert f"/access/people/{leaver.username}/roles/" not in page
    answer = client.post(f"/access/people/{leaver.username}/roles/", {"role": "seer"})
    assert answer.status_code == 409
    noted = Entry.objects.order_by("-id")[0]
    assert (noted.name, noted.payload["code"]) == ("request.refused", "has_left")
    assert Entry.objects.count() == before + 1
    assert not RoleGrant.objects.filter(live_grants(), user=leaver).exists()
    assert is_out(leaver)


def test_saving_somebody_over_the_api_takes_no_place_in_the_back_office(client: Client) -> None:
    person = make_user(username="lena", name="Lena", email="lena@example.com", is_staff=True)
    client.force_login(make_admin())
    answer = client.post("/api/v1/users/", {**told(person), "name": "Lena B."}, "application/json")
    assert answer.status_code == 200
    person.refresh_from_db()
    assert (person.name, person.is_staff) == ("Lena B.", True)
    answer = client.post(
        "/api/v1/users/", {**told(person), "username": "new", "email": "new@example.com"}, "application/json"
    )
    assert (answer.status_code, User.objects.get(username="new").is_staff) == (201, False)
    assert client.post("/api/v1/users/", {**told(person), "is_staff": True}, "application/json").status_code == 422


def test_who_is_here_is_saved_as_ever() -> None:
    person = make_user(username="lena", name="Lena", email="lena@example.com")
    held = grant(person, make_role(SEE))
    assert save_person(make_admin(), **told(person), reinstate=True)[1] == "unchanged"
    held.refresh_from_db()
    assert held.revoked_at is None
    assert not Entry.objects.filter(name="user.reinstated").exists()


def test_by_the_api(leaver: User, client: Client) -> None:
    client.force_login(make_admin())
    answer = client.post("/api/v1/users/", told(leaver), "application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "has_left")
    assert is_out(leaver)
    answer = client.post("/api/v1/users/", {**told(leaver), "reinstate": True}, "application/json")
    assert (answer.status_code, answer.json()["is_active"], answer.json()["roles"]) == (200, True, [])
    assert "reinstate" not in answer.json()


class TestDocuments:
    def document(self, *more: str) -> str:
        lines = ("kind: User", "username: lena", "name: Lena", "email: lena@example.com", "roles: [{role: seer}]")
        return "\n".join((*lines, *more)) + "\n"

    @pytest.fixture(autouse=True)
    def role(self) -> None:
        make_role(SEE, slug="seer")

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_file_that_is_applied_again_brings_nobody_back(self, leaver: User, dry_run: bool) -> None:
        before = Entry.objects.count()
        with pytest.raises(ConfigurationError) as refused:
            apply_texts(system_user("console"), texts={"people.yaml": self.document()}, dry_run=dry_run)
        (trouble,) = refused.value.troubles
        assert str(trouble).startswith("people.yaml:1: They have left")
        assert "state: active" in str(trouble)
        assert is_out(leaver)
        assert Entry.objects.count() == before

    def test_it_may_say_that_they_come_back(self, leaver: User) -> None:
        text, console = self.document("state: active"), system_user("console")
        (tried,) = apply_texts(console, texts={"people.yaml": text}, dry_run=True)
        assert (tried.outcome, "user.reinstated" in tried.fields) == ("changed", True)
        assert "+username: lena" in tried.difference
        assert is_out(leaver)
        assert [one.outcome for one in apply_texts(console, texts={"people.yaml": text})] == ["changed"]
        leaver.refresh_from_db()
        assert leaver.is_active
        assert holds(leaver, SEE)
        assert [one.outcome for one in apply_texts(console, texts={"people.yaml": text})] == ["unchanged"]

    def test_what_is_exported_brings_nobody_back(self, leaver: User) -> None:
        console = system_user("console")
        exported = export_for(console)
        assert "lena" not in exported
        assert {one.outcome for one in apply_texts(console, texts={"all.yaml": exported})} == {"unchanged"}
        assert is_out(leaver)
        apply_texts(console, texts={"people.yaml": self.document("state: active")})
        exported = export_for(console)
        assert "username: lena" in exported
        assert "state: active" not in exported


def test_the_way_back_in_at_the_machine(leaver: User) -> None:
    said = StringIO()
    call_command("create_admin", "lena", "--email", "lena@example.com", stdout=said)
    leaver.refresh_from_db()
    assert leaver.is_active
    assert holds(leaver, "access.manage_access")
    assert Entry.objects.get(name="user.reinstated").actor.username == "console"
