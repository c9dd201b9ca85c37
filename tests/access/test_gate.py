"""Who may what, where: roles in units, down the tree, in time."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.connectors.models import Operation
from apps.core.errors import NotAllowedError
from apps.core.gate import holds, reader, require_human, scope_for, visible, visible_when_read
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_operation, permit

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


READ = Prepared(lambda: visible_when_read(PERM, Agent.objects.all()).filter(pk__any_of=Slot("ids")))


@pytest.mark.parametrize("who", ["everywhere", "unit", "above", "beside", "ended", "left", "stranger", "agent"])
def test_a_prepared_read_shows_what_the_gate_shows(who: str):
    top = make_unit()
    agents = [make_agent(unit=make_unit(parent=top)), make_agent(unit=make_unit(parent=top)), make_agent()]
    person = {
        "everywhere": lambda: make_holder(PERM),
        "unit": lambda: make_holder(PERM, unit=agents[0].unit),
        "above": lambda: make_holder(PERM, unit=top),
        "beside": lambda: make_holder(PERM, unit=agents[2].unit),
        "ended": make_user,
        "left": lambda: make_holder(PERM),
        "stranger": make_user,
        "agent": lambda: agents[0].user,
    }[who]()
    if who == "ended":
        grant(person, make_role(PERM), top, until=ClockTimestamp() - timedelta(seconds=1))
    person.is_active = who != "left"
    shown = {row.pk for row in visible(person, PERM, Agent.objects.filter(pk__in=[one.pk for one in agents]))}
    assert {row.pk for row in READ(ids=[one.pk for one in agents], **reader(person, PERM))} == shown
    assert len(shown) == {"everywhere": 3, "unit": 1, "above": 2, "beside": 1}.get(who, 0)


def test_a_prepared_read_knows_grants_on_one_object():
    use = "connectors.use_operation"
    read = Prepared(lambda: visible_when_read(use, Operation.objects.all()).filter(pk__any_of=Slot("ids")))
    holder, granted, ended, other = make_agent().user, make_operation(), make_operation(), make_operation()
    permit(holder, granted)
    permit(holder, ended, until=ClockTimestamp() - timedelta(seconds=1))
    ids = [granted.pk, ended.pk, other.pk]
    assert list(visible(holder, use, Operation.objects.filter(pk__in=ids))) == [granted]
    assert read(ids=ids, **reader(holder, use)) == [granted]
    assert read(ids=ids, **reader(make_agent().user, use)) == []


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
