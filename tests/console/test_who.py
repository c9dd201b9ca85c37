"""Who may, and why: by role and by permission, and nothing for those who manage no access."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.access.models import RoleGrant
from apps.connectors.models import OperationPermission
from apps.console.selectors import who
from apps.core.gate import holds
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from tests.factories.access import grant, make_admin, make_holder, make_role, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.workflows import make_workflow, permit_workflow
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
DECIDE, USE, ACCESS = "oversight.decide_escalation", "connectors.use_operation", "access.manage_access"


def ask(person: User, what: str = "who", **asked: str) -> Any:
    return caller(person).get(f"/api/v1/access/{what}/", asked)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return sorted(row["who"] for row in answer.json()["results"])


class TestWho:
    def test_everybody_by_a_role_there_above_or_everywhere(self) -> None:
        top = make_unit()
        below = make_unit(parent=top)
        here, above, everywhere = (make_holder(DECIDE, unit=unit) for unit in (below, top, None))
        make_holder(DECIDE, unit=make_unit())  # elsewhere
        make_holder("kpis.view_kpi", unit=below)  # something else
        gone, left, ended = (make_holder(DECIDE, unit=below) for _ in range(3))
        RoleGrant.objects.filter(user=gone).update(revoked_at=ClockTimestamp())
        User.objects.filter(pk=left.pk).update(is_active=False)
        RoleGrant.objects.filter(user=ended).update(until=ClockTimestamp() - timedelta(seconds=1))
        found = ask(make_admin(), permission=DECIDE, unit=below.slug)
        assert names(found) == sorted(person.username for person in (here, above, everywhere))
        assert found.json()["hidden"] == 0
        assert names(ask(make_admin(), permission=DECIDE)) == [everywhere.username]
        for person in (here, above, everywhere, gone, left, ended):  # the gate says the same
            person.refresh_from_db()
            listed = person.username in names(found)
            assert listed == holds(person, DECIDE, below)

    def test_each_with_its_reason(self) -> None:
        unit, giver, until = make_unit(), make_admin(), ClockTimestamp() + timedelta(days=3)
        person = make_user()
        held = grant(person, make_role(DECIDE), unit, until=until)
        RoleGrant.objects.filter(pk=held.pk).update(granted_by=giver)
        held.refresh_from_db()
        (row,) = ask(make_admin(), permission=DECIDE, unit=unit.slug).json()["results"]
        assert (row["role"], row["unit"], row["granted_by"]) == (held.role.name, unit.name, str(giver))
        assert row["until"] is not None

    def test_agents_by_their_own_permission(self) -> None:
        operation, agent = make_operation(), make_agent(state="suspended")
        permit(agent.user, operation, ["iban"], reason="To look.", limit_minor=500, limit_currency="EUR")
        gone, retired = make_agent(), make_agent(state="retired")
        permit(gone.user, operation, until=ClockTimestamp() - timedelta(seconds=1))
        permit(retired.user, operation)
        person = make_holder(USE)
        found = ask(make_admin(), permission=USE, operation=operation.slug).json()
        rows = {row["who"]: row for row in found["results"] if row["agent"] or row["who"] == person.username}
        assert set(rows) == {agent.user.username, person.username}
        mine = rows[agent.user.username]
        assert (mine["role"], mine["fields"], mine["limit"], mine["reason"]) == (None, ["iban"], "5.00 EUR", "To look.")
        assert (mine["agent"], mine["name"], mine["state"]) == (agent.slug, agent.name, "suspended")

    def test_workflows_by_theirs(self, client: Client) -> None:
        operation = make_operation()
        permit(system_user("workflow:order"), operation)
        asked = {"permission": USE, "operation": operation.slug}
        person = make_holder("access.manage_access", "connectors.manage_connector")
        found = ask(person, **asked).json()
        assert (names(ask(person, **asked)), found["may"]) == (["workflow:order"], True)
        client.force_login(person)
        page = client.get("/access/who/", asked).content.decode()
        assert "Nobody may" not in page
        assert "/access/people/workflow:order/" not in page

    def test_of_many_it_says_how_many_more(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        unit = make_unit()
        for _ in range(3):
            make_holder(DECIDE, unit=unit)
        monkeypatch.setattr(who, "MOST", 2)
        admin = make_admin()
        found = ask(admin, permission=DECIDE, unit=unit.slug).json()
        assert (len(found["results"]), found["more"], found["hidden"]) == (2, 1, 0)
        client.force_login(admin)
        page = client.get("/access/who/", {"permission": DECIDE, "unit": unit.slug}).content.decode()
        assert "1 more is not listed" in page

    def test_on_a_workflow(self) -> None:
        workflow, agent = make_workflow({"steps": {"check": {"agent": "order.check"}}}), make_agent()
        permit_workflow(agent, workflow)
        found = ask(make_admin(), permission="workflows.work_workflow", workflow=workflow.slug)
        assert agent.user.username in names(found)


class TestWhatIsNotTold:
    def test_who_manages_no_access_is_told_nothing(self, client: Client) -> None:
        unit = make_unit()
        for perm in (DECIDE, "agents.manage_agent", "audit.view_entry"):
            person = make_holder(perm, unit=unit)
            assert ask(person, permission=DECIDE, unit=unit.slug).status_code == 403
            assert ask(person, "why", permission=DECIDE, unit=unit.slug, who=person.username).status_code == 403
            client.force_login(person)
            assert client.get("/access/who/", {"permission": DECIDE, "unit": unit.slug}).status_code == 403

    def test_of_what_was_given_above_only_how_many(self, client: Client) -> None:
        top = make_unit()
        below = make_unit(parent=top)
        manager = make_holder(ACCESS, unit=below)
        here, above = make_holder(DECIDE, unit=below), make_holder(DECIDE, unit=top)
        found = ask(manager, permission=DECIDE, unit=below.slug)
        assert names(found) == [here.username]
        assert found.json()["hidden"] == 1
        assert above.username not in found.content.decode()
        client.force_login(manager)
        page = client.get("/access/who/", {"permission": DECIDE, "unit": below.slug}).content.decode()
        assert "1 more way was given above what you manage" in page
        assert str(above) not in page

    def test_of_agents_that_one_does_not_see_only_how_many(self) -> None:
        unit = make_unit()
        operation = make_operation(connector=make_connector(unit=unit))
        agent = make_agent()
        permit(agent.user, operation)
        manager = make_holder(ACCESS, "connectors.manage_connector", unit=unit)
        found = ask(manager, permission=USE, operation=operation.slug)
        assert names(found) == []
        assert (found.json()["hidden"], found.json()["may"]) == (1, True)

    def test_another_unit_is_not_there(self) -> None:
        manager = make_holder(ACCESS, unit=make_unit())
        other = make_unit()
        for slug in (other.slug, "no-such-unit"):
            refused = ask(manager, permission=DECIDE, unit=slug)
            assert (refused.status_code, list(refused.json()["errors"])) == (422, ["unit"])
        stranger = make_holder(DECIDE, unit=other)
        assert ask(manager, "why", permission=DECIDE, who=stranger.username).status_code == 404


class TestWhy:
    def test_all_of_somebody_s_reasons(self) -> None:
        unit = make_unit()
        person = make_holder(DECIDE, unit=unit)
        grant(person, make_role(DECIDE, name="Second"), None)
        found = ask(make_admin(), "why", permission=DECIDE, unit=unit.slug, who=person.username).json()
        assert found["may"] is True
        assert len(found["results"]) == 2
        assert "Second" in {row["role"] for row in found["results"]}

    def test_who_may_not_has_none(self) -> None:
        person = make_holder("kpis.view_kpi")
        found = ask(make_admin(), "why", permission=DECIDE, who=person.username).json()
        assert (found["may"], found["results"], found["hidden"]) == (False, [], 0)

    def test_of_an_agent_by_its_slug(self) -> None:
        operation, agent = make_operation(), make_agent()
        asked = {"permission": USE, "operation": operation.slug, "who": agent.slug}
        assert ask(make_admin(), "why", **asked).json()["may"] is False
        held = permit(agent.user, operation)
        assert ask(make_admin(), "why", **asked).json()["may"] is True
        OperationPermission.objects.filter(pk=held.pk).delete()
        assert ask(make_admin(), "why", **asked).json()["may"] is False


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        ({}, "permission"),
        ({"permission": "agents.fly"}, "permission"),
        ({"permission": DECIDE, "unit": "a", "workflow": "b"}, "unit"),
        ({"permission": DECIDE, "operation": "a.b"}, "operation"),
        ({"permission": USE, "operation": "no.such"}, "operation"),
        ({"permission": USE, "colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_named(asked: dict[str, str], at: str) -> None:
    refused = ask(make_admin(), **asked)
    assert (refused.status_code, list(refused.json()["errors"])) == (422, [at])


def test_the_page_asks_and_answers(client: Client) -> None:
    client.force_login(make_admin())
    unit = make_unit()
    assert client.get("/access/who/").status_code == 200
    assert "Nobody may" in client.get("/access/who/", {"permission": DECIDE, "unit": unit.slug}).content.decode()
    person = make_holder(DECIDE, unit=unit)
    page = client.get("/access/who/", {"permission": DECIDE, "unit": unit.slug}).content.decode()
    assert str(person) in page
    assert client.get("/access/who/", {"permission": "agents.fly"}).status_code == 422
