"""Commands on units, roles, people, queues and tokens."""

from datetime import UTC, datetime

import pytest

from apps.access.models import BusinessUnit, Calendar, PersonalToken, RoleGrant
from apps.access.services import (
    create_token,
    end_person,
    find_token_holder,
    grant_role,
    revoke_role,
    save_person,
    save_queue,
    save_role,
    save_unit,
    set_roles,
)
from apps.audit.models import Entry
from apps.core.errors import InvalidError, NotAllowedError, NotAuthenticatedError
from apps.core.gate import holds
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from tests.factories.access import grant, make_admin, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db
MANAGE = "access.manage_access"


def test_a_role_is_given_recorded_and_holds_at_once():
    admin, person, role, unit = make_admin(), make_user(), make_role("kpis.view_kpi"), make_unit()
    grant_role(admin, user=person, role=role, unit=unit)
    assert holds(person, "kpis.view_kpi")
    assert Entry.objects.get(name="rolegrant.granted").payload["user"] == person.username


@pytest.mark.parametrize("who", ["stranger", "elsewhere", "agent"])
def test_nobody_gives_a_role_where_they_do_not_manage(who):
    unit, person, role = make_unit(), make_user(), make_role("kpis.view_kpi")
    actor = {
        "stranger": make_user,
        "elsewhere": lambda: make_holder(MANAGE, unit=make_unit()),
        "agent": lambda: make_agent().user,
    }[who]()
    if who == "agent":
        grant(actor, make_role(MANAGE))
    with pytest.raises(NotAllowedError):
        grant_role(actor, user=person, role=role, unit=unit)
    assert not RoleGrant.objects.filter(user=person).exists()
    assert not Entry.objects.exists()


def test_nobody_gives_a_role_to_themselves():
    admin, role, unit = make_admin(), make_role("oversight.decide_escalation"), make_unit()
    with pytest.raises(NotAllowedError):
        grant_role(admin, user=admin, role=role, unit=unit)
    assert not holds(admin, "oversight.decide_escalation", unit)
    grant_role(system_user("console"), user=admin, role=role, unit=unit)
    assert holds(admin, "oversight.decide_escalation", unit)


def test_a_unit_admin_cannot_give_a_role_everywhere():
    with pytest.raises(NotAllowedError):
        grant_role(make_holder(MANAGE, unit=make_unit()), user=make_user(), role=make_role("kpis.view_kpi"), unit=None)


def test_an_agent_is_never_given_a_role():
    with pytest.raises(NotAllowedError):
        grant_role(make_admin(), user=make_agent().user, role=make_role("kpis.view_kpi"))


def test_roles_are_made_to_match_a_whole_list():
    console, person, unit = system_user("console"), make_user(), make_unit()
    first, second = make_role("kpis.view_kpi"), make_role("audit.view_entry")
    assert set_roles(console, user=person, wanted=[(first, unit, None)])
    assert not set_roles(console, user=person, wanted=[(first, unit, None)])
    assert set_roles(console, user=person, wanted=[(second, None, None)])
    assert not holds(person, "kpis.view_kpi")
    assert holds(person, "audit.view_entry")


def test_a_role_is_revoked_once():
    admin, person, role = make_admin(), make_user(), make_role("kpis.view_kpi")
    held = grant_role(admin, user=person, role=role)
    revoke_role(admin, grant=held, reason="over")
    assert not holds(person, "kpis.view_kpi")


def test_nobody_adds_to_a_role_that_they_hold():
    admin, other = make_admin(), make_admin()
    role = make_role("access.manage_access", "kpis.view_kpi")
    grant(admin, role)
    more = ["access.manage_access", "oversight.decide_escalation"]
    with pytest.raises(NotAllowedError):
        save_role(admin, slug=role.slug, name=role.name, permissions=more)
    assert not holds(admin, "oversight.decide_escalation")
    assert save_role(admin, slug=role.slug, name=role.name, permissions=["access.manage_access"])[1] == "changed"
    assert save_role(other, slug=role.slug, name=role.name, permissions=more)[1] == "changed"


def test_a_role_with_an_unknown_permission_is_refused():
    with pytest.raises(InvalidError) as refusal:
        save_role(make_admin(), slug="r", name="R", permissions=["kpis.view_kpi", "kpis.fly"])
    assert "kpis.fly" in str(refusal.value.errors)


def test_a_unit_cannot_be_below_itself():
    admin, top = make_admin(), make_unit(slug="top")
    below = make_unit(parent=top)
    with pytest.raises(InvalidError):
        save_unit(admin, slug="top", name="Top", parent=below)
    assert BusinessUnit.objects.get(slug="top").parent is None


