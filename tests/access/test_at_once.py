"""What two people do at the same time to groups, sessions and accounts."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.access.models import GroupMapping, Session
from apps.access.services import arm_emergency, end_session, end_sessions_of, grant_role, make_person
from apps.access.services.directory import save_mapping
from apps.access.services.emergencies import withdraw_emergency
from apps.access.services.sessions import end_other_sessions, forget_sessions
from apps.audit.models import Entry
from apps.core.errors import ConflictError
from apps.core.models import User
from tests.factories.access import make_admin, make_role, make_unit, make_user
from tests.together import at_once


def test_of_two_who_say_a_new_line_at_once_one_wins_and_the_other_is_told(real_db: str) -> None:
    admin, role, unit = make_admin(), make_role("agents.view_agent"), make_unit()

    said = {"slug": "money", "role": role, "unit": unit, "is_new": True}
    answers = at_once(*(lambda group=group: save_mapping(admin, group=group, **said) for group in "abcd"))
    told = [answer for answer in answers if isinstance(answer, ConflictError)]
    assert len(told) == 3
    (winner,) = [answer[0].group for answer in answers if isinstance(answer, tuple)]
    assert GroupMapping.objects.get().group == winner
    assert Entry.objects.filter(name="groupmapping.created").count() == 1


LOCKED = re.compile(r'FROM "(\w+)".*FOR (?:NO KEY )?UPDATE|^(?:UPDATE|DELETE FROM|INSERT INTO) "(\w+)"', re.DOTALL)
ACCOUNT, OPENING, SESSION = "core_user", "access_emergencyaccess", "access_session"


def locked_by(act: Callable[[], Any]) -> list[str]:
    """The tables of accounts, openings and sessions in which rows are locked, in the order in which they first are."""
    with CaptureQueriesContext(connection) as queries:
        act()
    found = [match for query in queries for match in [LOCKED.search(query["sql"])] if match]
    tables = [match[1] or match[2] for match in found]
    return list(dict.fromkeys(table for table in tables if table in {ACCOUNT, OPENING, SESSION}))


@pytest.mark.django_db
def test_who_is_given_a_role_is_held_so_that_they_do_not_leave_meanwhile() -> None:
    admin, person, role = make_admin(), make_user(), make_role("agents.view_agent")
    with CaptureQueriesContext(connection) as queries:
        grant_role(admin, user=person, role=role)
    said = [query["sql"] for query in queries]
    (held,) = [at for at, sql in enumerate(said) if "FOR NO KEY UPDATE" in sql and LOCKED.search(sql)[1] == ACCOUNT]
    assert held < next(at for at, sql in enumerate(said) if 'INSERT INTO "access_rolegrant"' in sql)


@pytest.mark.django_db
class TestTheAccountIsHeldFirst:
    """Whoever ends sessions and whoever opens or shuts an emergency account never wait for each other in a ring."""

    @pytest.fixture
    def glass(self) -> User:
        account = arm_emergency(make_admin(), username="glass")[0].user
        Client().force_login(account)
        return account

    def test_by_who_administers(self, glass: User) -> None:
        admin = make_admin()
        assert locked_by(lambda: end_sessions_of(admin, user=glass))[:2] == [ACCOUNT, SESSION]
        assert locked_by(lambda: arm_emergency(admin, username="glass"))[0] == ACCOUNT
        assert locked_by(lambda: withdraw_emergency(admin, user=glass))[0] == ACCOUNT

    def test_by_oneself(self) -> None:
        person = make_user()
        for _n in range(2):
            Client().force_login(person)
        first = Session.objects.filter(user=person).first()
        assert first
        assert locked_by(lambda: end_session(person, ref=first.ref)) == [ACCOUNT, SESSION]
        assert locked_by(lambda: end_other_sessions(person, but=None)) == [ACCOUNT, SESSION]
        assert not Session.objects.filter(user=person).exists()

    def test_a_sweep_waits_for_nobody(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            forget_sessions()
        assert any("SKIP LOCKED" in query["sql"] for query in queries)


def test_two_who_make_the_same_person_at_once_make_one(real_db: str) -> None:
    admin = make_admin()

    def make(number: int) -> Callable[[], User]:
        return lambda: make_person(admin, username="ada", name="Ada", email=f"ada{number}@example.com")

    ends = at_once(*(make(number) for number in range(4)))
    assert sorted(type(end).__name__ for end in ends) == ["InvalidError"] * 3 + ["User"]
    assert User.objects.filter(username="ada").count() == 1


def test_two_who_are_made_at_once_get_no_address_that_is_one_persons(real_db: str) -> None:
    admin = make_admin()

    def make(number: int) -> Callable[[], User]:
        return lambda: make_person(admin, username=f"ada{number}", name="Ada", email="ada@example.com")

    ends = at_once(*(make(number) for number in range(4)))
    assert sorted(type(end).__name__ for end in ends) == ["InvalidError"] * 3 + ["User"]
    assert User.objects.filter(email="ada@example.com").count() == 1
