"""The dry run of policies for people: composed above, judged here."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.connectors.models import Operation
from apps.core.errors import InvalidError
from apps.core.models import User
from apps.policies.services import check_policy, save_policy
from tests.factories.access import grant, make_admin, make_holder, make_queue, make_role, make_unit, make_user
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule

pytestmark = pytest.mark.django_db
VIEW = "policies.view_policy"
PARAMETERS = {"amount_minor": 250_000, "currency": "EUR", "iban": "DE00"}


@pytest.fixture
def world() -> tuple[Agent, Operation]:
    """An agent that may use an operation, and rules about it."""
    unit = make_unit()
    agent = make_agent(unit=unit)
    operation = make_operation()
    permit(agent.user, operation)
    queue = make_queue(unit=unit, name="Finance approvals")
    make_policy(
        make_rule(slug="small", when="action.amount_minor <= 100000", scope={"operations": [operation.slug]}),
        make_rule(slug="large", when="action.amount_minor > 100000", effect="require_approval", queue=queue.slug),
        unit=unit,
        slug="payments",
    )
    return agent, operation


def evaluate(who: User | str, **body: Any) -> Any:
    client = Client()
    headers = {}
    if isinstance(who, str):
        headers["Authorization"] = f"Bearer {who}"
    else:
        client.force_login(who, backend="allauth.account.auth_backends.AuthenticationBackend")
    data = json.dumps(body)
    return client.post("/api/v1/policies/evaluate/", data, content_type="application/json", headers=headers)


def test_tells_the_verdict_and_changes_nothing(world: tuple[Agent, Operation]) -> None:
    agent, operation = world
    entries = Entry.objects.count()
    viewer = make_holder(VIEW, unit=agent.unit)
    answer = evaluate(viewer, agent=agent.slug, operation=operation.slug, parameters=PARAMETERS)
    assert answer.status_code == 200, answer.json()
    found = answer.json()
    assert found["verdict"]["effect"] == "require_approval"
    assert [line["outcome"] for line in found["verdict"]["trace"]] == ["false", "true"]
    assert found["sentences"][0]["sentence"].startswith("One person of Finance approvals must approve")
    assert found["consequence"] == "Will pay 2,500.00 EUR to DE00."
    assert not Action.objects.exists()
    assert Entry.objects.count() == entries


def test_says_what_the_agent_itself_would_be_told(world: tuple[Agent, Operation]) -> None:
    agent, operation = world
    admin = make_admin()
    wrong = evaluate(admin, agent=agent.slug, operation=operation.slug, parameters={"amount_minor": "5"})
    assert wrong.status_code == 422
    other = evaluate(admin, agent=agent.slug, operation=make_operation().slug, parameters=PARAMETERS)
    assert other.status_code == 404


def test_is_for_people_who_see_the_policies_of_the_agents_unit(world: tuple[Agent, Operation]) -> None:
    agent, operation = world
    body = {"agent": agent.slug, "operation": operation.slug, "parameters": PARAMETERS}
    for stranger in (make_user(), make_holder(VIEW, unit=make_unit()), make_holder("agents.view_agent")):
        assert evaluate(stranger, **body).status_code == 404
    grant(agent.user, make_role(VIEW))
    assert evaluate(make_key_for(agent), **body).status_code == 403
    assert not Action.objects.exists()


def test_refuses_unknown_fields(world: tuple[Agent, Operation]) -> None:
    agent, operation = world
    body = {"agent": agent.slug, "operation": operation.slug, "parameters": PARAMETERS, "amount": 5}
    assert "amount" in evaluate(make_admin(), **body).json()["errors"]


class TestKnownOperations:
    """Rules may only name operations and parameters that there are, whoever writes them."""

    @pytest.fixture(autouse=True)
    def operations_are_known(self, settings: Any, operations_are_not_known: None) -> None:
        settings.POLICY_OPERATIONS = "apps.connectors.selectors.named.systems_named_for"

    def test_a_rule_about_an_operation_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(InvalidError) as refusal:
            save_policy(make_admin(), slug="p", name="P", rules=[make_rule(scope={"operations": ["bank.pray"]})])
        assert "rules.0.scope.operations" in refusal.value.errors

    def test_a_parameter_that_the_operation_does_not_have_is_found(self, world: tuple[Agent, Operation]) -> None:
        _, operation = world
        scope = {"operations": [operation.slug]}
        wrong, right = (
            make_rule(when=f"action.parameters.{name} == 'x'", effect="deny", scope=scope) for name in ("ibn", "iban")
        )
        assert [(found.line, found.column) for found in check_policy(make_user(), rules=[wrong])] == [(1, 18)]
        assert check_policy(make_user(), rules=[right]) == ()