def test_saving_the_same_again_changes_nothing_and_records_nothing():
    admin = make_admin()
    assert save_unit(admin, slug="finance", name="Finance")[1] == "created"
    entries = Entry.objects.count()
    assert save_unit(admin, slug="finance", name="Finance")[1] == "unchanged"
    assert Entry.objects.count() == entries
    assert save_unit(admin, slug="finance", name="Money")[1] == "changed"


def test_a_token_is_its_holders_until_it_ends():
    person = make_user()
    text = create_token(person, user=person)
    assert find_token_holder(text) == person
    PersonalToken.objects.update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotAuthenticatedError) as refusal:
        find_token_holder(text)
    assert refusal.value.code == "credential_expired"
    PersonalToken.objects.update(revoked_at=ClockTimestamp())
    with pytest.raises(NotAuthenticatedError) as refusal:
        find_token_holder(text)
    assert refusal.value.code == "credential_revoked"


def test_nobody_makes_a_token_for_somebody_else():
    with pytest.raises(NotAllowedError):
        create_token(make_user(), user=make_user())
    assert not PersonalToken.objects.exists()


def test_a_person_who_left_holds_nothing_and_their_token_is_dead():
    person = make_holder("kpis.view_kpi")
    text = create_token(person, user=person)
    end_person(make_admin(), user=person, reason="left")
    person.refresh_from_db()
    assert not holds(person, "kpis.view_kpi")
    with pytest.raises(NotAuthenticatedError):
        find_token_holder(text)


def test_a_calendar_by_the_api(client):
    admin, week = make_admin(), {"mon": ["09:00-17:00"], "tue": []}
    client.force_login(admin)
    body = {"slug": "office", "name": "Office", "timezone": "Asia/Kathmandu", "hours": week}
    more = {"holidays": [{"date": "2027-01-01"}], "region": "DE-BY"}
    made = client.post("/api/v1/calendars/", {**body, **more}, "application/json")
    assert made.status_code == 201, made.content
    assert made.json() == {**body, "hours": {"mon": ["09:00-17:00"]}, **more}
    bad = client.post("/api/v1/calendars/", {**body, "hours": {"mon": ["22:00-06:00"]}}, "application/json")
    assert (bad.status_code, list(bad.json()["errors"])) == (422, ["hours.mon.0"])
    assert Calendar.objects.get().hours == {"mon": ["09:00-17:00"]}
    client.force_login(make_user())
    assert client.post("/api/v1/calendars/", body, "application/json").status_code == 403
    assert client.get("/api/v1/calendars/").json()["results"] == []


def test_a_queue_s_levels_by_the_api(client):
    client.force_login(make_admin())
    queue = make_queue()
    body = {"slug": "new", "unit": queue.unit.slug, "role": queue.role.slug}
    levels = [{"after_s": 60, "to": queue.slug}, {"after_s": 60, "to": {"role": queue.role.slug}}]
    made = client.post("/api/v1/queues/", {**body, "escalation": levels, "repeat": 1}, "application/json")
    assert made.status_code == 201, made.content
    assert (made.json()["escalation"], made.json()["repeat"], made.json()["calendar"]) == (levels, 1, None)
    for wrong in ({"to": "nowhere"}, {"to": {"role": "nobody"}}, {"to": {"user": "nobody"}}, {"to": 5}):
        refused = client.post("/api/v1/queues/", {**body, "escalation": [{"after_s": 60, **wrong}]}, "application/json")
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["escalation.0.to"])
    assert client.post("/api/v1/queues/", {**body, "calendar": "none"}, "application/json").status_code == 422


def test_a_unit_has_one_last_resort():
    admin, queue = make_admin(), make_queue(last_resort=True)
    with pytest.raises(InvalidError) as refused:
        save_queue(admin, slug="second", unit=queue.unit, role=queue.role, last_resort=True)
    assert list(refused.value.errors) == ["last_resort"]
    assert save_queue(admin, slug=queue.slug, unit=queue.unit, role=queue.role, last_resort=True)[1] == "changed"


@pytest.mark.parametrize("name", ["plane", "Metrics", "CONSOLE", "dIrectory"])
def test_nobody_is_called_as_the_plane_s_own_users_are(name):
    admin = make_admin()
    User.objects.filter(username=name).delete()
    with pytest.raises(InvalidError) as error:
        save_person(admin, username=name, name="A person", email="")
    assert list(error.value.errors) == ["username"]
    assert not User.objects.filter(username__iexact=name, kind="human").exists()
    assert not Entry.objects.filter(name="user.created").exists()
