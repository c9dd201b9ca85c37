"""Versions of agents compared by what was said of their actions: the same operations in the same units, or nothing."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import ActionFact
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-10-01&to=2026-12-01"


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def act(
    version: int | None,
    n: int,
    wrong: int,
    *,
    operation: str = "pay",
    unit: UUID | None = None,
    agent: str = "payer",
) -> None:
    """Actions that people decided on, ``wrong`` of them otherwise than asked."""
    ActionFact.objects.bulk_create(
        ActionFact(
            action_id=uuid4(),
            agent=agent,
            agent_version=version,
            operation=operation,
            state="succeeded",
            ended_at=NOON - timedelta(days=at % 20),
            decided=at >= wrong,
            unit=unit,
        )
        for at in range(n)
    )


def asked(user: User, query: str = f"agent=payer&{PERIOD}", path: str = "agent-versions") -> Any:
    token = create_token(user, user=user, days=1)
    return Client().get(f"/api/v1/kpis/{path}/?{query}", headers={"Authorization": f"Bearer {token}"})


def page(user: User, query: str = PERIOD, slug: str = "payer") -> Any:
    client = Client()
    client.force_login(user)
    return client.get(f"/dashboards/agents/{slug}/versions/?{query}")


def test_a_version_that_is_right_more_often_is_better_and_its_actions_are_behind_it(executive: User) -> None:
    act(1, 600, 120)
    act(2, 600, 30)
    act(None, 50, 50)
    act(2, 400, 400, agent="other")
    found = asked(executive).json()
    assert (found["version"], found["against"]) == (2, 1)
    accuracy = found["figures"]["accuracy"]
    assert accuracy["outcome"] == "better"
    assert (accuracy["now"]["value"], accuracy["was"]["value"]) == (0.95, 0.8)
    assert accuracy["difference"]["value"] == pytest.approx(0.15)
    assert found["figures"]["accuracy_reviewed"]["outcome"] == "too_few"
    assert found["mix"] == [{"operation": "pay", "unit": "No unit", "now": 600, "was": 600, "compared": True}]
    behind = asked(executive, f"agent=payer&agent_version=2&{PERIOD}&limit=1000", "accuracy/runs")
    assert behind.status_code == 422  # no such parameter: pages are of one size
    text = page(executive).content.decode()
    assert "Better: Accuracy of agents" in text
    assert "Actions that name no version are in neither." in text
    assert "agent_version=2" in text


def test_every_number_leads_to_its_actions_alone(executive: User) -> None:
    act(1, 40, 8)
    act(2, 40, 2)
    behind = asked(executive, f"agent=payer&agent_version=1&{PERIOD}", "accuracy/runs").json()
    assert len(behind["results"]) == 32
    client = Client()
    client.force_login(executive)
    listed = client.get(f"/dashboards/overview/accuracy/?agent=payer&agent_version=2&{PERIOD}").content.decode()
    assert listed.count('<th scope="row">') == 38
    assert "payer v2" in listed
    assert "/dashboards/agents/payer/versions/" in listed


def test_harder_work_is_no_worse_version(executive: User) -> None:
    """The newer was given mostly what is hard: on each operation it is as right as before."""
    act(1, 540, 11, operation="easy")
    act(1, 60, 30, operation="hard")
    act(2, 60, 1, operation="easy")
    act(2, 540, 270, operation="hard")
    found = asked(executive).json()
    accuracy = found["figures"]["accuracy"]
    assert accuracy["now"]["value"] < accuracy["was"]["value"] - 0.3
    assert accuracy["outcome"] in {"unclear", "too_few"}
    assert found["mix_moved"] == pytest.approx(0.8)


def test_what_only_one_of_them_did_is_left_out_and_said(executive: User) -> None:
    act(1, 100, 10)
    act(2, 100, 10)
    act(2, 30, 0, operation="new")
    found = asked(executive).json()
    assert found["left_out"] == 30
    assert [one["compared"] for one in found["mix"]] == [True, False]
    assert "30 actions are of operations and units that only one of them had" in page(executive).content.decode()


def test_only_units_of_the_reader_count() -> None:
    mine, other = make_unit(), make_unit()
    act(1, 50, 5, unit=mine.pk)
    act(2, 50, 5, unit=mine.pk)
    act(2, 500, 500, unit=other.pk)
    reader = make_holder("kpis.view_kpi", unit=mine)
    assert asked(reader).json()["figures"]["accuracy"]["now"]["n"] == 50
    stranger = make_holder("kpis.view_kpi", unit=make_unit())
    assert page(stranger).status_code == 404
    assert asked(make_holder(unit=mine)).status_code == 403


def test_an_agent_that_did_nothing_yet_has_an_empty_page(executive: User) -> None:
    agent = make_agent()
    reader = make_holder("kpis.view_kpi", "agents.view_agent", unit=agent.unit)
    answer = page(reader, slug=agent.slug)
    assert answer.status_code == 200
    assert "Actions and tasks of fewer than two versions ended in it." in answer.content.decode()
    assert page(reader, slug="nobody").status_code == 404


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("agent-versions", PERIOD, "agent"),
        ("agent-versions", f"agent=payer&version=1&against=1&{PERIOD}", "against"),
        ("agent-versions", f"agent=payer&{PERIOD}", "version"),
        ("agent-versions", f"agent=payer&against=x&{PERIOD}", "against"),
        ("accuracy/runs", f"agent_version=1&{PERIOD}", "agent_version"),
        ("accuracy/runs", f"agent=payer&agent_version=²&{PERIOD}", "agent_version"),
        ("error_rate/runs", f"agent=payer&agent_version=1&{PERIOD}", "agent_version"),
    ],
)
def test_what_cannot_be_compared_says_why(executive: User, path: str, query: str, field: str) -> None:
    make_agent(slug="payer")
    answer = asked(executive, query, path)
    assert answer.status_code == 422
    assert answer.json()["errors"].keys() == {field}


def test_figures_that_know_no_version_of_agents_do_not_pretend(executive: User) -> None:
    make_agent(slug="payer")
    client = Client()
    client.force_login(executive)
    answer = client.get(f"/dashboards/overview/?agent=payer&agent_version=1&{PERIOD}")
    assert answer.status_code == 422
    assert "Only figures of actions know the agent" in answer.content.decode()
