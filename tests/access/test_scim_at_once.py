"""Two requests of a directory at the same moment, and one of it while somebody changes what a group holds."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.db import connections, transaction

from apps.access.models import DirectoryAccount, DirectoryGroup
from apps.access.services.directory import remove_mapping, save_mapping
from apps.core.models import User
from tests.access.test_scim import Directory, held
from tests.factories.access import make_admin, make_role
from tests.together import at_once


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def test_one_of_two_people_of_one_name_is_made(real_db: str) -> None:
    directory = Directory()
    names = ["eva", "Eva", "EVA", "eva"]
    answers = at_once(*(lambda name=name: directory.call("post", "Users", {"userName": name}) for name in names))
    assert statuses(answers) == {201: 1, 409: 3}
    assert User.objects.filter(username__iexact="eva").count() == DirectoryAccount.objects.count() == 1


def test_one_of_two_people_of_one_external_id_or_address_is_made(real_db: str) -> None:
    directory = Directory()

    def bring(name: str, **more: Any) -> Any:
        return lambda: directory.call("post", "Users", {"userName": name, **more})

    answers = at_once(*(bring(f"a{n}", externalId="e1") for n in range(4)))
    assert statuses(answers) == {201: 1, 409: 3}
    answers = at_once(*(bring(f"b{n}", emails=[{"value": "b@example.com"}]) for n in range(4)))
    assert statuses(answers) == {201: 1, 409: 3}
    assert User.objects.filter(email__iexact="b@example.com").count() == 1


def test_one_of_two_groups_of_one_name_is_made(real_db: str) -> None:
    directory = Directory()
    answers = at_once(*(lambda: directory.call("post", "Groups", {"displayName": "money"}) for _ in range(4)))
    assert statuses(answers) == {201: 1, 409: 3}
    assert DirectoryGroup.objects.count() == 1


def test_members_that_come_at_once_are_all_there_and_hold_the_role(real_db: str) -> None:
    directory, role = Directory(), make_role("agents.view_agent")
    save_mapping(make_admin(), slug="money", group="money", role=role, unit=None)
    people = [directory.bring(f"p{n}") for n in range(4)]
    group = directory.group("money")

    def add(person: dict[str, Any]) -> Any:
        return lambda: directory.patch(
            f"Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": person["id"]}]}
        )

    assert statuses(at_once(*map(add, people))) == {200: 4}
    assert [held(one["userName"]) for one in people] == [{(role.slug, "")}] * 4


@pytest.mark.parametrize("gets", [True, False])
def test_who_comes_into_a_group_while_what_it_holds_changes_holds_what_it_says_then(real_db: str, gets: bool) -> None:
    directory, admin, role = Directory(), make_admin(), make_role("agents.view_agent")
    group, person = directory.group("money"), directory.bring("eva")
    said = {"slug": "money", "group": "money", "role": role, "unit": None}
    mapping = None if gets else save_mapping(admin, **said)[0]
    add = {"op": "add", "path": "members", "value": [{"value": person["id"]}]}
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            remove_mapping(admin, mapping=mapping) if mapping else save_mapping(admin, **said)
            answer = pool.submit(directory.patch, f"Groups/{group['id']}", add)
            wait([answer], timeout=2)
        assert answer.result(timeout=30).status_code == 200
        pool.submit(connections.close_all).result()
    assert held("eva") == ({(role.slug, "")} if gets else set())
