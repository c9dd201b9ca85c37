"""Who may what, where: roles in units, down the tree, in time."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from apps.access.models import BusinessUnit
from apps.core.errors import NotAllowedError
from apps.core.gate import holds, require_human, scope_for, visible
from apps.core.models import ClockTimestamp, User
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db
PERM = "agents.view_agent"


def test_a_stranger_holds_nothing_and_sees_nothing():
    agent, stranger = make_agent(), make_user()
    assert not holds(stranger, PERM)
    assert not holds(stranger, PERM, agent)
    assert list(visible(stranger, PERM, type(agent).objects.all())) == []


def test_the_wrong_role_opens_nothing():
    agent = make_agent()
    assert not holds(make_holder("audit.view_entry", unit=agent.unit), PERM, agent)


def test_a_role_in_a_unit_holds_there_and_below_and_nowhere_else():
    top = make_unit()
    middle = make_unit(parent=top)
    below, beside = make_unit(parent=middle), make_unit(parent=top)
    person = make_holder(PERM, unit=middle)
    assert holds(person, PERM, make_agent(unit=middle))
    assert holds(person, PERM, make_agent(unit=below))
    assert not holds(person, PERM, make_agent(unit=beside))
    assert not holds(person, PERM, make_agent(unit=top))
    assert scope_for(person, PERM).units == {middle.pk, below.pk}


def test_a_role_without_a_unit_holds_everywhere():
    assert holds(make_holder(PERM), PERM, make_agent())
    assert scope_for(make_holder(PERM), PERM).everywhere


def test_a_role_ends_at_its_time():
    person, agent, role = make_user(), make_agent(), make_role(PERM)
    held = grant(person, role, agent.unit, until=ClockTimestamp() - timedelta(seconds=1))
    assert not holds(person, PERM, agent)
    type(held).objects.filter(pk=held.pk).update(until=ClockTimestamp() + timedelta(hours=1))
    assert holds(person, PERM, agent)
    type(held).objects.filter(pk=held.pk).update(revoked_at=ClockTimestamp())
    assert not holds(person, PERM, agent)


def test_whoever_is_inactive_holds_nothing():
    person = make_holder(PERM)
    person.is_active = False
    assert not holds(person, PERM)
    assert not visible(person, PERM, BusinessUnit.objects.all()).exists()


def test_nobody_is_a_superuser():
    with pytest.raises(IntegrityError, match="user_never_superuser"), transaction.atomic():
        User.objects.create(username="root", is_superuser=True)


def test_administrators_have_every_permission_but_deciding():
    admin = make_admin()
    assert holds(admin, "access.manage_access")
    assert not holds(admin, "oversight.decide_escalation")


def test_agents_are_not_people():
    with pytest.raises(NotAllowedError):
        require_human(make_agent().user)
