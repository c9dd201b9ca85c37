"""Filters that name nothing: said by name, by every door, and the same for what others have."""

from typing import Any

import pytest
from django.test import Client

from apps.access.services import create_token
from apps.core.models import User
from apps.kpis.models import RunFact
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import make_run

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-11-01&to=2026-12-01"
DOORS = (
    "/dashboards/overview/?",
    "/dashboards/overview/kpis.csv?",
    "/dashboards/overview/throughput/?",
    "/dashboards/overview/throughput/events.csv?",
    "/api/v1/kpis/?",
    "/api/v1/kpis/throughput/runs/?",
    "/api/v1/kpis/throughput/events/?",
)


def asked(user: User, address: str) -> Any:
    client, headers = Client(), {}
    if address.startswith("/api/"):
        headers = {"Authorization": f"Bearer {create_token(user, user=user)}"}
    else:
        client.force_login(user)
    return client.get(address, headers=headers)


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_names_nothing_is_said_and_so_is_one_of_others(door: str) -> None:
    here, there = make_unit(), make_unit()
    write_facts(facts=Facts(runs=[make_run(workflow="theirs", unit_id=there.pk)]))
    viewer = make_holder("kpis.view_kpi", unit=here)
    others = {"workflow": "theirs", "unit": there.slug, "agent": make_agent(unit=there).slug}
    for name, value in [*others.items(), *((name, "nowhere") for name in others)]:
        answer = asked(viewer, f"{door}{PERIOD}&{name}={value}")
        assert answer.status_code == 422, (door, name)
        assert f"You see no {name} of this name: {value}." in answer.content.decode()
        if door.startswith("/api/"):
            told = answer.json()
            assert (told["code"], list(told["errors"])) == ("invalid", [name])


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_is_there_and_of_which_nothing_happened_is_a_quiet_month(door: str) -> None:
    unit = make_unit()
    run = make_run(workflow="w", unit_id=unit.pk)
    write_facts(facts=Facts(runs=[run]))
    RunFact.objects.update(agents=["gone"])
    viewer = make_holder("kpis.view_kpi", unit=unit)
    for name, value in {"workflow": "w", "unit": unit.slug, "agent": "gone"}.items():
        assert asked(viewer, f"{door}from=2020-11-01&to=2020-12-01&{name}={value}").status_code == 200, (door, name)
    idle = make_agent(unit=unit).slug
    assert asked(viewer, f"{door}{PERIOD}&agent={idle}").status_code == 200


@pytest.mark.parametrize("door", DOORS)
def test_who_may_see_no_figures_is_told_nothing_of_names(door: str) -> None:
    answer = asked(make_holder("audit.view_entry"), f"{door}{PERIOD}&agent=nowhere")
    assert answer.status_code in {403, 404}


@pytest.mark.parametrize("door", DOORS)
def test_a_range_turned_around_is_said(door: str) -> None:
    answer = asked(make_holder("kpis.view_kpi"), f"{door}from=2026-12-01&to=2026-11-01")
    assert answer.status_code == 422
    assert "The end is not included, so it has to lie after the start." in answer.content.decode()


def test_from_a_range_turned_around_one_comes_back() -> None:
    client = Client()
    client.force_login(make_holder("kpis.view_kpi"))
    wrong = "/dashboards/overview/?from=2026-12-01&to=2026-11-01"
    assert '<a class="btn primary" href="/dashboards/overview/">' in client.get(wrong).content.decode()
    form = "http://testserver/dashboards/overview/?range=7d"
    assert f'<a class="btn primary" href="{form}">' in client.get(wrong, headers={"Referer": form}).content.decode()
    foreign = client.get(wrong, headers={"Referer": "https://evil.example/"}).content.decode()
    assert "evil.example" not in foreign
    assert "page before" not in client.get("/dashboards/of-nobody/?range=7d").content.decode()
