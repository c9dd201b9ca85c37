"""What is invented is said wherever it counts, also what agents did and what went wrong outside of runs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.kpis.models import ActionFact, IncidentFact
from apps.kpis.rules.facts import Facts
from apps.kpis.services import write_facts
from apps.kpis.services.rollups import recompute_rollups
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.kpis import NOON, make_run

pytestmark = pytest.mark.django_db
RANGE = "range=custom&from=2026-11-01&to=2026-11-29&tz=UTC"
SAID = "Includes simulated history"


def page(path: str, query: str = "simulated=true", **given: Any) -> str:
    client = Client()
    client.force_login(make_holder("kpis.view_kpi", **given))
    return client.get(f"{path}?{RANGE}&{query}").content.decode()


PAGES = ["overview", "w", "cost", "oversight", "agents", "w/versions", "w/weeks"]


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_that_invented_runs_are_among_what_it_counts(name: str) -> None:
    versions = [make_run(version=one, started_at=NOON - timedelta(days=9)) for one in (1, 2) for _ in range(3)]
    write_facts(facts=Facts(runs=versions), simulated=True)
    path = f"/dashboards/{name}/"
    assert SAID in page(path)
    assert SAID not in page(path, "simulated=false")


@pytest.mark.parametrize(("in_demo", "invented"), [(True, True), (True, False), (False, True)])
def test_goals_say_so_where_what_stands_now_counts_it(settings: Any, in_demo: bool, invented: bool) -> None:
    settings.ACP_DEMO = in_demo
    write_facts(facts=Facts(runs=[make_run(finished_at=datetime.now(UTC) - timedelta(days=1))]), simulated=invented)
    assert (SAID in page("/dashboards/goals/")) == (in_demo and invented)


def test_weeks_say_so_of_every_version_and_week_whatever_is_asked() -> None:
    ended = NOON - timedelta(days=200)
    write_facts(facts=Facts(runs=[make_run(started_at=ended - timedelta(hours=1), finished_at=ended)]), simulated=True)
    assert SAID in page("/dashboards/w/weeks/", "simulated=true&version=7")


@pytest.mark.parametrize("name", PAGES)
def test_of_what_is_real_no_page_says_so(name: str) -> None:
    write_facts(facts=Facts(runs=[make_run(version=one) for one in (1, 2)]))
    assert SAID not in page(f"/dashboards/{name}/")


def test_versions_are_marked_by_what_of_their_runs_was_invented() -> None:
    write_facts(facts=Facts(runs=[make_run(version=one) for one in (1, 2, 3)]), simulated=True)
    write_facts(facts=Facts(runs=[make_run(version=one) for one in (2, 4)]))
    all_of_it = {"v1": "Simulated", "v2": "Partly simulated", "v3": "Simulated", "v4": ""}
    from_facts = ("simulated=true&tz=Asia/Tokyo", all_of_it)
    for query, expected in (("simulated=true", all_of_it), from_facts, ("simulated=false", {"v2": "", "v4": ""})):
        html = page("/dashboards/w/", query).partition('id="versions"')[2].partition("</table>")[0]
        rows = {row.partition("</a>")[0].rpartition(">")[2]: row for row in html.split("<tr>")[2:]}
        marked = {number: row.partition('line">')[2].partition("<")[0] for number, row in rows.items()}
        assert marked == expected
    assert "never in force here" in page("/dashboards/w/")
    assert "never in force here" not in page("/dashboards/w/", "simulated=false")


@pytest.mark.parametrize("path", ["/dashboards/prices/", "/dashboards/data-quality/", "/runs/failures/"])
def test_what_leaves_invented_history_out_says_so(path: str) -> None:
    client = Client()
    client.force_login(make_holder("kpis.view_kpi", "workflows.view_run"))
    assert "imulated history is left out" in client.get(path).content.decode()


def test_an_agent_s_invented_acts_mark_its_page_and_its_unit_s() -> None:
    unit, other = make_unit(), make_unit()
    agent = make_agent(slug="clerk", unit=unit)
    ActionFact.objects.create(
        action_id=uuid4(), agent=agent.slug, operation="o.p", state="succeeded", ended_at=NOON, unit=unit.pk,
        simulated=True, alone=True,
    )  # fmt: skip
    IncidentFact.objects.create(
        kind="mismatch", began_at=NOON, unit=other.pk, simulated=True, about="o.p", source_id=uuid4()
    )
    recompute_rollups(touched={("", datetime(2026, 11, 10, tzinfo=UTC).date())})
    for query in ("agent=clerk", f"unit={unit.slug}", f"unit={other.slug}"):
        assert SAID in page("/dashboards/overview/", f"simulated=true&{query}"), query
    assert SAID in page("/dashboards/agents/clerk/")
    assert SAID in page("/dashboards/overview/", unit=unit)
    assert SAID not in page("/dashboards/overview/", unit=make_unit())
    assert SAID not in page("/dashboards/overview/", "simulated=true&agent=other")
