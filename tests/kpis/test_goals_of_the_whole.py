"""So much a day is of a whole: a part of it is held against no such baseline and no such target, a rate is."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from apps.access.models import BusinessUnit
from apps.core.models import User
from apps.kpis.rules.buckets import BucketSize, Period
from apps.kpis.rules.facts import Facts
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.kpis import Answer, kpis_for
from apps.kpis.services import write_facts
from apps.workflows.models import Workflow
from tests.factories.access import make_admin, make_holder, make_unit, make_user
from tests.factories.kpis import make_approved, make_decision, make_run, make_target
from tests.oversight.test_api import caller

pytestmark = pytest.mark.django_db
VIEW = "kpis.view_kpi"
ASKED = KpiFilter(
    period=Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
    zone=ZoneInfo("UTC"),
    size=BucketSize.WEEK,
)
RANGE = "range=custom&from=2026-11-01&to=2026-11-29&tz=UTC"
AMOUNTS, RATE = {"throughput", "backlog"}, "error_rate"


@pytest.fixture
def units() -> tuple[BusinessUnit, BusinessUnit]:
    """Two units: in the first a workflow at home of which a third runs in the other; goals for it, and for all."""
    home, other = make_unit(), make_unit()
    Workflow.objects.create(slug="w", name="W", unit=home, owner=make_user())
    runs = [make_run(unit_id=(other if at % 3 else home).pk, version=1 + at % 2) for at in range(90)]
    decisions = [make_decision(run, agent="clerk") for run in runs]
    write_facts(facts=Facts(runs=runs, decisions=decisions))
    for workflow in ("w", ""):
        for kpi in (*AMOUNTS, RATE):
            make_target(workflow=workflow, kpi=kpi, value=0.01, direction="up")
            make_approved(workflow=workflow, kpi=kpi, value=0.01)
    return home, other


def answer(actor: User | None = None, **limits: Any) -> Answer:
    return kpis_for(actor or make_holder(VIEW), replace(ASKED, **limits))


def held(found: Answer) -> tuple[set[str], set[str]]:
    """Which of these have a target, and which a baseline."""
    some = {key: found.totals[key] for key in (*AMOUNTS, RATE)}
    return {key for key, one in some.items() if one.target}, {key for key, one in some.items() if one.baseline}


EVERYTHING = (AMOUNTS | {RATE}, AMOUNTS | {RATE})
RATES = ({RATE}, {RATE})


@pytest.mark.parametrize("workflow", ["w", ""])
def test_all_of_it_is_held_against_all(units: Any, workflow: str) -> None:
    assert held(answer(workflow=workflow)) == EVERYTHING


@pytest.mark.parametrize("workflow", ["w", ""])
@pytest.mark.parametrize("limits", [{"version": 1}, {"agent": "clerk"}])
def test_a_version_or_an_agent_is_held_against_rates_alone(units: Any, limits: dict[str, Any], workflow: str) -> None:
    assert held(answer(workflow=workflow, **limits)) == RATES


def test_a_unit_is_held_against_what_is_of_the_workflows_at_home_there(units: tuple[BusinessUnit, ...]) -> None:
    home, other = units
    assert held(answer(workflow="w", unit=home.slug)) == EVERYTHING
    assert held(answer(workflow="w", unit=other.slug)) == RATES
    assert held(answer(unit=home.slug)) == RATES


def test_so_is_whoever_sees_one_unit_alone(units: tuple[BusinessUnit, ...]) -> None:
    home, other = units
    assert held(answer(make_holder(VIEW, unit=home), workflow="w")) == EVERYTHING
    assert held(answer(make_holder(VIEW, unit=other), workflow="w")) == RATES
    assert held(answer(make_holder(VIEW, unit=home))) == RATES


def test_what_is_wanted_of_all_workflows_is_not_wanted_of_one(units: Any) -> None:
    write_facts(facts=Facts(runs=[make_run(workflow="v") for _ in range(40)]))
    assert held(answer(workflow="v")) == RATES


def test_without_a_baseline_for_all_those_of_the_workflows_add_up_where_all_of_them_count() -> None:
    home = make_unit()
    for slug in ("w", "v"):
        Workflow.objects.create(slug=slug, name=slug, unit=home, owner=make_user())
        make_approved(workflow=slug, kpi="throughput", value=2)
    write_facts(facts=Facts(runs=[make_run(workflow=slug, unit_id=home.pk) for slug in "wv" for _ in range(40)]))
    assert answer().totals["throughput"].baseline.value == 4  # type: ignore[union-attr]
    assert answer(make_holder(VIEW, unit=home)).totals["throughput"].baseline.value == 4  # type: ignore[union-attr]
    assert answer(version=1).totals["throughput"].baseline is None


def test_page_and_api_say_nothing_of_a_goal_that_is_of_more(units: tuple[BusinessUnit, ...]) -> None:
    user = make_holder(VIEW)
    whole = caller(user).get(f"/api/v1/kpis/?workflow=w&{RANGE}").json()["totals"]["throughput"]
    part = caller(user).get(f"/api/v1/kpis/?workflow=w&version=1&{RANGE}").json()["totals"]["throughput"]
    assert {"target", "status", "baseline"} <= whole.keys()
    assert not {"target", "status", "baseline"} & part.keys()
    client = Client()
    client.force_login(user)
    whole_card, card = (
        page[page.index('id="kpi-throughput"') :].partition("</section>")[0]
        for query in ("", "version=1&")
        for page in [client.get(f"/dashboards/w/?{query}{RANGE}").content.decode()]
    )
    assert "A baseline is of the whole" in card
    assert "<span>target" not in card
    assert "<span>target " in whole_card
    assert "No baseline yet" not in card


def test_goals_are_told_to_who_sees_figures_of_their_workflow(units: tuple[BusinessUnit, ...]) -> None:
    far, manager = make_holder(VIEW, unit=make_unit()), make_holder("kpis.manage_target", VIEW, unit=units[0])
    for door in ("targets", "baselines"):
        seen = {row["workflow"] for row in caller(far).get(f"/api/v1/{door}/").json()["results"]}
        assert seen == {""}, door
        for user in (manager, make_holder(VIEW, unit=units[1]), make_admin()):
            found = {row["workflow"] for row in caller(user).get(f"/api/v1/{door}/").json()["results"]}
            assert found == {"", "w"}, (door, user)
    client = Client()
    client.force_login(far)
    assert "<code>w</code>" not in client.get("/dashboards/goals/").content.decode()
    client.force_login(manager)
    assert "W" in client.get("/dashboards/goals/").content.decode()


def test_a_period_before_of_which_there_is_a_part_alone_is_held_against_no_amounts() -> None:
    """Ninety runs in the two days before would be three a day of a month: nobody can say better or worse of that."""
    now = [make_run(finished_at=datetime(2026, 11, 2 + at % 20, 12, tzinfo=UTC)) for at in range(90)]
    before = [make_run(finished_at=datetime(2026, 10, 30, 12, tzinfo=UTC)) for _ in range(90)]
    write_facts(facts=Facts(runs=[*now, *before]))
    client, query = Client(), f"{RANGE}&compare=previous"
    client.force_login(make_holder(VIEW))

    def card(key: str) -> str:
        page = client.get(f"/dashboards/w/?{query}").content.decode()
        return page[page.index(f'id="kpi-{key}"') :].partition("</section>")[0]

    assert "The period before has figures of a part of it alone" in card("throughput")
    assert "was" in card("error_rate")
    write_facts(facts=Facts(runs=[make_run(finished_at=datetime(2026, 9, 1, 12, tzinfo=UTC))]))
    assert "was 3" in card("throughput")


def test_as_many_are_listed_behind_savings_as_have_a_baseline() -> None:
    make_approved(workflow="w", kpi="cost_per_success_minor", value=500)
    runs = [make_run(workflow=slug) for slug in ("w", "w", "w", "v")]
    write_facts(facts=Facts(runs=runs))
    client = Client()
    client.force_login(make_holder(VIEW))
    for kpi, count in (("savings_minor", 3), ("throughput", 4)):
        assert f"{count} in this list" in client.get(f"/dashboards/overview/{kpi}/?{RANGE}").content.decode()
    total = kpis_for(make_holder(VIEW), ASKED).totals["savings_minor"].figure
    assert total.n == 3
