"""The tests that are stored with an agent, over the API: whoever manages it writes them, nobody else."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.agents.models import Agent, AgentCase
from apps.audit.models import Entry
from apps.core.models import User
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule

pytestmark = pytest.mark.django_db
MANAGE, VIEW = "agents.manage_agent", "agents.view_agent"


class Door:
    """Somebody at the tests of one agent."""

    def __init__(self, user: User, agent: Agent, key: str = "") -> None:
        self.client = Client(headers={"Authorization": f"Bearer {key or create_token(user, user=user)}"})
        self.path = f"/api/v1/agents/{agent.slug}/tests/"

    def ask(self, method: str, more: str = "", body: Any = None) -> tuple[int, Any]:
        raw = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = getattr(self.client, method)(f"{self.path}{more}", **raw)
        return answer.status_code, answer.json() if answer.content else None


@pytest.fixture
def agent() -> Agent:
    return make_agent(unit=make_unit())


@pytest.fixture
def guardian(agent: Agent) -> Door:
    return Door(make_holder(MANAGE, VIEW, unit=agent.unit), agent)


def said(**more: Any) -> dict[str, Any]:
    return {"name": "Small", "operation": "bank.pay", "parameters": {"amount_minor": 1}, "expect": "allow", **more}


def test_who_manages_the_agent_stores_changes_and_takes_tests_away(agent: Agent, guardian: Door) -> None:
    status, made = guardian.ask("post", "", said())
    assert (status, {name: made[name] for name in said()}) == (201, said())
    assert guardian.ask("get", f"{made['id']}/")[1] == made
    assert guardian.ask("post", "", said(name=" Small "))[0] == 422
    changed = said(name="Large", expect="deny")
    status, other = guardian.ask("put", f"{made['id']}/", changed)
    assert (status, other["id"], other["name"], other["expect"]) == (200, made["id"], "Large", "deny")
    guardian.ask("post", "", said(name="Third"))
    assert guardian.ask("put", f"{made['id']}/", said(name="Third"))[1]["errors"]["name"] == [
        "Another test has this name."
    ]
    assert [line["name"] for line in guardian.ask("get")[1]["results"]] == ["Third", "Large"]
    assert guardian.ask("get", "?what=1")[0] == 422
    assert guardian.ask("delete", f"{made['id']}/") == (204, None)
    assert guardian.ask("delete", f"{made['id']}/")[0] == 404
    assert Entry.objects.filter(name="agent.tests_changed").count() == 4


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"expect": "perhaps"}, "expect"),
        ({"parameters": []}, "parameters"),
        ({"name": ""}, "name"),
        ({"more": 1}, "more"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_stores_nothing(
    agent: Agent, guardian: Door, wrong: dict[str, Any], field: str
) -> None:
    status, told = guardian.ask("post", "", said(**wrong))
    assert (status, list(told["errors"])) == (422, [field])
    assert not AgentCase.objects.exists()


def test_they_are_run_by_who_manages_it_and_nothing_runs(agent: Agent, guardian: Door) -> None:
    operation = make_operation()
    permit(agent.user, operation)
    make_policy(make_rule(slug="small", when="action.amount_minor < 100"), unit=agent.unit, slug="pay")
    payment = {"amount_minor": 5, "currency": "EUR", "iban": "DE0017"}
    guardian.ask("post", "", said(operation=operation.slug, parameters=payment))
    guardian.ask("post", "", said(name="Large", operation=operation.slug, parameters={**payment, "amount_minor": 500}))
    before = Entry.objects.count()
    status, told = guardian.ask("post", "run/")
    results = {line["name"]: (line["passed"], line["got"]) for line in told["results"]}
    assert (status, told["broken"], results) == (200, 1, {"Small": (True, "allow"), "Large": (False, "deny")})
    assert Entry.objects.count() == before


def test_others_read_at_most_and_an_agent_writes_none(agent: Agent, guardian: Door) -> None:
    made = guardian.ask("post", "", said())[1]["id"]
    reader = Door(make_holder(VIEW, unit=agent.unit), agent)
    stranger = Door(make_holder(VIEW, MANAGE, unit=make_unit()), agent)
    itself = Door(agent.user, agent, make_key_for(agent))
    assert (reader.ask("get")[0], stranger.ask("get")[0]) == (200, 404)
    for who in (reader, stranger, itself):
        answers = [
            who.ask("post", "", said(name="Mine"))[0],
            who.ask("put", f"{made}/", said(name="Mine"))[0],
            who.ask("delete", f"{made}/")[0],
            who.ask("post", "run/")[0],
        ]
        assert set(answers) <= {403, 404}, answers
    other = make_agent(unit=agent.unit)
    assert Door(make_holder(MANAGE, VIEW, unit=agent.unit), other).ask("get", f"{made}/")[0] == 404
    assert [case.name for case in AgentCase.objects.all()] == ["Small"]


def test_a_retired_agent_keeps_its_tests(agent: Agent, guardian: Door) -> None:
    made = guardian.ask("post", "", said())[1]["id"]
    Agent.objects.update(state="retired")
    assert guardian.ask("put", f"{made}/", said(name="Else"))[0] == 409
    assert guardian.ask("delete", f"{made}/")[0] == 409
    assert AgentCase.objects.get().name == "Small"
