"""The table of roles and permissions: for those who manage access, with those whom they may know."""

import re

import pytest

from apps.access.models import Role
from apps.access.rules import PERMISSIONS
from apps.console.selectors import role_matrix_for
from apps.console.selectors.access import NAMED_MAX
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.oversight.edge_cases.doors import Person

pytestmark = pytest.mark.django_db
MANAGE = "access.manage_access"


def test_it_says_for_every_role_and_permission_whether_it_holds_it() -> None:
    auditor = make_role("audit.view_entry", "kpis.view_kpi")
    make_role("no.such_thing")
    matrix = role_matrix_for(make_admin())
    place = [column.role for column in matrix.columns].index(auditor)
    assert {row.permission for row in matrix.rows if row.held[place]} == {"audit.view_entry", "kpis.view_kpi"}
    assert [row.permission for row in matrix.rows] == list(PERMISSIONS)
    assert len(matrix.columns) == Role.objects.count()
    assert matrix.unknown == ("no.such_thing",)


def test_the_page_counts_and_names_who_holds_a_role_and_leads_to_them() -> None:
    role, unit = make_role("audit.view_entry"), make_unit()
    ada, ben = make_user(), make_user()
    grant(ada, role, unit)
    grant(ada, role)
    grant(ben, role, make_unit())
    page = Person(make_admin()).page("/access/roles/")
    assert re.search(rf'href="#role-{role.slug}">2 people', page)
    assert page.count(f'href="/access/people/{ada.username}/"') == 1
    here = Person(make_holder(MANAGE, unit=unit)).page("/access/roles/")
    assert re.search(rf'href="#role-{role.slug}">1 person', here)
    assert ben.username not in here
    assert "In the units where you manage access." in here


def test_of_a_role_that_many_hold_the_first_are_named_and_the_others_counted() -> None:
    role = make_role("audit.view_entry")
    people = [make_user(username=f"many{number:03}") for number in range(NAMED_MAX + 3)]
    for person in reversed(people):
        grant(person, role)
        grant(person, role, make_unit())
    column = next(column for column in role_matrix_for(make_admin()).columns if column.role == role)
    assert (list(column.holders), column.count) == (people[:NAMED_MAX], NAMED_MAX + 3)
    page = Person(make_admin()).page("/access/roles/")
    assert page.count('href="/access/people/many') == NAMED_MAX
    assert re.search(rf'href="#role-{role.slug}">{NAMED_MAX + 3} people', page)
    assert 'href="/access/#grants">and 3 more' in page


def test_nobody_else_sees_it() -> None:
    assert Person(make_holder("audit.view_entry")).pages.get("/access/roles/").status_code == 403
