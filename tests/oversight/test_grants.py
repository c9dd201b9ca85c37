"""Grants: bound to a digest, used once, for a time."""

import pytest
from django.db import IntegrityError, transaction

from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.oversight.models import Grant
from apps.oversight.selectors import grant_of_action
from apps.oversight.services import consume_grant, expire_grants, release_grant, revoke_grants
from tests.factories.agents import make_action
from tests.factories.oversight import make_payment, nothing_happens, say

pytestmark = pytest.mark.django_db


def approved(**fields):
    payment = make_payment(**fields)
    say(payment.ada, payment.item)
    return payment, payment.action_now()


def refused(action, digest=None):
    with nothing_happens(), pytest.raises(ConflictError) as caught:
        consume_grant(action.principal, action=action, digest=digest or action.digest)
    return caught.value.code


def test_a_grant_is_used_once():
    payment, action = approved()
    used = consume_grant(payment.agent.user, action=action, digest=action.digest)
    assert used.consumed_at is not None
    assert Entry.objects.get(name="grant.consumed").actor == payment.agent.user
    assert refused(action) == "already_consumed"
    assert refused(action, "sha256:other") == "already_consumed"


def test_a_grant_holds_for_its_digest_alone():
    _, action = approved()
    assert refused(action, "sha256:other") == "binding_mismatch"
    assert Grant.objects.get().state == "live"


def test_a_grant_that_is_over_is_refused_before_any_sweep():
    _, action = approved()
    Grant.objects.update(expires_at=ClockTimestamp())
    assert refused(action) == "expired"


def test_without_a_grant_nothing_is_used():
    assert refused(make_action()) == "invalid_state"


def test_a_revoked_grant_is_refused():
    _, action = approved()
    assert revoke_grants(system_user("plane"), action=action, why="policy") == 1
    assert refused(action) == "invalid_state"
    assert grant_of_action(action.principal, action) is None
    with nothing_happens():
        assert revoke_grants(system_user("plane"), action=action, why="policy") == 0


def test_an_agent_that_did_not_carry_out_in_time_loses_its_action():
    payment, action = approved(execution="agent")
    assert grant_of_action(payment.agent.user, action).digest == action.digest
    Grant.objects.update(expires_at=ClockTimestamp())
    assert expire_grants() == 1
    assert Grant.objects.get().state == "expired"
    assert payment.action_now().state == ActionState.EXPIRED
    assert refused(action) == "expired"
    assert expire_grants() == 0


def test_what_the_plane_carries_out_is_left_to_its_claim():
    payment, _ = approved()
    Grant.objects.update(expires_at=ClockTimestamp())
    assert expire_grants() == 1
    assert payment.action_now().state == ActionState.APPROVED


def test_one_live_grant_per_action_is_the_database_s_rule():
    _, action = approved()
    with pytest.raises(IntegrityError, match="grant_live_once"), transaction.atomic():
        release_grant(system_user("plane"), action=action)
