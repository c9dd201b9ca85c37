"""The agents that want looking at, and why."""

from datetime import timedelta
from typing import Any

import pytest

from apps.agents.models import Action, Agent, AgentCredential
from apps.connectors.models import OperationPermission
from apps.console.selectors.inventory import inventory_for, reasons_of
from apps.core.models import ClockTimestamp, User
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_action, make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
VIEW, MANAGE = "agents.view_agent", "agents.manage_agent"
OLD = ClockTimestamp() - timedelta(days=91)


@pytest.fixture
def agent() -> Agent:
    """An agent that wants no looking at, old as it is: it works, is owned, its key lasts."""
    agent = make_agent()
    grant(agent.owner, make_role(VIEW, MANAGE), agent.unit)
    make_key_for(agent)
    make_action(agent=agent)
    Agent.objects.filter(pk=agent.pk).update(created_at=OLD)
    return agent


def why(agent: Agent) -> list[str]:
    found = inventory_for(make_admin()).get(pk=agent.pk)
    reasons = [reason.value for reason in reasons_of(found)]
    for reason in ("unused", "ownerless", "unmanaged", "expiring", "over_privileged"):
        is_listed = inventory_for(make_admin(), stale=reason).filter(pk=agent.pk).exists()
        assert is_listed == (reason in reasons), reason
    return reasons


def test_nothing_is_said_of_who_works_and_is_owned(agent: Agent) -> None:
    assert why(agent) == []


class TestUnused:
    def test_who_asked_for_nothing_in_90_days(self, agent: Agent) -> None:
        Action.objects.update(created_at=OLD)
        assert why(agent) == ["unused"]

    def test_who_calls_is_used(self, agent: Agent) -> None:
        Action.objects.update(created_at=OLD)
        AgentCredential.objects.update(last_used_at=ClockTimestamp())
        assert why(agent) == []

    def test_who_is_new_or_retired_is_not(self, agent: Agent) -> None:
        Action.objects.update(created_at=OLD)
        Agent.objects.filter(pk=agent.pk).update(created_at=ClockTimestamp())
        assert why(agent) == []
        Agent.objects.filter(pk=agent.pk).update(created_at=OLD, state="retired")
        assert why(agent) == []


class TestOwnerless:
    def test_whose_owner_left(self, agent: Agent) -> None:
        User.objects.filter(pk=agent.owner.pk).update(is_active=False)
        assert why(agent) == ["ownerless"]

    def test_whose_owner_has_no_part_in_the_unit(self, agent: Agent) -> None:
        stranger = make_holder(VIEW, unit=make_unit())
        Agent.objects.filter(pk=agent.pk).update(owner=stranger)
        assert why(agent) == ["ownerless"]
        grant(stranger, make_role(VIEW), until=ClockTimestamp() - timedelta(days=1))
        assert why(agent) == ["ownerless"]

    @pytest.mark.parametrize("where", ["above", "everywhere"])
    def test_a_role_above_is_a_part(self, agent: Agent, where: str) -> None:
        above = make_unit()
        agent.unit.parent = above
        agent.unit.save()
        owner = make_holder(VIEW, MANAGE, unit=above) if where == "above" else make_holder(VIEW, MANAGE)
        Agent.objects.filter(pk=agent.pk).update(owner=owner)
        assert why(agent) == []


class TestUnmanaged:
    def test_whose_owner_may_not_manage_it_there(self, agent: Agent) -> None:
        owner = make_holder(VIEW, unit=agent.unit)
        Agent.objects.filter(pk=agent.pk).update(owner=owner)
        assert why(agent) == ["unmanaged"]
        grant(owner, make_role(MANAGE), make_unit())
        assert why(agent) == ["unmanaged"]
        grant(owner, make_role(MANAGE), agent.unit, until=ClockTimestamp() - timedelta(days=1))
        assert why(agent) == ["unmanaged"]
        grant(owner, make_role(MANAGE), agent.unit)
        assert why(agent) == []

    def test_the_list_names_it_and_says_what_to_do(self, agent: Agent, client: Any) -> None:
        Agent.objects.filter(pk=agent.pk).update(owner=make_holder(VIEW, unit=agent.unit))
        client.force_login(make_admin())
        page = " ".join(client.get("/agents/?stale=unmanaged").content.decode().split())
        assert agent.name in page
        assert "Owner cannot manage it" in page
        assert "give them a role" in page


class TestExpiring:
    def test_whose_last_key_ends_soon(self, agent: Agent) -> None:
        AgentCredential.objects.update(expires_at=ClockTimestamp() + timedelta(days=13))
        assert why(agent) == ["expiring"]
        make_key_for(agent)
        assert why(agent) == []

    @pytest.mark.parametrize(("days", "expected"), [(-1, []), (13, ["expiring"]), (15, [])])
    def test_whose_permission_ends_soon(self, agent: Agent, days: int, expected: list[str]) -> None:
        permit(agent.user, make_operation())
        OperationPermission.objects.update(until=ClockTimestamp() + timedelta(days=days))
        assert why(agent) == expected


class TestOverPrivileged:
    def test_who_did_not_use_what_it_had_for_90_days(self, agent: Agent) -> None:
        operation = make_operation(slug="bank.refund")
        permit(agent.user, operation)
        assert why(agent) == []
        OperationPermission.objects.update(granted_at=OLD)
        assert why(agent) == ["over_privileged"]
        make_action(agent=agent, operation="bank.refund")
        assert why(agent) == []


class TestWhereItIsShown:
    def test_on_the_page_by_its_address(self, agent: Agent, client: Any) -> None:
        other = make_agent(name="Nobody's own")
        client.force_login(make_admin())
        Action.objects.update(created_at=OLD)
        page = client.get("/agents/?stale=unused").content.decode()
        assert agent.name in page
        assert "own key in 90 days" not in page
        assert "Asked for nothing and used no key in 90 days" in page
        assert f"/agents/{other.slug}/" not in page
        assert "No agent fits" in client.get("/agents/?stale=over_privileged").content.decode()

    def test_a_long_list_goes_on_behind_the_page(self, client: Any, django_assert_max_num_queries: Any) -> None:
        unit, owner = make_unit(), make_user()
        for number in range(55):
            make_agent(slug=f"a{number:02}", unit=unit, owner=owner)
        client.force_login(make_admin())
        with django_assert_max_num_queries(25):
            page = client.get("/agents/").content.decode()
        assert "/agents/a49/" in page
        assert "/agents/a50/" not in page

    def test_over_http(self, agent: Agent) -> None:
        Action.objects.update(created_at=OLD)
        client = caller(make_holder(VIEW, unit=agent.unit))
        make_agent()
        [line] = client.get("/api/v1/inventory/?stale=unused").json()["results"]
        assert (line["agent"], line["stale"], line["owner"]) == (agent.slug, ["unused"], agent.owner.username)
        assert client.get("/api/v1/inventory/?stale=odd").status_code == 422
        assert caller(make_user()).get("/api/v1/inventory/").status_code == 403
