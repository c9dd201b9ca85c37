"""What directories send, read: filters, patches, and how vendors spell them."""

from typing import Any
from uuid import UUID

import pytest

from apps.access.rules import scim
from apps.access.rules.scim import ScimError

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ONE, TWO = UUID(int=1), UUID(int=2)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [scim.PATCH], "Operations": list(operations)}


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("", "User", {}),
        ('userName eq "ada@example.com"', "User", {"userName": "ada@example.com"}),
        ('USERNAME EQ "Ada"', "User", {"userName": "Ada"}),
        (f'{scim.USER}:userName eq "a"', "User", {"userName": "a"}),
        ('externalId eq "a\\"b and c"', "User", {"externalId": 'a"b and c'}),
        ('emails[type eq "work"].value eq "a@b.example"', "User", {"email": "a@b.example"}),
        (f'id eq "{ONE}" and members eq "{TWO}"', "Group", {"id": str(ONE), "member": str(TWO)}),
    ],
)
def test_a_filter_is_read(text: str, kind: str, found: dict[str, str]) -> None:
    assert scim.read_filter(text, kind) == found


@pytest.mark.parametrize(
    "text",
    [
        "userName", 'userName co "a"', 'userName eq "a" or userName eq "b"', 'password eq "a"', "userName eq a",
        'userName eq "a" and', '(userName eq "a")', 'not (userName eq "a")', 'userName eq "a" externalId eq "b"',
        'userName eq "\\x"', "x" * 501, 'displayName eq "a"', '" or 1=1 --',
    ],
)  # fmt: skip
def test_what_is_no_filter_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ScimError) as refused:
        scim.read_filter(text, "User")
    assert refused.value.kind == "invalidFilter"


class TestPeople:
    @pytest.mark.parametrize("value", [False, "False", "false"])
    @pytest.mark.parametrize("path", ["active", f"{scim.USER}:active", None])
    def test_the_end_of_somebody_in_each_spelling(self, value: Any, path: str | None) -> None:
        operation = (
            {"op": "Replace", "path": path, "value": value} if path else {"op": "replace", "value": {"active": value}}
        )
        assert scim.read_person_patch(patch(operation)) == scim.Person(active=False)

    @pytest.mark.parametrize("value", [None, 0, 1, "", "no", [], {}])
    def test_what_is_neither_true_nor_false_ends_nobody(self, value: Any) -> None:
        with pytest.raises(ScimError):
            scim.read_person_patch(patch({"op": "replace", "path": "active", "value": value}))

    def test_as_entra_patches(self) -> None:
        found = scim.read_person_patch(
            patch(
                {"op": "Add", "path": 'emails[type eq "work"].value', "value": "new@example.com"},
                {"op": "Replace", "value": {"displayName": "Ada L.", "name.givenName": "Ada", "externalId": "x1"}},
                {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Finance"},
                {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "1"},
                {"op": "Add", "path": "roles", "value": [{"value": "administrator"}]},
            )
        )
        assert found == scim.Person(name="Ada L.", email="new@example.com", external_id="x1")

    def test_half_a_name_changes_nothing_and_both_halves_do(self) -> None:
        half = {"op": "replace", "path": "name.givenName", "value": "Ada"}
        assert scim.read_person_patch(patch(half)) == scim.Person()
        whole = {"op": "replace", "path": "name", "value": {"givenName": "Ada", "familyName": "Lace"}}
        assert scim.read_person_patch(patch(whole)).name == "Ada Lace"

    def test_the_primary_address_counts(self) -> None:
        mails = [
            {"value": "a@x.example"},
            {"value": "b@x.example", "type": "work"},
            {"value": "c@x.example", "primary": "true"},
        ]
        assert scim.read_person({"userName": "a", "emails": mails}).email == "c@x.example"
        assert scim.read_person({"userName": "a", "emails": mails[:2]}).email == "b@x.example"

    @pytest.mark.parametrize(
        "body",
        [
            {}, {"userName": ""}, {"userName": 7}, {"userName": "a b"}, {"userName": "agent:x"},
            {"userName": "x" * 151},
            {"userName": "a", "displayName": "x" * 121}, {"userName": "a", "emails": [{"value": "none"}]},
            {"userName": "a", "emails": [{"value": 7}]}, {"userName": "a", "isAdmin": True},
            {"userName": "a", "active": 1},
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused(self, body: dict[str, Any]) -> None:
        with pytest.raises(ScimError):
            scim.read_person(body)

    @pytest.mark.parametrize(
        ("operations", "kind"),
        [
            ([], "invalidSyntax"), ("x", "invalidSyntax"), ([7], "invalidSyntax"), ([{"op": "move"}], "invalidSyntax"),
            ([{"op": "remove"}], "noTarget"), ([{"op": "remove", "path": "userName"}], "mutability"),
            ([{"op": "add", "path": "isAdmin", "value": True}], "invalidPath"),
            ([{"op": "add", "value": 7}], "invalidValue"),
            ([{"op": "add", "path": "active", "value": True}] * 1001, "invalidSyntax"),
        ],
    )  # fmt: skip
    def test_a_patch_that_cannot_be_read_says_why(self, operations: Any, kind: str) -> None:
        with pytest.raises(ScimError) as refused:
            scim.read_person_patch({"schemas": [scim.PATCH], "Operations": operations})
        assert refused.value.kind == kind


class TestGroups:
    def test_members_come_and_go_in_each_spelling(self) -> None:
        add = {"op": "Add", "path": "members", "value": [{"value": str(ONE)}, {"value": str(TWO)}]}
        assert scim.read_group_patch(patch(add)).added == {ONE, TWO}
        for remove in (
            {"op": "Remove", "path": "members", "value": [{"value": str(ONE)}]},
            {"op": "remove", "path": f'members[value eq "{ONE}"]'},
        ):
            found = scim.read_group_patch(patch(add, remove))
            assert (found.added, found.removed, found.members) == ({TWO}, {ONE}, None)

    def test_all_at_once(self) -> None:
        assert scim.read_group_patch(patch({"op": "remove", "path": "members"})).members == frozenset()
        every = {"op": "replace", "value": {"id": "x", "displayName": "Payers", "members": [{"value": str(ONE)}]}}
        found = scim.read_group_patch(patch(every))
        assert (found.name, found.members) == ("Payers", {ONE})

    @pytest.mark.parametrize("members", ["x", [7], [{}], [{"value": "x"}], [{"value": str(ONE)}] * 10_001])
    def test_who_is_nobody_is_no_member(self, members: Any) -> None:
        with pytest.raises(ScimError):
            scim.read_group({"displayName": "Payers", "members": members})


def test_pages_are_read_as_the_rfc_says() -> None:
    assert scim.page_of(None, None) == (1, 200)
    assert (scim.page_of("0", "-1"), scim.page_of("5", "1000")) == ((1, 0), (5, 200))
    with pytest.raises(ScimError):
        scim.page_of("x", None)
