"""What somebody who manages one unit might reach in another: nothing."""

import pytest

from apps.access.models import BusinessUnit, Queue
from apps.access.services import save_queue, save_unit
from apps.core.errors import NotAllowedError
from tests.factories.access import make_admin, make_holder, make_queue, make_role, make_unit

pytestmark = pytest.mark.django_db
MANAGE = "access.manage_access"


def test_a_queue_of_another_unit_cannot_be_taken_over():
    theirs, mine = make_queue(slug="finance-approvals"), make_unit()
    manager = make_holder(MANAGE, unit=mine)
    with pytest.raises(NotAllowedError):
        save_queue(manager, slug="finance-approvals", unit=mine, role=make_role("oversight.decide_escalation"))
    now = Queue.objects.get(slug="finance-approvals")
    assert (now.unit_id, now.role_id) == (theirs.unit_id, theirs.role_id)


def test_a_unit_leaves_its_parent_only_by_those_who_manage_both_parents():
    group, other = make_unit(slug="group"), make_unit(slug="other")
    unit = make_unit(slug="sub", parent=group)
    manager = make_holder(MANAGE, unit=unit)
    for parent in (None, other):
        with pytest.raises(NotAllowedError):
            save_unit(manager, slug="sub", name="Sub", parent=parent)
    assert BusinessUnit.objects.get(slug="sub").parent_id == group.pk
    assert save_unit(manager, slug="sub", name="Renamed", parent=group)[1] == "changed"
    assert save_unit(make_admin(), slug="sub", name="Renamed", parent=other)[1] == "changed"
