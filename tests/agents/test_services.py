"""Agents, their keys and their lives."""

from datetime import UTC, datetime

import pytest

from apps.agents.models import Agent, AgentCredential
from apps.agents.services import (
    authenticate_agent,
    change_state,
    create_credential,
    revoke_credential,
    save_agent,
    save_version,
)
from apps.audit.models import Entry
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotAuthenticatedError
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for

pytestmark = pytest.mark.django_db
MANAGE = "agents.manage_agent"


def test_a_new_agent_is_a_draft_with_a_principal_and_an_owner():
    agent, outcome = save_agent(make_admin(), slug="payer", name="Payer", unit=make_unit(), owner=make_admin())
    assert (agent.state, outcome, agent.user.kind) == ("draft", "created", "agent")
    assert Entry.objects.filter(name="agent.created").count() == 1


@pytest.mark.parametrize("who", ["stranger", "elsewhere", "agent"])
def test_nobody_makes_an_agent_where_they_do_not_manage(who):
    agent = make_agent().user
    grant(agent, make_role(MANAGE))
    actor = {"stranger": make_user(), "elsewhere": make_holder(MANAGE, unit=make_unit()), "agent": agent}[who]
    with pytest.raises(NotAllowedError):
        save_agent(actor, slug="payer", name="Payer", unit=make_unit(), owner=make_admin())
    assert not Agent.objects.filter(slug="payer").exists()


def test_an_agent_cannot_be_moved_into_a_unit_by_somebody_who_does_not_manage_its_present_one():
    agent, mine = make_agent(), make_unit()
    with pytest.raises(NotAllowedError):
        save_agent(make_holder(MANAGE, unit=mine), slug=agent.slug, name="Mine now", unit=mine, owner=make_user())
    agent.refresh_from_db()
    assert agent.unit != mine


def test_an_owner_is_an_active_person():
    for owner in (make_agent().user, make_user(is_active=False)):
        with pytest.raises(InvalidError):
            save_agent(make_admin(), slug="payer", name="Payer", unit=make_unit(), owner=owner)


def test_a_key_authenticates_until_it_is_revoked_and_its_use_then_is_recorded():
    agent, admin = make_agent(), make_admin()
    issued = create_credential(admin, agent=agent)
    assert authenticate_agent(issued.text).agent == agent
    assert issued.text.split("_")[3] not in str(list(Entry.objects.values_list("written__content__payload", flat=True)))
    revoke_credential(admin, credential=issued.credential)
    with pytest.raises(NotAuthenticatedError) as refusal:
        authenticate_agent(issued.text)
    assert refusal.value.code == "credential_revoked"
    assert Entry.objects.get(name="agentcredential.refused").payload["code"] == "credential_revoked"


def test_an_expired_key_says_so():
    text = make_key_for(make_agent(), expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(NotAuthenticatedError) as refusal:
        authenticate_agent(text)
    assert refusal.value.code == "credential_expired"


@pytest.mark.parametrize("text", ["", "acp_agt_", "acp_agt_a_b_c", "x" * 500, "acp_agt_" + "0" * 60])
def test_what_is_no_key_is_nobodys(text):
    with pytest.raises(NotAuthenticatedError) as refusal:
        authenticate_agent(text)
    assert refusal.value.code == "not_authenticated"


def test_at_most_two_keys_live_at_once():
    agent, admin = make_agent(), make_admin()
    create_credential(admin, agent=agent)
    create_credential(admin, agent=agent)
    with pytest.raises(ConflictError):
        create_credential(admin, agent=agent)
    assert AgentCredential.objects.count() == 2


def test_a_version_that_says_the_same_is_no_new_version():
    agent, admin = make_agent(), make_admin()
    version, outcome = save_version(admin, agent=agent, model="m1")
    assert (version.number, outcome) == (2, "created")
    assert save_version(admin, agent=agent, model="m1") == (version, "unchanged")
    agent.refresh_from_db()
    assert agent.version == version
    assert agent.versions.get(number=1).state == "superseded"


def test_suspending_needs_a_reason_and_moves_the_epoch():
    agent, admin = make_agent(), make_admin()
    with pytest.raises(InvalidError):
        change_state(admin, agent=agent, to="suspended")
    change_state(admin, agent=agent, to="suspended", reason="odd")
    agent.refresh_from_db()
    assert (agent.state, agent.epoch) == ("suspended", 2)


def test_a_retired_agent_stays_retired():
    agent, admin = make_agent(), make_admin()
    change_state(admin, agent=agent, to="retired", reason="done")
    with pytest.raises(ConflictError):
        change_state(admin, agent=agent, to="active", reason="again")
    with pytest.raises(ConflictError):
        create_credential(admin, agent=agent)
