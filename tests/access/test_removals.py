"""What nothing refers to may go; what is in use stays, and says why."""

import pytest

from apps.access.models import BusinessUnit, Queue, Role
from apps.access.services import grant_role, revoke_role
from apps.access.services.removals import remove_queue, remove_role, remove_unit
from apps.audit.models import Entry
from apps.core.errors import ConflictError, NotAllowedError
from tests.factories.access import make_admin, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent

pytestmark = pytest.mark.django_db


def test_an_empty_unit_goes_and_the_ledger_keeps_it():
    unit = make_unit(slug="old")
    remove_unit(make_admin(), unit=unit)
    assert not BusinessUnit.objects.filter(slug="old").exists()
    assert Entry.objects.get(name="businessunit.removed").payload == {"slug": "old"}


def test_a_unit_that_owns_something_stays():
    agent = make_agent()
    with pytest.raises(ConflictError, match="still in use"):
        remove_unit(make_admin(), unit=agent.unit)
    assert BusinessUnit.objects.filter(pk=agent.unit_id).exists()


def test_a_role_goes_once_nobody_holds_it():
    admin, role, person = make_admin(), make_role(slug="clerk"), make_user()
    grant = grant_role(admin, user=person, role=role)
    with pytest.raises(ConflictError, match="1 people still hold it"):
        remove_role(admin, role=role)
    revoke_role(admin, grant=grant)
    remove_role(admin, role=role)
    assert not Role.objects.filter(slug="clerk").exists()


def test_the_built_in_role_stays():
    with pytest.raises(ConflictError):
        remove_role(make_admin(), role=Role.objects.get(slug="administrator"))


def test_a_queue_goes():
    queue = make_queue()
    remove_queue(make_admin(), queue=queue)
    assert not Queue.objects.exists()


def test_only_managers_remove():
    unit, queue, role = make_unit(), make_queue(), make_role()
    for actor in (make_user(), make_agent().user, make_holder("access.manage_access", unit=make_unit())):
        for remove, what in (
            (remove_unit, {"unit": unit}),
            (remove_queue, {"queue": queue}),
            (remove_role, {"role": role}),
        ):
            with pytest.raises(NotAllowedError):
                remove(actor, **what)
    assert BusinessUnit.objects.filter(pk=unit.pk).exists()
    assert Queue.objects.filter(pk=queue.pk).exists()
    assert not Entry.objects.filter(name__endswith=".removed").exists()
