"""A directory at the door: people and groups as Entra ID and Okta send them, and what nobody may do that way."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.access.models import DirectoryAccount, DirectoryGroup, GroupMapping, PersonalToken, Role, RoleGrant, Session
from apps.access.rules import scim
from apps.access.selectors import live_grants
from apps.access.services import create_token, end_person, grant_role, save_person
from apps.access.services.directory import remove_mapping, save_mapping
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import NotAllowedError
from apps.core.models import User
from tests.factories.access import make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for

pytestmark = pytest.mark.django_db
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
NOTHING = {"op": "replace", "value": {}}
PROVISION = "access.provision_people"


class Directory:
    """A client with a token of its own."""

    def __init__(self) -> None:
        self.holder = make_holder(PROVISION)
        self.token = create_token(self.holder, user=self.holder, permissions=[PROVISION], days=365)

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/scim+json"}
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return getattr(Client(), method)(f"/scim/v2/{path}", headers=headers, **content)

    def bring(self, username: str, **more: Any) -> dict[str, Any]:
        answer = self.call("post", "Users", {"schemas": [scim.USER], "userName": username, **more})
        assert answer.status_code == 201, answer.content
        return dict(answer.json())

    def patch(self, path: str, *operations: dict[str, Any]) -> Any:
        return self.call("patch", path, {"schemas": [scim.PATCH], "Operations": list(operations)})

    def group(self, name: str, *members: dict[str, Any]) -> dict[str, Any]:
        body = {"schemas": [scim.GROUP], "displayName": name, "members": [{"value": one["id"]} for one in members]}
        answer = self.call("post", "Groups", body)
        assert answer.status_code == 201, answer.content
        return dict(answer.json())


@pytest.fixture
def directory() -> Directory:
    return Directory()


def held(username: str) -> set[tuple[str, str]]:
    rows = RoleGrant.objects.filter(live_grants(), user__username=username)
    return {(grant.role.slug, grant.unit.slug if grant.unit else "") for grant in rows}


def refused(answer: Any) -> tuple[int, str]:
    found = answer.json()
    assert answer["Content-Type"] == "application/scim+json"
    assert (found["schemas"], found["status"]) == ([scim.ERROR], str(answer.status_code))
    return answer.status_code, found.get("scimType", "")


class TestWhoMay:
    def test_nobody_else(self, directory: Directory) -> None:
        admin = make_admin()
        whole = create_token(admin, user=admin)
        other = create_token(admin, user=admin, permissions=["access.manage_access"])
        empty = create_token(person := make_user(), user=person, permissions=[PROVISION])
        for token, status in ((whole, 403), (other, 403), (empty, 403), (make_key_for(make_agent()), 401), ("x", 401)):
            for method, path in (("get", "Users"), ("post", "Users"), ("get", "Schemas"), ("patch", "Groups/x")):
                body = {"userName": "eva"} if method == "post" else None
                assert refused(directory.call(method, path, body, token))[0] == status, (token[:8], path)
        session = Client()
        session.force_login(admin)
        assert session.get("/scim/v2/Users").status_code == 401
        assert not DirectoryAccount.objects.exists()

    def test_its_token_opens_nothing_else(self, directory: Directory) -> None:
        for path in ("users/", "agents/", "audit/entries/"):
            answer = Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {directory.token}"})
            assert answer.status_code in {200, 403}
            assert answer.status_code == 403 or answer.json()["results"] == []

    def test_a_right_in_one_unit_is_not_enough(self) -> None:
        person = make_holder(PROVISION, unit=make_unit())
        token = create_token(person, user=person, permissions=[PROVISION])
        assert refused(Directory().call("get", "Users", None, token))[0] == 403


class TestPeople:
    def test_as_entra_brings_changes_and_ends_somebody(self, directory: Directory) -> None:
        found = directory.bring(
            "ada@example.com",
            externalId="e1",
            active=True,
            displayName="Ada Lace",
            emails=[{"primary": True, "type": "work", "value": "ada@example.com"}],
            name={"formatted": "Ada Lace", "familyName": "Lace", "givenName": "Ada"},
            roles=[],
            **{ENTERPRISE: {"department": "Finance"}},
        )
        user = User.objects.get(username="ada@example.com")
        assert (found["id"], found["active"], user.name, user.is_staff) == (str(user.pk), True, "Ada Lace", False)
        assert not user.has_usable_password()
        answer = directory.call("get", 'Users?filter=userName eq "ADA@example.com"').json()
        assert (answer["totalResults"], answer["Resources"][0]["externalId"]) == (1, "e1")
        operation = {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "lace@example.com"}
        assert directory.patch(f"Users/{user.pk}", operation).json()["emails"][0]["value"] == "lace@example.com"
        answer = directory.patch(f"Users/{user.pk}", {"op": "Replace", "path": "active", "value": "False"})
        assert (answer.status_code, answer.json()["active"]) == (200, False)
        user.refresh_from_db()
        assert not user.is_active

    def test_as_okta_ends_and_brings_back(self, directory: Directory) -> None:
        found = directory.bring("ben", password="T0psecret-and-not-kept", emails=[{"value": "ben@example.com"}])
        assert not User.objects.get(username="ben").has_usable_password()
        for active in (False, True):
            answer = directory.patch(f"Users/{found['id']}", {"op": "replace", "value": {"active": active}})
            assert answer.json()["active"] is active
            assert Entry.objects.filter(name="user.reinstated", actor__username="directory").count() == int(active)
        body = {"userName": "ben", "displayName": "Ben", "active": False, "emails": [{"value": "b@example.com"}]}
        assert directory.call("put", f"Users/{found['id']}", body).json()["active"] is False

    def test_whoever_leaves_is_out_at_once_and_their_agents_stop(self, directory: Directory) -> None:
        found = directory.bring("ada")
        user = User.objects.get(username="ada")
        agent, client = make_agent(owner=user), Client()
        client.force_login(user)
        token = create_token(user, user=user)
        assert client.get("/settings/tokens/").status_code == 200
        directory.patch(f"Users/{found['id']}", {"op": "replace", "path": "active", "value": False})
        assert client.get("/settings/tokens/").status_code == 302
        assert not Session.objects.filter(user=user).exists()
        assert PersonalToken.objects.filter(user=user, revoked_at=None).count() == 0
        assert Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        while deliver_reactions():
            pass
        agent.refresh_from_db()
        assert agent.state == "suspended"
        assert Entry.objects.get(name="user.ended").actor.username == "directory"

    def test_people_who_were_here_before_are_not_its_own(self, directory: Directory) -> None:
        admin = make_admin(username="boss", email="boss@example.com")
        assert refused(directory.call("post", "Users", {"userName": "BOSS"})) == (409, "uniqueness")
        for method in ("get", "put", "patch", "delete"):
            body = None if method == "get" else {"userName": "boss"} if method == "put" else {"Operations": [NOTHING]}
            assert refused(directory.call(method, f"Users/{admin.pk}", body)) == (404, ""), method
        assert directory.call("get", "Users").json()["Resources"] == []
        body = {"userName": "eva", "emails": [{"value": "Boss@example.com"}]}
        assert refused(directory.call("post", "Users", body)) == (409, "uniqueness")
        eva = directory.bring("eva")
        mail = {"op": "replace", "path": "emails", "value": [{"value": "boss@example.com"}]}
        assert refused(directory.patch(f"Users/{eva['id']}", mail)) == (409, "uniqueness")
        admin.refresh_from_db()
        assert (admin.is_active, admin.email) == (True, "boss@example.com")

    @pytest.mark.parametrize("name", ["plane", "console", "directory", "Console"])
    def test_the_plane_s_own_names_are_nobody_s(self, directory: Directory, name: str) -> None:
        assert refused(directory.call("post", "Users", {"userName": name})) == (409, "uniqueness")
        assert not User.objects.filter(username=name, kind="human").exists()

    def test_whom_people_ended_here_it_does_not_bring_back(self, directory: Directory) -> None:
        found = directory.bring("ada")
        end_person(make_admin(), user=User.objects.get(username="ada"), reason="odd")
        for body in ({"userName": "ada", "active": True}, {"userName": "ada"}):
            assert directory.call("put", f"Users/{found['id']}", body).json()["active"] is False
        directory.call("delete", f"Users/{found['id']}")
        assert refused(directory.call("post", "Users", {"userName": "ada"})) == (409, "uniqueness")

    def test_nor_whom_people_brought_back_before_they_ended_them(self, directory: Directory) -> None:
        found = directory.bring("ada")
        directory.call("put", f"Users/{found['id']}", {"userName": "ada", "active": False})
        admin, person = make_admin(), User.objects.get(username="ada")
        save_person(admin, username="ada", name=person.name, email=person.email, reinstate=True)
        end_person(admin, user=User.objects.get(username="ada"), reason="odd")
        again = directory.call("put", f"Users/{found['id']}", {"userName": "ada", "active": True})
        assert again.json()["active"] is False
        assert not User.objects.get(username="ada").is_active

    def test_a_name_stays(self, directory: Directory) -> None:
        found = directory.bring("ada")
        operation = {"op": "replace", "path": "userName", "value": "root"}
        assert refused(directory.patch(f"Users/{found['id']}", operation)) == (400, "mutability")

    def test_deleted_they_are_forgotten_and_stay_in_the_ledger(self, directory: Directory) -> None:
        found = directory.bring("ada")
        assert directory.call("delete", f"Users/{found['id']}").status_code == 204
        assert refused(directory.call("get", f"Users/{found['id']}"))[0] == 404
        assert not User.objects.get(username="ada").is_active
        assert directory.bring("ada")["id"] == found["id"]
        assert User.objects.get(username="ada").is_active

    def test_a_forgotten_one_whom_people_took_back_is_theirs(self, directory: Directory) -> None:
        found = directory.bring("ada")
        directory.call("delete", f"Users/{found['id']}")
        save_person(make_admin(), username="ada", name="Ada", email="ada@example.com", reinstate=True)
        assert refused(directory.call("post", "Users", {"userName": "ada", "active": False})) == (409, "uniqueness")
        assert User.objects.get(username="ada").is_active

    def test_pages_and_filters(self, directory: Directory) -> None:
        for number in range(3):
            directory.bring(f"p{number}", externalId=f"x{number}")
        page = directory.call("get", "Users?startIndex=2&count=1").json()
        assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (3, 2, 1)
        assert [one["userName"] for one in page["Resources"]] == ["p1"]
        assert directory.call("get", 'Users?filter=externalId eq "x2"').json()["Resources"][0]["userName"] == "p2"
        assert directory.call("get", 'Users?filter=id eq "rubbish"').json()["totalResults"] == 0
        assert refused(directory.call("get", 'Users?filter=userName co "p"')) == (400, "invalidFilter")
        assert refused(directory.call("get", "Users?count=many")) == (400, "invalidValue")
        assert refused(directory.call("get", "Users?q=p")) == (400, "invalidValue")

    @pytest.mark.parametrize("text", [r'"\u0000"', r'"a\u0000b"', r'"\ud800"', '"\\"', '"\' OR 1=1 --"'])
    def test_hostile_filters_find_nobody(self, directory: Directory, text: str) -> None:
        directory.bring("ada", externalId="x")
        for name in ("userName", "externalId", "emails.value", "id"):
            answer = directory.call("get", "Users?" + urlencode({"filter": f"{name} eq {text}"}))
            assert answer.status_code == 400 or answer.json()["totalResults"] == 0, answer.content
        for name in ("displayName", "members.value"):
            answer = directory.call("get", "Groups?" + urlencode({"filter": f"{name} eq {text}"}))
            assert answer.status_code == 400 or answer.json()["totalResults"] == 0, answer.content

    def test_hostile_bodies(self, directory: Directory) -> None:
        headers = {"Authorization": f"Bearer {directory.token}"}
        for raw, status in (
            ("{", 400),
            ("[]", 400),
            ("[" * 100, 400),
            ('{"userName": "' + "x" * 1_100_000 + '"}', 413),
        ):
            answer = Client().post("/scim/v2/Users", raw, "application/scim+json", headers=headers)
            assert refused(answer)[0] == status
        assert Client().post("/scim/v2/Users", "<a/>", "text/xml", headers=headers).status_code == 415
        assert refused(directory.call("post", "Users", {"userName": "eva", "displayName": "\x00"}))[0] == 400
        assert refused(directory.call("post", "Users", {"userName": "eva", "isSuperuser": True})) == (
            400,
            "invalidPath",
        )
        assert not DirectoryAccount.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            {"schemas": 5, "Operations": [{"op": "replace", "path": "active", "value": False}]},
            {"schemas": {"a": 1}, "Operations": [{"op": "replace", "path": "active", "value": False}]},
            {"Operations": [{"op": "replace", "path": "active", "value": [False]}]},
            {"Operations": [{"op": "replace", "path": ["active"], "value": False}]},
            {"Operations": [{"op": "replace", "path": "emails", "value": {"value": "a@b"}}]},
            {"Operations": [{"op": "add", "path": "emails", "value": "a@b"}]},
            {"Operations": [{"op": "replace", "path": "externalId", "value": {"a": 1}}]},
            {"Operations": [{"op": "replace", "value": [1]}]},
            {"Operations": [7]},
            {"Operations": [{"op": ["replace"], "path": "active", "value": False}]},
        ],
    )
    def test_patches_that_make_no_sense_are_refused(self, directory: Directory, body: Any) -> None:
        ada, group = directory.bring("ada"), directory.group("money")
        for path in (f"Users/{ada['id']}", f"Groups/{group['id']}"):
            assert directory.call("patch", path, body).status_code == 400, path
        assert User.objects.get(username="ada").is_active


class TestGroups:
    @pytest.fixture
    def mapped(self) -> GroupMapping:
        role, unit = make_role("kpis.view_kpi", slug="viewer"), make_unit(slug="sales")
        return save_mapping(make_admin(), slug="m1", group="Sales viewers", role=role, unit=unit)[0]

    def test_membership_gives_and_takes_what_the_mapping_says(self, directory: Directory, mapped: GroupMapping) -> None:
        ada, ben = directory.bring("ada"), directory.bring("ben")
        group = directory.group("Sales viewers", ada)
        assert (held("ada"), held("ben")) == ({("viewer", "sales")}, set())
        add = {"op": "Add", "path": "members", "value": [{"value": ben["id"]}]}
        assert directory.patch(f"Groups/{group['id']}", add).status_code == 200
        assert held("ben") == {("viewer", "sales")}
        directory.patch(f"Groups/{group['id']}", {"op": "remove", "path": f'members[value eq "{ada["id"]}"]'})
        assert (held("ada"), held("ben")) == (set(), {("viewer", "sales")})
        assert directory.call("delete", f"Groups/{group['id']}").status_code == 204
        assert held("ben") == set()
        actors = Entry.objects.filter(name__startswith="rolegrant.").values_list("actor__username", flat=True)
        assert list(actors) == ["directory"] * 4
        moved = Entry.objects.filter(name="directorygroup.moved")
        assert {entry.actor for entry in moved} == {directory.holder}

    def test_without_a_mapping_it_grants_nothing_whatever_its_name(self, directory: Directory) -> None:
        ada = directory.bring("ada", roles=[{"value": "administrator"}], entitlements=[{"value": "administrator"}])
        directory.group("administrator", ada)
        assert held("ada") == set()

    def test_what_was_granted_by_hand_stays(self, directory: Directory, mapped: GroupMapping) -> None:
        ada = directory.bring("ada")
        grant_role(make_admin(), user=User.objects.get(username="ada"), role=mapped.role, unit=mapped.unit)
        group = directory.group("Sales viewers", ada)
        directory.call("put", f"Groups/{group['id']}", {"displayName": "Sales viewers", "members": []})
        assert held("ada") == {("viewer", "sales")}

    def test_two_groups_give_one_role_and_one_is_enough(self, directory: Directory, mapped: GroupMapping) -> None:
        save_mapping(make_admin(), slug="m2", group="More viewers", role=mapped.role, unit=mapped.unit)
        ada = directory.bring("ada")
        first = directory.group("Sales viewers", ada)
        directory.group("More viewers", ada)
        directory.call("delete", f"Groups/{first['id']}")
        assert held("ada") == {("viewer", "sales")}

    def test_a_new_name_is_another_group(self, directory: Directory, mapped: GroupMapping) -> None:
        ada, ben = directory.bring("ada"), directory.bring("ben")
        group = directory.group("Sales viewers", ada, ben)
        rename = {"op": "replace", "value": {"id": group["id"], "displayName": "Others"}}
        less = {"op": "remove", "path": "members", "value": [{"value": ben["id"]}]}
        assert directory.patch(f"Groups/{group['id']}", rename, less).json()["displayName"] == "Others"
        assert (held("ada"), held("ben")) == (set(), set())

    def test_mappings_act_at_once_and_end(self, directory: Directory) -> None:
        directory.group("Sales viewers", directory.bring("ada"))
        admin, role = make_admin(), make_role("kpis.view_kpi", slug="viewer")
        mapping, _ = save_mapping(admin, slug="m1", group="Sales viewers", role=role, unit=None)
        assert held("ada") == {("viewer", "")}
        remove_mapping(admin, mapping=mapping)
        assert held("ada") == set()

    def test_who_may_not_grant_a_role_maps_none(self, directory: Directory) -> None:
        unit = make_unit()
        person = make_holder("access.manage_access", unit=unit)
        administrator = Role.objects.get(slug="administrator")
        for actor, where in ((person, None), (directory.holder, unit), (directory.holder, None)):
            with pytest.raises(NotAllowedError):
                save_mapping(actor, slug="m", group="Everybody", role=administrator, unit=where)
        assert not GroupMapping.objects.exists()

    def test_ended_and_back_again(self, directory: Directory, mapped: GroupMapping) -> None:
        ada = directory.bring("ada")
        directory.group("Sales viewers", ada)
        for active, roles in ((False, set()), (True, {("viewer", "sales")})):
            directory.patch(f"Users/{ada['id']}", {"op": "replace", "path": "active", "value": active})
            assert held("ada") == roles

    def test_strangers_are_no_members(self, directory: Directory, mapped: GroupMapping) -> None:
        stranger = make_user(username="eva")
        body = {"displayName": "Sales viewers", "members": [{"value": str(stranger.pk)}]}
        assert refused(directory.call("post", "Groups", body)) == (400, "invalidValue")
        assert held("eva") == set()
        assert not DirectoryGroup.objects.exists()

    def test_as_entra_looks_for_groups_and_members(self, directory: Directory) -> None:
        ada = directory.bring("ada")
        group = directory.group("Payers", ada)
        found = directory.call("get", 'Groups?filter=displayName eq "Payers"&excludedAttributes=members').json()
        assert [one["id"] for one in found["Resources"]] == [group["id"]]
        assert "members" not in found["Resources"][0]
        both = f'Groups?filter=id eq "{group["id"]}" and members eq "{ada["id"]}"'
        assert directory.call("get", both).json()["totalResults"] == 1
        assert directory.call("get", f"Groups/{group['id']}").json()["members"][0]["value"] == ada["id"]
        assert refused(directory.call("post", "Groups", {"displayName": "Payers"})) == (409, "uniqueness")


def test_what_is_spoken_is_said(directory: Directory) -> None:
    config = directory.call("get", "ServiceProviderConfig").json()
    assert (config["patch"]["supported"], config["bulk"]["supported"], config["filter"]["maxResults"]) == (
        True,
        False,
        200,
    )
    assert [one["endpoint"] for one in directory.call("get", "ResourceTypes").json()["Resources"]] == [
        "/Users",
        "/Groups",
    ]
    assert directory.call("get", f"Schemas/{scim.USER}").json()["name"] == "User"
    assert refused(directory.call("get", "Schemas/other"))[0] == 404
    assert refused(directory.call("get", "Bulk"))[0] == 404
