"""A policy is published while people decide."""

import pytest

from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.connectors.models import OperationPermission
from apps.core.errors import ConflictError
from apps.oversight.models import Grant, Vote
from apps.oversight.services import reweigh_pending
from apps.policies.models import Policy
from tests.factories.access import grant, make_approver, make_queue, make_role
from tests.factories.oversight import make_payment, nothing_happens, say
from tests.factories.policies import make_policy, make_retired, make_rule

pytestmark = pytest.mark.django_db


def publish(payment, **rule):
    """One more rule on the payment's operation, in force at once."""
    make_policy(make_rule(scope={"operations": [payment.operation.slug]}, **rule), unit=payment.unit)


def test_nothing_new_nothing_happens():
    make_payment()
    with nothing_happens():
        assert reweigh_pending() == 0


def test_a_stricter_release_joins_its_demands_and_voids_what_was_voted():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    board = make_queue()
    publish(payment, when="true", effect="require_approval", queue=board.slug)
    assert reweigh_pending() == 1
    item = payment.now()
    assert (item.state, item.version) == ("pending", 2)
    assert {group.queue: group.needed for group in item.group_list()} == {payment.queue: 2, board: 1}
    assert not Vote.objects.filter(voided_at=None).exists()
    assert payment.action_now().release_number == item.release
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ben, payment.item, version=1)
    assert caught.value.code == "stale"
    with nothing_happens():
        assert reweigh_pending() == 0
    director = make_approver(board)
    grant(director, make_role("oversight.view_escalation", "oversight.decide_escalation"), payment.unit)
    for person in (payment.ada, payment.ben, director):
        found = say(person, payment.item)
    assert found.state == "approved"


def test_a_release_that_denies_invalidates_and_says_why():
    payment = make_payment()
    publish(payment, when="true", effect="deny", message="Not this month.")
    assert reweigh_pending() == 1
    item = payment.now()
    assert (item.state, item.reason, item.decided_by) == ("invalidated", "denied_by_policy", None)
    assert payment.action_now().state == ActionState.DENIED
    assert payment.action_now().verdict["effect"] == "deny"
    assert not Grant.objects.exists()
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        say(payment.ada, payment.item, version=1)
    assert (caught.value.code, caught.value.members["why"]) == ("invalidated", "denied_by_policy")


def test_a_milder_release_loosens_nothing():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    publish(payment, when="true", effect="flag")
    assert reweigh_pending() == 1
    item = payment.now()
    assert (item.state, item.version, item.quorum_needed) == ("pending", 1, 2)
    assert Vote.objects.filter(voided_at=None).count() == 1
    assert not Entry.objects.filter(name="escalation.reweighed").exists()
    assert say(payment.ben, payment.item).state == "approved"


def test_what_no_longer_needs_anybody_is_told_and_never_runs_by_itself():
    payment = make_payment()
    publish(payment, when="true", effect="allow")
    reweigh_pending()
    first = Policy.objects.order_by("id").first()
    make_retired(first)
    assert reweigh_pending() == 1
    assert payment.now().state == "pending"
    assert payment.action_now().state == ActionState.PENDING_APPROVAL
    assert Entry.objects.filter(name="escalation.no_longer_required").count() == 1
    assert not Grant.objects.exists()


def test_a_permission_that_is_gone_invalidates():
    payment = make_payment()
    OperationPermission.objects.all().delete()
    publish(payment, when="true", effect="flag")
    assert reweigh_pending() == 1
    assert (payment.now().state, payment.now().reason) == ("invalidated", "permission_gone")
    assert payment.action_now().state == ActionState.DENIED


def test_a_quarantine_invalidates_and_says_so():
    payment = make_payment()
    payment.operation.state = "quarantined"
    payment.operation.save(update_fields=["state"])
    publish(payment, when="true", effect="flag")
    assert reweigh_pending() == 1
    assert (payment.now().state, payment.now().reason) == ("invalidated", "operation_quarantined")


def test_parameters_that_no_longer_fit_invalidate():
    payment = make_payment()
    payment.operation.parameters = {"type": "object", "required": ["cost_center"], "properties": {}}
    payment.operation.save(update_fields=["parameters"])
    publish(payment, when="true", effect="flag")
    assert reweigh_pending() == 1
    assert (payment.now().state, payment.now().reason) == ("invalidated", "parameters_no_longer_fit")


def test_what_waits_is_no_part_of_its_own_history():
    payment = make_payment()
    publish(payment, when=f"history.count('{payment.operation.slug}', '1d', 'agent') > 0", effect="deny")
    assert reweigh_pending() == 1
    assert (payment.now().state, payment.action_now().state) == ("pending", ActionState.PENDING_APPROVAL)
