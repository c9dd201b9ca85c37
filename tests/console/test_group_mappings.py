"""Which group of a directory holds which role: who gains and loses is named before it is saved, and is what happens."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.access.models import BusinessUnit, DirectoryAccount, DirectoryGroup, GroupMapping, Role, RoleGrant
from apps.access.selectors import live_grants
from apps.access.services.directory import save_mapping
from apps.audit.models import Entry
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.models import User
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user

pytestmark = pytest.mark.django_db
LIST, NEW = "/access/groups/", "/access/new-group-mapping/"


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def make_group(name: str, *people: User) -> DirectoryGroup:
    group = DirectoryGroup.objects.create(name=name)
    for person in people:
        DirectoryAccount.objects.get_or_create(user=person)
    group.members.add(*people)
    return group


def held_by(person: User) -> set[tuple[str, str]]:
    rows = RoleGrant.objects.filter(live_grants(), user=person).select_related("role", "unit")
    return {(row.role.slug, row.unit.slug if row.unit else "") for row in rows}


def seen_in(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    return found.group(1) if found else ""


class Scene:
    """An administrator, a unit, a role, and two people whom the directory brought."""

    def __init__(self) -> None:
        self.admin = make_admin()
        self.unit: BusinessUnit = make_unit(slug="finance", name="Finance")
        self.role: Role = make_role("agents.view_agent", slug="watcher", name="Watcher")
        self.ada, self.bob = make_user(username="ada", name="Ada"), make_user(username="bob", name="Bob")
        self.client = client_of(self.admin)

    def sent(self, address: str = NEW, **fields: Any) -> Any:
        return self.client.post(address, {"group": "Finance", "role": "watcher", "unit": "finance", **fields})

    def saved(self, address: str = NEW, **fields: Any) -> Any:
        return self.sent(address, **fields, seen=seen_in(self.sent(address, **fields).content.decode()))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_without_any_the_page_says_what_to_do(scene: Scene) -> None:
    page = scene.client.get(LIST).content.decode()
    assert "No group grants anything" in page
    assert NEW in page


def test_who_gains_is_named_first_and_nothing_is_saved_until_it_was_read(scene: Scene) -> None:
    make_group("Finance", scene.ada, scene.bob)
    grant(scene.bob, scene.role, scene.unit)  # by hand, so that nothing changes for him
    page = scene.sent().content.decode()
    assert "1 right is gained at once" in page
    assert "Ada</a>: Watcher, Finance" in page
    assert "Bob</a>" not in page
    assert not GroupMapping.objects.exists()
    assert held_by(scene.ada) == set()
    assert scene.saved().status_code == 302
    assert held_by(scene.ada) == {("watcher", "finance")}
    mapping = GroupMapping.objects.get()
    assert (mapping.slug, mapping.group, mapping.unit) == ("finance-watcher", "Finance", scene.unit)
    assert Entry.objects.filter(name="groupmapping.created", actor=scene.admin).exists()


def test_where_more_follows_than_was_read_it_is_read_again(scene: Scene) -> None:
    group = make_group("Finance", scene.ada)
    seen = seen_in(scene.sent().content.decode())
    DirectoryAccount.objects.create(user=scene.bob)
    group.members.add(scene.bob)
    page = scene.sent(seen=seen).content.decode()
    assert "2 rights are gained at once" in page
    assert not GroupMapping.objects.exists()


@pytest.mark.parametrize("other", [{"role": "auditor"}, {"unit": ""}, {"group": "Others"}])
def test_what_was_read_of_one_line_saves_no_other(scene: Scene, other: dict[str, str]) -> None:
    make_role("audit.view_entry", slug="auditor", name="Auditor")
    seen = seen_in(scene.sent().content.decode())
    assert scene.sent(**other, seen=seen).status_code == 200
    assert not GroupMapping.objects.exists()


def test_a_change_names_who_loses_and_who_gains(scene: Scene) -> None:
    make_group("Finance", scene.ada)
    make_group("Treasury", scene.bob)
    save_mapping(scene.admin, slug="money", group="Finance", role=scene.role, unit=scene.unit)
    page = scene.sent(f"{LIST}money/", group="Treasury").content.decode()
    assert "Bob</a>: Watcher" in page[page.index("gained") : page.index("lost")]
    assert "Ada</a>: Watcher" in page[page.index("lost") :]
    assert held_by(scene.ada) == {("watcher", "finance")}
    scene.saved(f"{LIST}money/", group="Treasury")
    assert (held_by(scene.ada), held_by(scene.bob)) == (set(), {("watcher", "finance")})
    assert GroupMapping.objects.get().group == "Treasury"


def test_whoever_holds_it_by_another_group_loses_nothing_by_its_end(scene: Scene) -> None:
    make_group("Finance", scene.ada, scene.bob)
    make_group("Treasury", scene.bob)
    for slug, group in (("money", "Finance"), ("more", "Treasury")):
        save_mapping(scene.admin, slug=slug, group=group, role=scene.role, unit=scene.unit)
    page = scene.client.get(f"{LIST}money/end/").content.decode()
    assert "1 right is lost at once" in page
    assert "Ada</a>: Watcher" in page
    scene.client.post(f"{LIST}money/end/")
    assert GroupMapping.objects.count() == 2, "nobody said that they had read it"
    assert scene.client.post(f"{LIST}money/end/", {"seen": seen_in(page)}).status_code == 302
    assert (held_by(scene.ada), held_by(scene.bob)) == (set(), {("watcher", "finance")})
    assert Entry.objects.filter(name="groupmapping.removed", actor=scene.admin).exists()


def test_a_group_that_is_not_there_yet_is_said_to_be_none(scene: Scene) -> None:
    page = scene.sent().content.decode()
    assert "has brought no group of this name" in page
    assert "Nobody gains or loses anything now" in page
    scene.saved()
    assert "Not brought yet" in scene.client.get(LIST).content.decode()


def test_the_same_line_twice_is_refused_and_what_was_typed_stays(scene: Scene) -> None:
    scene.saved()
    answer = scene.sent()
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "holds this role there already" in page
    assert 'value="Finance"' in page
    assert GroupMapping.objects.count() == 1


def test_groups_that_grant_nothing_are_listed_and_lead_to_the_form(scene: Scene) -> None:
    make_group("Sales & <b>more</b>", scene.ada)
    page = scene.client.get(LIST).content.decode()
    assert "Groups that grant nothing" in page
    assert "<b>more</b>" not in page
    assert "?group=Sales%20%26%20%3Cb%3Emore%3C%2Fb%3E" in page
    form = scene.client.get(NEW, {"group": "Sales & <b>more</b>"}).content.decode()
    assert 'value="Sales &amp; &lt;b&gt;more&lt;/b&gt;"' in form


class TestWhoMay:
    def test_strangers_may_not(self, scene: Scene) -> None:
        save_mapping(scene.admin, slug="money", group="Finance", role=scene.role, unit=scene.unit)
        client = client_of(make_holder("agents.view_agent"))
        assert [client.get(address).status_code for address in (LIST, NEW)] == [403, 403]
        for address in (f"{LIST}money/", f"{LIST}money/end/"):
            assert client.get(address).status_code == 404
            assert client.post(address, {"seen": "x"}).status_code == 404
        assert GroupMapping.objects.count() == 1

    def test_a_unit_s_administrator_sees_and_changes_their_own_alone(self, scene: Scene) -> None:
        make_group("Finance", scene.ada)
        elsewhere = make_unit(slug="sales")
        save_mapping(scene.admin, slug="theirs", group="Sales", role=scene.role, unit=elsewhere)
        save_mapping(scene.admin, slug="all", group="All", role=scene.role, unit=None)
        scene.client = client_of(make_holder("access.manage_access", unit=scene.unit))
        page = scene.client.get(LIST).content.decode()
        assert "No group grants anything" in page
        assert [scene.client.get(f"{LIST}{slug}/").status_code for slug in ("theirs", "all")] == [404, 404]
        for unit in ("", "sales"):
            assert scene.sent(unit=unit).status_code == 422
        assert scene.saved().status_code == 302
        assert set(GroupMapping.objects.values_list("slug", flat=True)) == {"theirs", "all", "finance-watcher"}


def test_nobody_says_of_their_own_group_what_it_holds() -> None:
    admin, role = make_admin(), make_role("oversight.decide_escalation")
    make_group("staff", admin)
    with pytest.raises(NotAllowedError):
        save_mapping(admin, slug="staff", group="staff", role=role, unit=None)
    save_mapping(make_admin(), slug="staff", group="staff", role=role, unit=None)
    assert (role.slug, "") in held_by(admin)
    assert save_mapping(admin, slug="staff", group="staff", role=role, unit=None)[1] == "unchanged"


class TestWhatAUnitSManagerLearns:
    """Naming a group tells nobody who is in it, nor what its people hold in units that are not theirs."""

    @pytest.fixture
    def theirs(self, scene: Scene) -> Scene:
        make_group("Board", scene.ada, scene.bob)
        grant(scene.bob, make_role("kpis.view_kpi", slug="reader"), scene.unit)  # whom they see: he holds a role there
        scene.client = client_of(make_holder("access.manage_access", unit=scene.unit))
        return scene

    def test_whom_they_do_not_see_is_neither_named_nor_counted(self, theirs: Scene) -> None:
        page = theirs.sent(group="Board").content.decode()
        assert "1 right is gained at once" in page
        assert "Bob</a>: Watcher, Finance" in page
        assert "Ada" not in page
        assert "Whoever else is in the group" in page

    def test_a_group_that_is_not_there_reads_like_one_whose_people_they_do_not_see(self, theirs: Scene) -> None:
        make_group("Others", theirs.ada)
        pages = {name: theirs.sent(group=name).content.decode() for name in ("Others", "Nobody")}
        for name, page in pages.items():
            assert "Of the people whom you see nobody gains or loses anything now." in page
            assert "has brought no group" not in page
            pages[name] = re.sub(r'(csrfmiddlewaretoken|seen)" value="[^"]+"', "", page[page.index("<main") :])
        assert pages["Others"].replace("Others", "Nobody") == pages["Nobody"]

    def test_their_list_counts_those_whom_they_see(self, theirs: Scene) -> None:
        for slug, group in (("board", "Board"), ("none", "Nobody")):
            save_mapping(theirs.admin, slug=slug, group=group, role=theirs.role, unit=make_unit())
            GroupMapping.objects.filter(slug=slug).update(unit=theirs.unit)
        page = theirs.client.get(LIST).content.decode()
        assert "People in it whom you see" in page
        assert re.findall(r'<td class="num">([^<]+)</td>', page) == ["1", "0"]
        assert "Not brought yet" not in page
        assert "Groups that grant nothing" not in page

    def test_what_somebody_would_gain_in_other_units_is_not_said(self, theirs: Scene) -> None:
        elsewhere = make_unit(slug="sales", name="Sales")
        save_mapping(theirs.admin, slug="far", group="Board", role=theirs.role, unit=elsewhere)
        RoleGrant.objects.filter(unit=elsewhere).delete()  # as if it had been taken by hand: it would come again
        page = theirs.sent(group="Board").content.decode()
        assert "1 right is gained at once" in page
        assert "Sales" not in page

    def test_the_end_of_one_names_those_who_lose_it_there(self, theirs: Scene) -> None:
        save_mapping(theirs.admin, slug="board", group="Board", role=theirs.role, unit=theirs.unit)
        page = theirs.client.get(f"{LIST}board/end/").content.decode()
        assert "2 rights are lost at once" in page, "who holds a role in their unit is theirs to see"


def test_two_new_lines_of_one_name_do_not_overwrite_each_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.console.views.mappings._slug_of", lambda change: "money")
    save_mapping(scene.admin, slug="money", group="Treasury", role=scene.role, unit=scene.unit)
    answer = scene.saved()
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "Somebody else has just made a line of this name" in page
    assert 'value="Finance"' in page
    assert GroupMapping.objects.get().group == "Treasury"
    assert Entry.objects.filter(name__startswith="groupmapping.").count() == 1


def test_a_line_that_somebody_ended_meanwhile_is_not_made_again(scene: Scene) -> None:
    mapping, _ = save_mapping(scene.admin, slug="money", group="Finance", role=scene.role, unit=scene.unit)
    GroupMapping.objects.all().delete()
    said = {"slug": "money", "group": "Treasury", "role": scene.role, "unit": scene.unit}
    with pytest.raises(ConflictError, match="just ended"):
        save_mapping(scene.admin, is_new=False, **said)
    assert not GroupMapping.objects.exists()
    assert str(mapping) == "Finance is Watcher"
